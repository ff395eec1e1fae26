"""What one pass over a distribution's archive keeps: kinds and digests of its members, the bytes of a few."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from wheelmark.dist.entries import EntryKind, Sink
from wheelmark.dist.faults import FaultLog, quoted
from wheelmark.dist.names import Sha256


class _Member:
    """One file member: its running digest and size, and its first bytes when they are wanted."""

    __slots__ = ("digest", "kept", "max_kept_bytes", "size")

    def __init__(self, max_kept_bytes: int) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self.kept = bytearray()
        self.max_kept_bytes = max_kept_bytes

    def take(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.size += len(chunk)
        if room := self.max_kept_bytes - len(self.kept):
            self.kept += chunk[:room]


class Contents:
    """Filled by `observe` while the archive is checked. Of a path that stands twice the last counts, as on disk."""

    def __init__(self, wanted: Mapping[str, int], *, only_wanted: bool = False) -> None:
        """`wanted` has the paths whose bytes are kept, each with the most bytes that it may have.

        With `only_wanted` the bytes of other members are not looked at, and have no digest.
        """
        self._wanted = wanted
        self._only_wanted = only_wanted
        self._members: dict[str, _Member] = {}
        self.kinds: dict[str, EntryKind] = {}
        """Path (a directory's without the slash at its end) to kind."""

    def observe(self, path: str, kind: EntryKind) -> Sink | None:
        """The observer for `archive_faults`."""
        self.kinds[path.removesuffix("/")] = kind
        if kind != "file" or (self._only_wanted and path not in self._wanted):
            return None
        member = self._members[path] = _Member(self._wanted.get(path, 0))
        return member.take

    def files(self) -> set[str]:
        """The paths of the members that are files."""
        return {path for path, kind in self.kinds.items() if kind == "file"}

    def sha256_and_size(self, path: str) -> tuple[Sha256, int]:
        """The digest and size, in bytes, of a file member whose bytes were looked at."""
        member = self._members[path]
        return Sha256(member.digest.hexdigest()), member.size

    def wanted_bytes(self, path: str, log: FaultLog, *, missing_code: str, too_large_code: str) -> bytes | None:
        """The bytes of a wanted member, or None when it is not there or too large, which is noted."""
        member = self._members.get(path)
        if member is None:
            log.add(missing_code, f"expected the file {quoted(path)}, got none")
            return None
        if member.size > self._wanted[path]:
            log.add(too_large_code, f"expected at most {self._wanted[path]} bytes in {quoted(path)}, got {member.size}")
            return None
        return bytes(member.kept)
