"""The form that twine really sends for a distribution agrees with what we read from the file."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from twine.package import PackageFile
from twine.repository import Repository

from support.distributions import build_sdist, build_wheel
from wheelmark.dist import form_faults, inspect_distribution

HEADERS = {
    "Author-email": "Zoë <zoe@example.org>",
    "Keywords": "shop,till",
    "Classifier": ["Typing :: Typed", "Programming Language :: Python :: 3"],
    "Project-URL": ["Source, https://example.org/source", "Docs, https://example.org/docs"],
    "Requires-Python": ">=3.11,<4",
    "Provides-Extra": "Fancy_Out",
    "License-Expression": "MIT",
    "Description-Content-Type": "text/markdown",
    "Description": "# Shop\n\nSälls things.\n",
}
REQUIRES = ["Flask (>=2)", "rich[jupyter]>=1; extra == 'Fancy_Out'"]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_form_of_twine_agrees(tmp_path: Path, kind: str) -> None:
    build = build_wheel if kind == "wheel" else build_sdist
    path = build("My.Shop", "1.0rc1", metadata=HEADERS, requires=REQUIRES, path=tmp_path)
    form: dict[str, list[str]] = defaultdict(list)
    fields = PackageFile.from_filename(str(path), None).metadata_dictionary()
    for name, value in Repository._convert_metadata_to_list_of_tuples(fields):
        form[name].append(value)
    assert {"name", "version", "requires_dist", "project_urls", "keywords", "description"} <= set(form)
    assert form_faults(inspect_distribution(path, path.name).metadata, form) == []
