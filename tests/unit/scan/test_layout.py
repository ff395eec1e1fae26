"""When the code of a file runs, by the place where it lies."""

from __future__ import annotations

import pytest

from wheelmark.scan.layout import lay_out
from wheelmark.scan.report import Context

SETUP = b"from setuptools import setup\nsetup()\n"
MAPPED = b"from setuptools import setup\nsetup(package_dir={'': 'manual tests'})\n"


def context_in(folder: str, *, filename: str = "demo-1.0.tar.gz", setup: bytes = SETUP) -> Context:
    """When `folder/part.py` runs, beside a package."""
    root = "" if filename.endswith(".whl") else "demo-1.0/"
    path = f"{root}{folder}/part.py"
    sources = {f"{root}setup.py": setup, f"{root}things/__init__.py": b"", path: b"import os\n"}
    return lay_out(filename, sources, {}, sources).contexts[path]


@pytest.mark.parametrize("folder", ["tests", "things/tests", "manual tests/4 programs", "Test Cases/a", "my docs"])
def test_folder_of_tests_and_documents_is_not_reached(folder: str) -> None:
    assert context_in(folder) is Context.UNREACHED


@pytest.mark.parametrize("folder", ["things", "things/latest", "my code", "things-tests", "my testsuite"])
def test_any_other_folder_is_imported(folder: str) -> None:
    assert context_in(folder) is Context.IMPORT


def test_folder_that_the_build_names_is_imported_whatever_its_words() -> None:
    assert context_in("manual tests", setup=MAPPED) is Context.IMPORT


def test_in_a_wheel_all_that_is_installed_can_be_imported() -> None:
    assert context_in("manual tests", filename="demo-1.0-py3-none-any.whl") is Context.IMPORT
