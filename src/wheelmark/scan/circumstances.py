"""Circumstances: what a distribution says of itself, and how little of it there is. They only tip a balance.

Anybody can write a description. Circumstances are no evidence, and a file with nothing else is benign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from wheelmark.scan.layout import is_python

MAX_HEADER_BYTES = 64 * 1024
SHORT_SUMMARY = 12  # characters
SHORT_DESCRIPTION = 200
_HEADER = re.compile(r"^([A-Za-z-]+):[ \t]*(.*)$", re.MULTILINE)
_ODD_VERSION = re.compile(r"^v?(\d{2,}\.|\d+\.\d{3,}|\d+(\.\d+){4,})")
_YEAR_VERSION = re.compile(r"^(19|20)\d\d\b|^[12]\d\.\d")


def circumstances_of(filename: str, paths: Sequence[str], sides: Mapping[str, bytes]) -> Iterator[tuple[str, int]]:
    """The circumstances of a distribution that are not 0, by name. `sides` has the small files that are no Python."""
    yield "modules", sum(is_python(path) for path in paths).bit_length()
    fields, description = _metadata(sides)
    addresses = [*fields.get("home-page", ()), *fields.get("project-url", ()), *fields.get("download-url", ())]
    told = {
        "no-address": not any("." in address for address in addresses),
        "no-author": not any(fields.get(name) for name in ("author", "author-email", "maintainer", "maintainer-email")),
        "no-summary": len(" ".join(fields.get("summary", ()))) < SHORT_SUMMARY,
        "no-description": len(description.strip()) < SHORT_DESCRIPTION,
        "no-classifiers": not fields.get("classifier"),
        "no-license": not (fields.get("license") or fields.get("license-expression") or fields.get("license-file")),
        "no-readme": not any("readme" in path.lower().rpartition("/")[2] for path in paths)
        and not filename.endswith(".whl"),
        "odd-version": _is_odd_version(fields.get("version", [""])[0]),
    }
    for name, holds in told.items():
        if holds:
            yield name, 1


def _metadata(sides: Mapping[str, bytes]) -> tuple[dict[str, list[str]], str]:
    """The fields of the core metadata that lies nearest to the top, by lower-case name, and the description."""
    found = [path for path in sides if path.endswith((".dist-info/METADATA", "/PKG-INFO")) or path == "PKG-INFO"]
    if not found:
        return {}, ""
    raw = sides[min(found, key=lambda path: (path.count("/"), path))]
    header, _, body = raw[:MAX_HEADER_BYTES].decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")
    fields: dict[str, list[str]] = {}
    for match in _HEADER.finditer(header):
        value = match[2].strip()
        if value and value.upper() != "UNKNOWN":
            fields.setdefault(match[1].lower(), []).append(value)
    inside = header.partition("Description:")[2].partition("\nPlatform:")[0] if "\nDescription:" in header else ""
    return fields, max(body, inside, key=len)


def _is_odd_version(version: str) -> bool:
    """True for versions that outbid others, `99.9` and its like; dates are ordinary."""
    return _ODD_VERSION.match(version) is not None and _YEAR_VERSION.match(version) is None
