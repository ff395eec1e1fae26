"""Modules that are told by their words to do nothing, and what is read of them all the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.scan.imports import LocalImport, importers_first
from wheelmark.scan.loading import LOADERS
from wheelmark.scan.quiet import is_quiet, parses
from wheelmark.scan.vocabulary import ACTS

_TABLE = b"""
import math

VALUES = {'a': 1.5}

class Point:
    def length(self):
        return math.hypot(self.x, self.y)
"""


@pytest.mark.parametrize(
    "source",
    [
        _TABLE,
        b"import os\nPATH = os.path.join('a', 'b')\n",
        b"def read(device):\n    return device.open('a')\n",
        b"'''How one opens what openers opened.'''\nopenapi_types = {}\n",
        b"def show(self, name):\n    return getattr(self, name)\n",
    ],
)
def test_tables_and_calculations_are_quiet(source: bytes) -> None:
    assert is_quiet(source)


@pytest.mark.parametrize("name", sorted({*ACTS, *LOADERS}))
def test_no_use_of_a_name_of_the_tables_is_quiet(name: str) -> None:
    head, _, _ = name.partition(".")
    module = head if head.isidentifier() and "." in name else "os"
    assert not is_quiet(_TABLE + f"import {module}\n\ndef f(x):\n    return {name}(x)\n".encode())


@pytest.mark.parametrize(
    "source",
    [
        b"from os import system as s\ns('x')\n",
        b"from os import *\nsystem('x')\n",
        b"from six.moves import urllib\nurllib.request.urlopen('x')\n",
        b"import os\ngetattr(os, 'sys' + 'tem')('x')\n",
        b"import os\nos.__dict__['sys' + 'tem']('x')\n",
        b"import operator, os\noperator.attrgetter('sys' + 'tem')(os)('x')\n",
        b"__builtins__['ex' + 'ec']('x')\n",
        b"globals()['__built' + 'ins__']\n",
        b"import builtins\n",
        b"import sys\nsys.modules['o' + 's'].system\n",
        b"run = exec\n",
        b"f = open\n",
        b"file ('x').read()\n",
        "import ｏｓ\nｏｓ.ｓｙｓｔｅｍ('x')\n".encode(),
        b"import ctypes\nctypes.windll.x\n",
        b"import socket, ssl\nssl.create_default_context().wrap_socket(x).send('x')\n",
        b"x = 1; from . import worker\n",
        b"if x: import worker\n",
        b"from \\\n    . import worker\n",
        b"import \\\n    worker\n",
        b"x = 1; \\\n  import worker\n",
        "from . import wörker\n".encode(),
    ],
)
def test_no_way_around_a_plain_name_is_quiet(source: bytes) -> None:
    assert not is_quiet(_TABLE + source)


def test_only_what_has_a_tree_parses() -> None:
    assert parses(_TABLE)
    assert not parses(b"print 'x'\n")
    assert not parses(b"x = 1\0\n")
    assert not parses(b"(" * 5000)


def test_who_imports_stands_before_what_is_imported() -> None:
    graph = {"a": "", "b": "a", "c": "b", "d": "", "e": "c d"}

    def imports_of(path: str) -> list[LocalImport]:
        return [LocalImport(each, at_margin=True) for each in graph[path].split()]

    order = importers_first("abcde", imports_of)
    assert sorted(order) == list("abcde")
    for path, others in graph.items():
        assert all(order.index(path) < order.index(other) for other in others.split())


def test_in_a_circle_the_first_comes_first() -> None:
    graph = {"a": "b", "b": "c", "c": "a"}
    assert importers_first("bca", lambda path: [LocalImport(graph[path], at_margin=True)]) == ["b", "c", "a"]


@given(st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 20), max_size=6), max_size=12))
def test_each_stands_once_whatever_imports_what(graph: dict[int, list[int]]) -> None:
    def imports_of(path: str) -> list[LocalImport]:
        return [LocalImport(str(each), at_margin=True) for each in graph[int(path)]]

    paths = [str(path) for path in graph]
    assert sorted(importers_first(paths, imports_of)) == sorted(paths)
