"""What a returning client asks for instead of a whole metadata file, and how it rebuilds that file. Pure.

A delta is a zstd frame whose dictionary is the version that the client holds (RFC 8878 § 5). Nobody signs it and
nothing here is trusted: what is rebuilt goes through the same verification as a file that came whole.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import orjson

from wheelmark.errors import Untrusted

MAX_DELTA_BYTES = 512 * 1024
"""Beyond that the whole file, compressed, is hardly larger; a thousand changed bins make 2 kB."""

MAX_HELD_BYTES = 4 * 1024 * 1024
"""A held file larger than this is no dictionary: together with the new one it must fit into the window."""

MAX_WINDOW_BYTES = 8 * 1024 * 1024  # RFC 8878 § 3.1.1.1.2: what every decoder should support
_PIECE_BYTES = 64 * 1024

# Roles that change often and little; a delta of any other would save less than asking for it costs.
_ROLE_FILE = re.compile(r"([1-9][0-9]{0,17})\.(snapshot|bins-[0-9a-f]{1,8})\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class RoleFile:
    """A version of a role that is about to be fetched."""

    role: str
    version: int

    @classmethod
    def parse(cls, name: str) -> RoleFile | None:
        """From the name that consistent snapshots give it; None for a role that has no deltas."""
        found = _ROLE_FILE.fullmatch(name)
        return None if found is None else cls(found[2], int(found[1]))

    @property
    def is_bin(self) -> bool:
        """Whether it is one of the bins."""
        return self.role.startswith("bins-")

    @property
    def held_name(self) -> str:
        """Where python-tuf keeps the version that it trusted last."""
        return f"{self.role}.json"

    def delta_name(self, held: bytes) -> str | None:
        """The address, below the metadata's, of the delta from what is held; None when that is of no use."""
        version = version_of(held) if len(held) <= MAX_HELD_BYTES else None
        if version is None or not 0 < version < self.version:
            return None
        return f"deltas/{self.version}.{self.role}.from-{version}.zst"


@dataclass(frozen=True, slots=True)
class Listed:
    """What trusted metadata says of a file that is about to be fetched, as far as it says anything."""

    length: int | None = None
    sha256: str | None = None

    @classmethod
    def of_snapshot(cls, trusted_timestamp: bytes) -> Listed:
        """What a timestamp says of the snapshot. Nothing when it cannot be read: then the verification tells."""
        try:
            listed = orjson.loads(trusted_timestamp)["signed"]["meta"]["snapshot.json"]
            return cls(listed.get("length"), listed.get("hashes", {}).get("sha256"))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return cls()

    def agrees(self, raw: bytes) -> bool:
        """Whether these bytes may be what is listed."""
        if self.length is not None and len(raw) != self.length:
            return False
        return self.sha256 is None or hashlib.sha256(raw).hexdigest() == self.sha256


def rebuild(delta: bytes, held: bytes, max_bytes: int) -> bytes:
    """The new file from a delta and the held one. Whether it is the right one, only its verification says.

    Raises:
        Untrusted: the delta is no zstd frame for this dictionary, or makes more than `max_bytes` bytes.
    """
    import zstandard  # only when there is a delta: it is a tenth of our start-up time

    dictionary = zstandard.ZstdCompressionDict(held, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    decoder = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=MAX_WINDOW_BYTES)
    rebuilt = bytearray()
    try:
        for piece in decoder.read_to_iter(delta, write_size=_PIECE_BYTES):
            rebuilt += piece
            if len(rebuilt) > max_bytes:
                raise Untrusted(f"expected a delta of at most {max_bytes} bytes, got more", code="delta")
    except zstandard.ZstdError as error:
        raise Untrusted(f"expected a delta from the held version, got {error}", code="delta") from error
    return bytes(rebuilt)


def version_of(raw: bytes) -> int | None:
    """The version that metadata gives itself; None when it cannot be read."""
    try:
        version = orjson.loads(raw)["signed"]["version"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return version if type(version) is int else None
