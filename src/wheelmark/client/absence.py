"""Whether metadata that does not name a target proves that the index has none.

A role says in its signed part neither its name nor its paths; the snapshot of a Wheelmark index gives versions without
hashes; and all bins are signed with one key. So a mirror could answer for one bin with another of the same version:
everything verifies, and the project is "not there". An installer that then asks its next index has been led to it.
Therefore each bin names itself inside what is signed, and only a bin that does proves anything (decision 0017).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import orjson
from tuf.api.metadata import Metadata, Targets  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.errors import Untrusted

BIN_NAME_FIELD = "x-wheelmark-role"
MAX_DEPTH = 4  # targets, bins, and one bin: anything deeper is no layout of ours


class _Asked(NamedTuple):
    """A role that speaks for a target, by the name that it must have."""

    name: str
    content: Targets
    is_bin: bool


def check_absence(target_path: str, directory: Path) -> None:
    """Pass when the roles in `directory`, all trusted by python-tuf a moment ago, prove that there is no target.

    What does not is taken out of `directory`: python-tuf would go on with it as long as the snapshot lists its version.

    Raises:
        Untrusted: a bin that was asked is another, or none was asked.
        RepositoryError, OSError: a file is no longer what was trusted.
    """
    asked = list(_asked(_read(directory, "targets"), target_path, directory, MAX_DEPTH))
    try:
        if not any(role.is_bin for role in asked):
            raise Untrusted(f"{target_path}: expected a bin to prove that it is absent, got none", code="bin")
        for role in asked:
            if role.is_bin:
                check_bin_name(role.name, role.content)
    except Untrusted:
        for role in asked:
            _file(directory, role.name).unlink(missing_ok=True)
        raise


def check_bin_name(name: str, content: Targets) -> None:
    """Pass a bin that says of itself that it is this one.

    Raises:
        Untrusted: it says something else, or nothing.
    """
    said = content.unrecognized_fields.get(BIN_NAME_FIELD)
    if said is None:
        raise Untrusted(f"{name}: expected this bin, got one that does not say which it is", code="bin-nameless")
    _check_said(name, said)


def check_arriving_bin(name: str, raw: bytes) -> None:
    """Stop a bin that calls itself otherwise before it is kept. A first look: python-tuf has verified nothing yet.

    Raises:
        Untrusted: these bytes, if anybody has signed them, are another bin.
    """
    try:
        said = orjson.loads(raw)["signed"].get(BIN_NAME_FIELD)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return  # python-tuf says what is wrong with them
    if said is not None:
        _check_said(name, said)


def _check_said(name: str, said: object) -> None:
    if said != name:
        raise Untrusted(f"{name}: expected this bin, got one that calls itself {str(said)[:40]!r}", code="bin")


def _asked(delegator: Targets, target_path: str, directory: Path, depth: int) -> Iterator[_Asked]:
    """The delegated roles that speak for a target, in the order in which python-tuf has asked them."""
    if delegator.delegations is None or depth == 0:
        return
    is_bin = delegator.delegations.succinct_roles is not None
    for name, terminating in delegator.delegations.get_roles_for_target(target_path):
        content = _read(directory, name)
        yield _Asked(name, content, is_bin)
        yield from _asked(content, target_path, directory, depth - 1)
        if terminating:
            return


def _read(directory: Path, role: str) -> Targets:
    return Metadata[Targets].from_bytes(_file(directory, role).read_bytes()).signed


def _file(directory: Path, role: str) -> Path:
    """Where python-tuf keeps a role."""
    return directory / f"{quote(role, safe='')}.json"
