"""TUF metadata written from rows: byte for byte what python-tuf would write, without its object trees.

Each `*_bytes` function gives the *signed part* in canonical form: the bytes that a signature covers. `envelope` puts
the signatures around them. python-tuf is the oracle in the tests.

The two forms that must agree are OLPC canonical JSON (signed) and plain JSON (on the wire). They are the same bytes as
long as no string needs an escape and no number is a float, so everything that could differ is refused here. The one
exception is a key in PEM form, whose line breaks canonical JSON keeps raw: see `envelope`.

Source: TUF spec § 4 (document formats), TAP 15, securesystemslib `encode_canonical`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

import orjson
from securesystemslib.formats import encode_canonical

from wheelmark.errors import Fault, Refused
from wheelmark.trust.keys import RoleKeys, key_table
from wheelmark.trust.layout import (
    BINS,
    BINS_PATHS,
    MAX_BIT_LENGTH,
    MAX_PATH_LENGTH,
    PATH_CHARACTERS,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    Layout,
    is_target_path,
)

SPEC_VERSION = "1.0.31"
"""The version of the TUF specification that python-tuf, our verifier, announces."""

MAX_INTEGER = 2**53 - 1
"""The largest version or length: every JSON reader keeps it exactly (RFC 8259 § 6)."""

MAX_BIN_BYTES = 4_990_000
"""A client reads at most 5,000,000 bytes of a delegated role (python-tuf's default); the rest is room for signatures.
Publishing a larger bin would lock every client out of all its projects."""

BIN_NAME_FIELD = "x-wheelmark-role"
"""The field of a bin's signed part that says which bin it is. TUF names the role only in the file name, which nobody
signs, and all bins have the same key: a mirror could answer for one bin with another of the same version, and so prove
a project absent that is there (decision 0017). TUF spec § 4.1: fields that a client does not know are signed, too."""

_ENTRIES_TOGETHER = 64
"""Entries of a snapshot that are kept as one piece: changing one writes 64 again, and 4,096 bins are 64 pieces."""

_PATH_BYTES = (PATH_CHARACTERS + "/").encode()
_HEX_DIGITS = b"0123456789abcdef"
_SHA256_LENGTH = 64


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target: a page or file of `length` bytes with this SHA-256. Checked when written, not when made."""

    path: str
    length: int  # bytes
    sha256: str  # 64 lower-case hex characters


@dataclass(frozen=True, slots=True)
class Delegation:
    """One delegation of the targets role: whose signatures count for which paths."""

    name: str
    keys: RoleKeys
    paths: tuple[str, ...]
    terminating: bool = True


def bins_delegation(keys: RoleKeys) -> Delegation:
    """The delegation to `bins`, for the paths the online bins may speak for."""
    return Delegation(name=BINS, keys=keys, paths=BINS_PATHS)


def root_bytes(
    *, version: int, expires: datetime, root: RoleKeys, targets: RoleKeys, snapshot: RoleKeys, timestamp: RoleKeys
) -> bytes:
    """The signed part of root: which keys speak for the four top-level roles.

    Source: TUF spec § 4.3.
    """
    roles = {ROOT: root, SNAPSHOT: snapshot, TARGETS: targets, TIMESTAMP: timestamp}
    return _canonical(
        {
            **_common(ROOT, version, expires),
            "consistent_snapshot": True,
            "keys": key_table(roles.values()),
            "roles": {name: {"keyids": role.keyids, "threshold": role.threshold} for name, role in roles.items()},
        }
    )


def targets_bytes(*, version: int, expires: datetime, delegations: Sequence[Delegation]) -> bytes:
    """The signed part of the top-level targets role: no targets of its own, only delegations, asked in this order.

    Source: TUF spec § 4.5.
    """
    return _canonical(
        {
            **_common(TARGETS, version, expires),
            "delegations": {
                "keys": key_table(delegation.keys for delegation in delegations),
                "roles": [
                    {
                        "keyids": delegation.keys.keyids,
                        "name": delegation.name,
                        "paths": list(delegation.paths),
                        "terminating": delegation.terminating,
                        "threshold": delegation.keys.threshold,
                    }
                    for delegation in delegations
                ],
            },
            "targets": {},
        }
    )


def bins_bytes(*, version: int, expires: datetime, layout: Layout, keys: RoleKeys) -> bytes:
    """The signed part of `bins`: one line that delegates to all bins at once.

    Source: TAP 15 § Specification.
    """
    return _canonical(
        {
            **_common(TARGETS, version, expires),
            "delegations": {
                "keys": key_table([keys]),
                "succinct_roles": {
                    "bit_length": layout.bit_length,
                    "keyids": keys.keyids,
                    "name_prefix": BINS,
                    "threshold": keys.threshold,
                },
            },
            "targets": {},
        }
    )


def bin_bytes(name: str, *, version: int, expires: datetime, rows: Sequence[TargetRow]) -> bytes:
    """The signed part of the bin of that role name: all its targets, sorted by path. Whether they belong here is not
    checked.

    Raises:
        Refused: a row that could not be written the same in every JSON, rows unsorted or twice, or more bytes than a
            client reads; all faulty rows are named.
    """
    check_rows(rows)
    # No OPT_SORT_KEYS: the rows are known to be sorted.
    targets = orjson.dumps({row.path: {"hashes": {"sha256": row.sha256}, "length": row.length} for row in rows})
    return frame_bin(name, targets[1:-1], version=version, expires=expires)


def frame_bin(name: str, targets: bytes, *, version: int, expires: datetime) -> bytes:
    """The signed part of a bin around the entries of its targets, which the caller has checked.

    Raises:
        Refused: more bytes than a client reads (`bin-too-large`).
    """
    common = _common(TARGETS, version, expires)
    signed = (
        f'{{"_type":"{TARGETS}","expires":"{common["expires"]}","spec_version":"{SPEC_VERSION}","targets":{{'.encode()
        + targets
        + f'}},"version":{version},"{BIN_NAME_FIELD}":"{name}"}}'.encode()
    )
    if len(signed) > MAX_BIN_BYTES:
        count = targets.count(b'"length":')  # no path can hold a quote
        raise Refused.because(
            "bin-too-large", "rows", f"expected at most {MAX_BIN_BYTES} bytes, got {len(signed)} of {count} targets"
        )
    return signed


def snapshot_bytes(
    *,
    version: int,
    expires: datetime,
    layout: Layout,
    bin_versions: Sequence[int],
    role_versions: Mapping[str, int],
) -> bytes:
    """The signed part of snapshot: the version of every bin, by index, and of every offline role but root, by name.

    Source: TUF spec § 4.4. Lengths and hashes are left out: one publisher with one key never signs two contents under
    one version, and they would make the snapshot four times larger.

    Raises:
        Refused: not one version for each bin, a name twice, or a version out of range.
    """
    if len(bin_versions) != layout.bin_count:
        raise Refused.because(
            "bin-versions", "bin_versions", f"expected {layout.bin_count} versions, got {len(bin_versions)}"
        )
    bins = _bin_entries(layout, bin_versions)
    first_bin, last_bin = layout.bin_names[0], layout.bin_names[-1]
    # Sorted by file name and not by role: `claims-0.json` stands before `claims.json`.
    entries = dict(sorted((f"{name}.json", value) for name, value in role_versions.items()))
    for name, value in role_versions.items():
        _check_integers("version", name, [value], least=1)
        if not is_target_path(name) or "/" in name or first_bin <= name <= last_bin:
            raise Refused.because("role-name", "role_versions", f"expected a role that is no bin, got {name!r}")
    before = [f'"{name}":{{"version":{value}}}' for name, value in entries.items() if name < first_bin]
    after = [f'"{name}":{{"version":{value}}}' for name, value in entries.items() if name > first_bin]
    common = _common(SNAPSHOT, version, expires)
    return b"".join(
        [
            f'{{"_type":"{SNAPSHOT}","expires":"{common["expires"]}","meta":{{'.encode(),
            b",".join([*(entry.encode() for entry in before), *bins, *(entry.encode() for entry in after)]),
            f'}},"spec_version":"{SPEC_VERSION}","version":{version}}}'.encode(),
        ]
    )


def timestamp_bytes(
    *, version: int, expires: datetime, snapshot_version: int, snapshot_length: int, snapshot_sha256: str
) -> bytes:
    """The signed part of timestamp: version, length and SHA-256 of the snapshot *file* (its envelope).

    Source: TUF spec § 4.6. The length is always given: without it python-tuf reads no snapshot beyond 2,000,000 bytes.
    """
    _check_integers("version", "snapshot_version", [snapshot_version], least=1)
    _check_integers("length", "snapshot_length", [snapshot_length], least=0)
    if not _is_sha256(snapshot_sha256):
        raise Refused.because("sha256", "snapshot_sha256", f"expected 64 hex characters, got {snapshot_sha256!r}")
    common = _common(TIMESTAMP, version, expires)
    return (
        f'{{"_type":"{TIMESTAMP}","expires":"{common["expires"]}","meta":{{"snapshot.json":{{"hashes":'
        f'{{"sha256":"{snapshot_sha256}"}},"length":{snapshot_length},"version":{snapshot_version}}}}},'
        f'"spec_version":"{SPEC_VERSION}","version":{version}}}'
    ).encode()


def envelope(signed: bytes, signatures: Iterable[Mapping[str, str]]) -> bytes:
    """The file: the signed part with its signatures around it.

    Canonical JSON leaves line breaks raw inside strings, and keys in PEM form have them; JSON does not allow that. No
    line break stands anywhere else in canonical JSON, so escaping them all turns one form into the other.
    """
    listed = orjson.dumps([{"keyid": found["keyid"], "sig": found["sig"]} for found in signatures])
    return b'{"signatures":' + listed + b',"signed":' + signed.replace(b"\n", rb"\n") + b"}"


def utc_seconds(moment: datetime) -> datetime:
    """A moment as TUF can write it: UTC, whole seconds.

    Raises:
        RuntimeError: the moment has no time zone, so nobody can say when it is.
    """
    if moment.utcoffset() is None:
        raise RuntimeError(f"expected an aware datetime, got {moment!r}")
    return moment.astimezone(UTC).replace(microsecond=0)


def _common(kind: str, version: int, expires: datetime) -> dict[str, object]:
    """The fields every role has, with the keys in sorted order."""
    _check_integers("version", "version", [version], least=1)
    text = utc_seconds(expires).strftime("%Y-%m-%dT%H:%M:%SZ")
    if len(text) != len("2026-01-01T00:00:00Z"):
        raise Refused.because("expires", "expires", f"expected a year of four digits, got {text}")
    return {"_type": kind, "expires": text, "spec_version": SPEC_VERSION, "version": version}


def _canonical(signed: Mapping[str, object]) -> bytes:
    """Canonical JSON of a small document that holds keys; slow, and right about the line breaks in them."""
    text = encode_canonical(dict(signed)) or ""
    # Beyond printable ASCII the wire form of python-tuf has escapes that the canonical form has not.
    if not all(" " <= character <= "~" or character == "\n" for character in text):
        raise Refused.because("characters", "signed", "expected printable ASCII and line breaks, got something else")
    return text.encode()


def _bin_entries(layout: Layout, versions: Sequence[int]) -> list[bytes]:
    """The entries of all bins in a snapshot, some dozens in each piece. A publication changes few bins, so most pieces
    are those of the last one."""
    starts = range(0, len(versions), _ENTRIES_TOGETHER)
    try:
        # As JSON and not as a tuple, in which True and 1.0 would pass for the 1 that was checked before.
        pieces = [orjson.dumps(versions[start : start + _ENTRIES_TOGETHER]) for start in starts]
    except TypeError as error:
        got = _first_bad(versions, 1)
        raise Refused.because("version", "bin_versions", f"expected whole numbers from 1, got {got!r}") from error
    return [_entries_together(layout.bit_length, start, piece) for start, piece in zip(starts, pieces, strict=True)]


@lru_cache(maxsize=4 * (1 << MAX_BIT_LENGTH) // _ENTRIES_TOGETHER)
def _entries_together(bit_length: int, start: int, versions_json: bytes) -> bytes:
    """`"bins-0.json":{"version":7},…` of the bins from `start` on."""
    versions = orjson.loads(versions_json)
    _check_integers("version", "bin_versions", versions, least=1)
    layout = Layout(bit_length)
    names = [layout.bin_name(index) for index in range(start, start + len(versions))]
    return ",".join(
        f'"{name}.json":{{"version":{version}}}' for name, version in zip(names, versions, strict=True)
    ).encode()


def _check_integers(code: str, field: str, values: Sequence[int], *, least: int) -> None:
    # `type() is int` and not isinstance: True is an int, and JSON would say `true`.
    if values and ({*map(type, values)} != {int} or min(values) < least or max(values) > MAX_INTEGER):
        raise Refused.because(
            code, field, f"expected whole numbers from {least} to {MAX_INTEGER}, got {_first_bad(values, least)!r}"
        )


def _first_bad(values: Sequence[int], least: int) -> object:
    return next(value for value in values if type(value) is not int or not least <= value <= MAX_INTEGER)


def _is_sha256(text: str) -> bool:
    return len(text) == _SHA256_LENGTH and not text.strip("0123456789abcdef")


def check_rows(rows: Sequence[TargetRow]) -> None:
    """Refuse what must not be signed. Whole columns are checked at once; only a bad one is searched row by row."""
    paths = [row.path for row in rows]
    digests = [row.sha256 for row in rows]
    lengths = [row.length for row in rows]
    well_formed = (
        _paths_well_formed(paths)
        and {*map(len, digests)} <= {_SHA256_LENGTH}
        and (all_digests := "".join(digests)).isascii()
        and not all_digests.encode().translate(None, _HEX_DIGITS)
        and {*map(type, lengths)} <= {int}
        and (not lengths or (min(lengths) >= 0 and max(lengths) <= MAX_INTEGER))
    )
    if not well_formed:
        raise Refused(_row_faults(rows))
    if len({*paths}) != len(paths) or paths != sorted(paths):
        left, right = next((left, right) for left, right in pairwise(paths) if left >= right)
        raise Refused.because("rows-unsorted", "rows", f"expected sorted and different paths, got {left}, then {right}")


def _paths_well_formed(paths: Sequence[str]) -> bool:
    """`is_target_path` of all paths at once: joined by slashes, a bad segment shows wherever it stands."""
    joined = "/".join(["", *paths, ""])
    return (
        joined.isascii()
        and not joined.encode().translate(None, _PATH_BYTES)
        and ("//" not in joined or not paths)  # an empty segment, except between no paths at all
        and "/." not in joined
        and max(map(len, paths), default=0) <= MAX_PATH_LENGTH
    )


def _row_faults(rows: Sequence[TargetRow]) -> list[Fault]:
    faults = []
    for row in rows:
        if not is_target_path(row.path):
            faults.append(Fault("target-path", "path", f"expected a plain relative path, got {row.path!r}"))
        if not _is_sha256(row.sha256):
            faults.append(Fault("sha256", row.path, f"expected 64 lower-case hex characters, got {row.sha256!r}"))
        if type(row.length) is not int or not 0 <= row.length <= MAX_INTEGER:
            faults.append(Fault("length", row.path, f"expected 0 to {MAX_INTEGER} bytes, got {row.length!r}"))
    return faults
