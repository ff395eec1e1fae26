"""Samples of uploads as TOML, for the contract test of checks, built-in or a third party's."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from enum import Enum
from typing import Any

from wheelmark.dist import normalize
from wheelmark.scan.context.lists import read_lists
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

_DEFAULTS: dict[str, dict[str, Any]] = {
    "project": {"name": "widget"},
    "release": {"version": "1.0"},
    "file": {"is_wheel": True, "size": 20_000},
}
_FINDING = {"line": 1, "message": "what was found", "evidence": "a harmless imitation", "severity": Severity.MEDIUM}


def read_sample(text: str) -> Upload:
    """The upload that a TOML document describes: a table for each part, with what matters; the rest has defaults.

    `[index] lists = "…"` takes the text of an operator's lists. A project's `normalized_name` and a file's `filename`
    follow from the project's name when they are not given.

    Raises: ValueError for a field that there is not, or of another type.
    """
    document: dict[str, Any] = tomllib.loads(text)
    document.pop("why", None)
    for table, defaults in _DEFAULTS.items():
        document[table] = {**defaults, **document.get(table, {})}
    project, file = document["project"], document["file"]
    project.setdefault("normalized_name", normalize(project["name"]))
    stem = project["normalized_name"].replace("-", "_")
    version = document["release"]["version"]
    file.setdefault(
        "filename", f"{stem}-{version}-py3-none-any.whl" if file["is_wheel"] else f"{stem}-{version}.tar.gz"
    )
    for holder in (file, document["release"].get("earlier", {})):
        holder["findings"] = [{**_FINDING, **finding} for finding in holder.get("findings", [])]
        if holder is not file and not holder["findings"]:
            del holder["findings"]
    index = document.get("index", {})
    if isinstance(index.get("lists"), str):
        index["lists"] = read_lists(index["lists"].encode())
    made: Upload = _made(Upload, document, "")
    return made


def _made(kind: Any, given: Any, where: str) -> Any:
    """A value of a type from plain TOML values."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _made(next(each for each in arguments if each is not types.NoneType), given, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, given, where)
    if origin is tuple:
        if not isinstance(given, list):
            raise ValueError(f"expected a list in {where}, got {given!r}")
        kinds = [arguments[0]] * len(given) if arguments[-1] is ... else arguments
        return tuple(_made(each, value, where) for each, value in zip(kinds, given, strict=True))
    if origin is frozenset:
        return frozenset(_made(arguments[0], value, where) for value in given)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(given)
    if kind is float and isinstance(given, int):
        return float(given)
    if not isinstance(given, kind):
        raise ValueError(f"expected {kind.__name__} in {where}, got {given!r}")
    return given


def _dataclass(kind: Any, given: Any, where: str) -> Any:
    if isinstance(given, kind):
        return given
    if not isinstance(given, dict):
        raise ValueError(f"expected a table {where}, got {given!r}")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(given) - set(hints))
    if unknown:
        raise ValueError(f"expected fields of {kind.__name__} in {where or 'the sample'}, got {unknown}")
    try:
        return kind(**{name: _made(hints[name], value, f"{where}.{name}".strip(".")) for name, value in given.items()})
    except TypeError as error:
        raise ValueError(f"expected a whole {kind.__name__} in {where or 'the sample'}: {error}") from error
