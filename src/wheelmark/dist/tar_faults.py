"""The strict check of a source distribution's tar.gz: one gzip stream, one tar, plain members that stay in their tree.

Source: PEP 625; PEP 721 § Filters (the `data` filter); POSIX.1-2017 § pax.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from wheelmark.dist import zip_format as zf
from wheelmark.dist.bounds import CHUNK_BYTES, ArchiveBroken, Bounds, Meter, too_large
from wheelmark.dist.decoders import decode, gzip_decoder, pieces_of
from wheelmark.dist.entries import Observer
from wheelmark.dist.faults import FaultLog, fault, quoted
from wheelmark.dist.member_paths import PathLedger, path_faults
from wheelmark.dist.tar_format import BLOCK_BYTES, ByteSource, TarMember, TarReader, printable
from wheelmark.errors import Fault, Refused

GZIP_MAGIC = b"\x1f\x8b"
MAX_LINK_STEPS = 1_000_000
"""Path parts that may be looked at to resolve all symbolic links of one archive; chains of links multiply."""


def tar_faults(stream: BinaryIO, bounds: Bounds, observe: Observer) -> list[Fault]:
    """Every fault of a tar.gz; the bytes of its files go to the sinks that `observe` names.

    What a sink got may be incomplete or wrong when there are faults.
    """
    check = _TarCheck(stream, bounds, observe)
    try:
        check.run()
    except Refused as refusal:
        # Nothing can be read beyond this point, but what was found before it still stands.
        check.log.extend(refusal.faults)
    return check.log.found()


class _TarCheck:
    """One pass over one tar.gz. The steps share the stream, the meter and the log."""

    def __init__(self, stream: BinaryIO, bounds: Bounds, observe: Observer) -> None:
        self.stream = stream
        self.bounds = bounds
        self.observe = observe
        self.log = FaultLog()
        self.file_bytes = zf.size_of(stream)
        self.meter = Meter(bounds, self.file_bytes)
        self.ledger = PathLedger()
        self.links = LinkLedger()

    def run(self) -> None:
        if zf.read_at(self.stream, 0, 2) != GZIP_MAGIC:
            self.log.add("tar-compression", "expected a tar archive compressed with gzip, got something else")
            return
        if self.is_also_zip():
            self.log.add("tar-also-zip", "expected a tar archive, got a file that ends like a zip file")
        raw = pieces_of(self.stream, 0, self.file_bytes)
        decoder = gzip_decoder()
        source = ByteSource(self.metered(decode(raw, decoder)))
        reader = TarReader(source, self.bounds)
        while (member := reader.next_member()) is not None:
            self.check_member(member, reader)
        self.log.extend(self.ledger.nested())
        self.log.extend(self.links.faults())
        self.check_end(source, end_marked=reader.end_marked)
        rest = decoder.unused_data + next(raw, b"")
        if rest.startswith(GZIP_MAGIC):
            self.log.add("gzip-second-stream", "expected one gzip stream, got another after it")
        elif rest:
            self.log.add("gzip-trailing", "expected the file to end with its gzip stream, got more bytes")

    def is_also_zip(self) -> bool:
        """Whether the file's last bytes are a zip end record that leads to a central directory."""
        try:
            end = zf.find_end(self.stream)
        except ArchiveBroken:
            return False
        if end is None or end.offset + zf.END_BYTES + end.comment_size != self.file_bytes:
            return False
        directory = zf.read_at(self.stream, end.directory_start, 4)
        return end.directory_size == 0 or directory == zf.CENTRAL_SIGNATURE

    def metered(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.meter.came_out(len(chunk))
            yield chunk

    def check_member(self, member: TarMember, reader: TarReader) -> None:
        """One member: its path, type, headers and link; its bytes go to whoever wants them."""
        shown = quoted(member.path)
        self.meter.member(member.path)
        self.meter.member_size(member.path, member.size)
        self.log.extend(path_faults(member.path))
        self.log.extend(self.ledger.add(member.path, is_directory=member.kind == "directory"))
        if member.sparse:
            self.log.add("tar-sparse", f"expected plain members, got the sparse {shown}")
        elif member.kind == "other":
            self.log.add(
                "tar-member-type", f"expected a file, directory or link, got type {member.header.type!a} for {shown}"
            )
        if not member.holds_bytes and member.header.size:
            self.log.add(
                "tar-member-size", f"expected no bytes for the {member.kind} {shown}, got {member.header.size}"
            )
        self.check_extended(member)
        if member.kind == "symlink":
            if len(member.target) > self.bounds.max_path_chars:
                raise too_large(
                    "member-path-length",
                    f"expected a link target of at most {self.bounds.max_path_chars} characters, got more",
                )
            self.links.add_symlink(member.path, member.target)
        elif member.kind == "hardlink":
            self.log.extend(self.links.hardlink_faults(member.path, member.target))
        elif member.kind == "file":
            self.links.add_file(member.path)
        sink = self.observe(printable(member.path), member.kind)
        if sink is not None:
            for chunk in reader.chunks(reader.serial_now):
                sink(chunk)

    def check_extended(self, member: TarMember) -> None:
        """The extended headers: readers differ in which of two sources wins, so there may be only one."""
        shown = quoted(member.path)
        keys = Counter(key for key, _ in member.pax)
        for key, count in keys.items():
            if count > 1:
                self.log.add(
                    "tar-extended-header",
                    f"expected the pax keyword {quoted(key)} once for {shown}, got it {count} times",
                )
        if "hdrcharset" in keys:
            self.log.add("tar-extended-header", f"expected pax records in UTF-8, got another character set for {shown}")
        if (member.long_name and "path" in keys) or (member.long_target and "linkpath" in keys):
            self.log.add(
                "tar-extended-header", f"expected one source for a name, got a pax and a GNU header for {shown}"
            )
        for key, _ in member.global_pax:
            if key != "comment":
                self.log.add("tar-extended-header", f"expected only comments in global headers, got {quoted(key)}")
        # Readers that overlook one of two sizes take bytes of a file for headers.
        sizes = {value for key, value in member.pax if key == "size"} - {str(member.header.size)}
        if sizes:
            self.log.add(
                "tar-member-size",
                f"expected the header's size {member.header.size} in pax too for {shown}, got {quoted(min(sizes))}",
            )

    def check_end(self, source: ByteSource, *, end_marked: bool) -> None:
        """That two zero blocks end the archive, and that only zeros follow; reads the source to its end."""
        zeros, only_zeros = 0, True
        while piece := source.some(CHUNK_BYTES):
            zeros += len(piece)
            only_zeros = only_zeros and not piece.strip(b"\0")
        if not end_marked or zeros < BLOCK_BYTES:
            self.log.add("tar-end", "expected two zero blocks at the end of the tar archive, got fewer")
        if not only_zeros:
            self.log.add("tar-end", "expected only zeros after the end of the tar archive, got other bytes")


class LinkLedger:
    """The links of one archive, and whether they stay below its top folder."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._symlinks: dict[str, str] = {}
        self._steps_left = MAX_LINK_STEPS

    def add_file(self, path: str) -> None:
        """Note a file that a hard link may point to from now on."""
        self._files.add(path)

    def add_symlink(self, path: str, target: str) -> None:
        """Note a symbolic link. It is judged at the end, since its target may come after it."""
        self._symlinks[path] = target

    def hardlink_faults(self, path: str, target: str) -> Iterator[Fault]:
        """The fault of a hard link whose target is no file that came before it."""
        if target in self._files:
            self._files.add(path)
            return
        yield fault(
            "tar-link-target",
            f"expected the hard link {quoted(path)} to point to a file before it, got {quoted(target)}",
        )

    def faults(self) -> Iterator[Fault]:
        """The faults of all symbolic links: each must resolve, through the others, to a path below its top folder.

        Raises:
            ArchiveTooLarge: resolving them takes more steps than all links of one archive may.
        """
        for path, target in self._symlinks.items():
            if not self._stays_inside(path, target):
                yield fault(
                    "tar-link-escape",
                    f"expected the link {quoted(path)} to stay below its top folder, got the target {quoted(target)}",
                )

    def _stays_inside(self, path: str, target: str) -> bool:
        # The top folder itself is stripped by installers, so what climbs beside it climbs out.
        at = path.split("/")[:-1]
        if not at or not target:
            return False
        todo = [*reversed(target.split("/"))]
        if target.startswith("/") or "\\" in target or "\0" in target or target[1:2] == ":":
            return False
        followed = {path}
        while todo:
            self._steps_left -= 1
            if self._steps_left < 0:
                raise too_large("archive-members", f"expected links that resolve in {MAX_LINK_STEPS} steps, got more")
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at.pop()
                if not at:
                    return False
                continue
            at.append(part)
            here = "/".join(at)
            onward = self._symlinks.get(here)
            if onward is not None:
                if here in followed or onward.startswith("/"):
                    return False
                followed.add(here)
                at.pop()
                todo += reversed(onward.split("/"))
        return True
