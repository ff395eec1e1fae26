"""Archives made to be seen differently by two readers, to escape, or to exhaust. Each is named by the rule it breaks.

Beside every kind of hostile archive stands its harmless twin, which must be accepted: a check that refuses everything
would pass the first half.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import pytest

from support.distributions import build_wheel, gzipped, payload
from support.hostile_archives import (
    DESCRIPTOR,
    ENCRYPTED,
    FULL_32,
    STORED,
    SYMLINK_MODE,
    TAR_END,
    UTF8,
    Part,
    deflated,
    descriptor,
    extra_field,
    pax_member,
    pax_record,
    raw_block,
    raw_tar_gz,
    raw_zip,
    simple_tar_gz,
    streamed,
    tar_info,
    tar_member,
    unicode_path,
)
from wheelmark.dist import ArchiveBroken, ArchiveTooLarge, Bounds, archive_faults, walk_archive
from wheelmark.dist.faults import MAX_FAULTS

HELLO = b"print('demo')\n" * 3
TOP = "demo-1.0"


def zip_codes(raw: bytes, bounds: Bounds | None = None) -> set[str]:
    faults = archive_faults(io.BytesIO(raw), filename="demo-1.0-py3-none-any.whl", bounds=bounds or Bounds())
    return {fault.code for fault in faults}


def tar_codes(raw: bytes, bounds: Bounds | None = None) -> set[str]:
    faults = archive_faults(io.BytesIO(raw), filename="demo-1.0.tar.gz", bounds=bounds or Bounds())
    return {fault.code for fault in faults}


def zip64_extra(*numbers: int) -> bytes:
    return extra_field(0x0001, struct.pack(f"<{len(numbers)}Q", *numbers))


def zip_that_begins_as_tar() -> bytes:
    """A zip whose first member's name puts digits where a tar header has its numbers, the right checksum among them."""
    name = b"n" * 70 + b"0" * 48 + b"%08o" + b"0" * 30
    block = raw_zip(Part(name=name % 0, content=bytes(400), method=STORED))[:512]
    checksum = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    return raw_zip(Part(name=name % checksum, content=bytes(400), method=STORED))


SOUND_ZIPS = {
    "one member": raw_zip(Part()),
    "several members": raw_zip(Part(), Part(name=b"demo/data.bin", method=STORED, content=b"\0" * 9)),
    "no members": raw_zip(),
    "a directory": raw_zip(Part(name=b"demo/", content=b"", method=STORED, mode=0o40755), Part(name=b"demo/a.py")),
    "a name outside ASCII": raw_zip(Part(name="demo/größe.py".encode())),
    "a data descriptor": raw_zip(streamed(), Part(name=b"b.py")),
    "a data descriptor without signature": raw_zip(
        streamed(after=descriptor(HELLO, deflated(HELLO), signature=False)), Part(name=b"b.py")
    ),
    "a data descriptor of 64 bits": raw_zip(streamed(after=descriptor(HELLO, deflated(HELLO), wide=True))),
    "an empty stored member with a descriptor": raw_zip(
        Part(content=b"", method=STORED, flags=UTF8 | DESCRIPTOR, after=descriptor(b"", b""))
    ),
    "zip64 end record": raw_zip(Part(), zip64=True),
    "zip64 sizes in the local header": raw_zip(
        Part(
            content=HELLO,
            local_size=FULL_32,
            local_packed_size=FULL_32,
            local_extra=zip64_extra(len(HELLO), len(deflated(HELLO))),
        )
    ),
    "zip64 sizes repeated": raw_zip(Part(content=HELLO, local_extra=zip64_extra(len(HELLO), len(deflated(HELLO))))),
    "a Unicode path that says the same": raw_zip(Part(extra=unicode_path(b"demo.py", b"demo.py"))),
    "an extra field of another kind": raw_zip(Part(extra=extra_field(0x5455, b"\x01\0\0\0\0"))),
    "the last version of the format": raw_zip(Part(version_needed=63)),
    "dots in names": raw_zip(Part(name=b"demo/..data.py"), Part(name=b"demo/.hidden"), Part(name=b"demo/x..")),
    "names that differ in more than case": raw_zip(Part(name=b"demo/a.py"), Part(name=b"demo/b.py")),
    "an end record's pattern inside a stored member": raw_zip(
        Part(content=b"PK\x05\x06" + b"\0" * 18 + b"PK\x01\x02" + b"PK\x03\x04", method=STORED)
    ),
}

HOSTILE_ZIPS = {
    # What two readers see differently
    "prefix": ("zip-prefix", raw_zip(Part(), prefix=b"#!/bin/sh\n")),
    "bytes between members": ("zip-gap", raw_zip(Part(), Part(name=b"b.py", before=b"hidden"))),
    "an unlisted member between members": ("zip-gap", raw_zip(Part(), Part(name=b"b.py", before=raw_zip(Part())[:60]))),
    "bytes before the directory": ("zip-gap", raw_zip(Part(), before_directory=b"hidden", offset_shift=0)),
    "bytes after": ("zip-trailing", raw_zip(Part(), trailing=b"hidden")),
    "a second archive after": ("zip-prefix", raw_zip(Part()) + raw_zip(Part(content=b"other"))),
    "comment": ("zip-comment", raw_zip(Part(), comment=b"hello")),
    "duplicate": ("member-duplicate", raw_zip(Part(), Part(content=b"other"))),
    "duplicate in case only": ("member-collision", raw_zip(Part(name=b"demo.py"), Part(name=b"DEMO.py"))),
    "duplicate in Unicode form only": (
        "member-collision",
        raw_zip(Part(name="\u00e9.py".encode()), Part(name="e\u0301.py".encode())),
    ),
    "a file that is a folder too": ("member-under-file", raw_zip(Part(name=b"demo"), Part(name=b"demo/a.py"))),
    "local name differs": ("zip-header-mismatch", raw_zip(Part(local_name=b"evil.py"))),
    "local size differs": ("zip-header-mismatch", raw_zip(Part(local_size=3))),
    "local CRC-32 differs": ("zip-header-mismatch", raw_zip(Part(local_crc32=7))),
    "local method differs": ("zip-header-mismatch", raw_zip(Part(local_method=STORED))),
    "local flags differ": ("zip-header-mismatch", raw_zip(Part(local_flags=0))),
    "no local header": ("zip-local-header", raw_zip(Part(local_signature=b"XX\x03\x04"))),
    "two records share a member": ("zip-overlap", raw_zip(Part(), Part(name=b"b.py", offset_shift=-51))),
    "descriptor disagrees": ("zip-descriptor", raw_zip(streamed(after=descriptor(b"other", b"other")))),
    "descriptor missing": ("zip-descriptor", raw_zip(streamed(after=b""))),
    "stored with descriptor": (
        "zip-descriptor",
        raw_zip(streamed(method=STORED, packed=HELLO, after=descriptor(HELLO, HELLO))),
    ),
    "too few records": ("zip-end-record", raw_zip(Part(), Part(name=b"b.py"), records=1)),
    "several disks": ("zip-end-record", raw_zip(Part(), disk=1)),
    "zip64 record disagrees": ("zip64-record", raw_zip(Part(), zip64=True, zip64_records=2)),
    "zip64 locator points elsewhere": ("zip64-record", raw_zip(Part(), zip64=True, locator_shift=4)),
    "zip64 locator alone": ("zip64-record", raw_zip(Part(), locator_alone=True)),
    "zip64 field twice": (
        "zip-extra",
        raw_zip(Part(content=HELLO, local_extra=zip64_extra(len(HELLO), len(deflated(HELLO))) * 2)),
    ),
    "zip64 field that disagrees": ("zip-extra", raw_zip(Part(local_extra=zip64_extra(1)))),
    "zip64 field missing": ("zip-extra", raw_zip(Part(local_size=FULL_32))),
    "extra field cut off": ("zip-extra", raw_zip(Part(extra=b"\x01\x02\xff\x00x"))),
    "Unicode path says another name": ("zip-unicode-path", raw_zip(Part(extra=unicode_path(b"demo.py", b"evil.py")))),
    "Unicode path twice": ("zip-extra", raw_zip(Part(extra=unicode_path(b"demo.py", b"demo.py") * 2))),
    "UTF-8 without its flag": ("member-path-encoding", raw_zip(Part(name="größe.py".encode(), flags=0))),
    "not UTF-8": ("member-path-encoding", raw_zip(Part(name=b"gr\xf6\xdfe.py"))),
    "begins as tar": ("zip-also-tar", zip_that_begins_as_tar()),
    "not a zip": ("archive-format", b"hello"),
    "empty": ("archive-format", b""),
    # What unpacks to something else than it says
    "bzip2": ("zip-method", raw_zip(Part(method=12, packed=bz2.compress(b"print('demo')\n")))),
    "encrypted": ("zip-encrypted", raw_zip(Part(flags=UTF8 | ENCRYPTED))),
    "format of the future": ("zip-version", raw_zip(Part(version_needed=64))),
    "unknown flag": ("zip-flags", raw_zip(Part(flags=UTF8 | 0x0020))),
    "more bytes than declared": ("zip-member-data", raw_zip(Part(size=3, crc32=0))),
    "wrong CRC-32": ("zip-member-data", raw_zip(Part(crc32=1))),
    "not deflate": ("zip-member-data", raw_zip(Part(packed=b"\xff" * 20))),
    "deflate cut off": ("zip-member-data", raw_zip(Part(packed=deflated(HELLO * 9)[:-4], content=HELLO * 9))),
    "bytes after the deflate stream": (
        "zip-member-data",
        raw_zip(Part(packed=deflated(HELLO) + b"hidden", content=HELLO)),
    ),
    # What harms whoever unpacks
    "absolute": ("member-path-absolute", raw_zip(Part(name=b"/etc/demo"))),
    "climbs": ("member-path-traversal", raw_zip(Part(name=b"demo/../../evil.py"))),
    "climbs by backslash": ("member-path-traversal", raw_zip(Part(name=b"demo\\..\\evil.py"))),
    "backslash": ("member-path-backslash", raw_zip(Part(name=b"demo\\evil.py"))),
    "drive": ("member-path-drive", raw_zip(Part(name=b"C:evil.py"))),
    "NUL": ("member-path-unprintable", raw_zip(Part(name=b"demo.py\0.txt"))),
    "newline": ("member-path-unprintable", raw_zip(Part(name=b"demo\n.py"))),
    "reversed text": ("member-path-unprintable", raw_zip(Part(name="demo\u202eyp.txt".encode()))),
    "empty part": ("member-path-empty", raw_zip(Part(name=b"demo//a.py"))),
    "dot part": ("member-path-empty", raw_zip(Part(name=b"./a.py"))),
    "no name": ("member-path-empty", raw_zip(Part(name=b""))),
    "symbolic link": ("zip-special-member", raw_zip(Part(content=b"/etc/passwd", mode=SYMLINK_MODE))),
    "device": ("zip-special-member", raw_zip(Part(mode=0o20666))),
    "directory with bytes": ("zip-special-member", raw_zip(Part(name=b"demo/", mode=0o40755))),
}


@pytest.mark.parametrize("name", SOUND_ZIPS)
def test_sound_zip_has_no_fault(name: str) -> None:
    assert zip_codes(SOUND_ZIPS[name]) == set()


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_hostile_zip_is_refused_by_its_rule(name: str) -> None:
    code, raw = HOSTILE_ZIPS[name]
    assert code in zip_codes(raw)


LINK = tarfile.SYMTYPE
FILE = tar_member(tar_info(f"{TOP}/a.py", size=len(HELLO)), HELLO)


def link(path: str, target: str, kind: bytes = LINK) -> bytes:
    return tar_member(tar_info(f"{TOP}/{path}", kind, target=target))


SOUND_TARS = {
    "one member": raw_tar_gz(FILE),
    "made by tarfile": simple_tar_gz((f"{TOP}/a.py", HELLO), (f"{TOP}/b.py", b"")),
    "padded with more zeros": raw_tar_gz(FILE, end=bytes(10240)),
    "a directory": raw_tar_gz(tar_member(tar_info(f"{TOP}/", tarfile.DIRTYPE)), FILE),
    "a long name in pax": raw_tar_gz(pax_member([("path", f"{TOP}/{'x' * 200}"), ("mtime", "1.5")]), FILE),
    "a long name of GNU": raw_tar_gz(
        tar_member(tar_info("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=151), b"d" * 150 + b"\0"), FILE
    ),
    "a pax size that agrees": raw_tar_gz(pax_member([("size", str(len(HELLO)))]), FILE),
    "a global comment": raw_tar_gz(pax_member([("comment", "0123abcd")], tarfile.XGLTYPE), FILE),
    "a link beside": raw_tar_gz(FILE, link("b.py", "a.py")),
    "a link up and inside": raw_tar_gz(FILE, link("sub/b.py", "../a.py")),
    "a link through a link": raw_tar_gz(FILE, link("here", "."), link("sub/there", "../here/a.py")),
    "a link to nothing": raw_tar_gz(FILE, link("b.py", "not/there")),
    "a hard link to a file before": raw_tar_gz(FILE, link("b.py", f"{TOP}/a.py", tarfile.LNKTYPE)),
    "a name outside ASCII": raw_tar_gz(tar_member(tar_info(f"{TOP}/größe.py"))),
}

HOSTILE_TARS = {
    # What two readers see differently
    "second gzip stream": ("gzip-second-stream", raw_tar_gz(FILE) + gzip.compress(b"x", mtime=0)),
    "bytes after": ("gzip-trailing", raw_tar_gz(FILE) + b"hidden"),
    "zeros after": ("gzip-trailing", raw_tar_gz(FILE) + bytes(9)),
    "a zip after": ("tar-also-zip", raw_tar_gz(FILE) + raw_zip(Part())),
    "bytes after the end": ("tar-end", raw_tar_gz(FILE, end=TAR_END + FILE)),
    "one zero block": ("tar-end", raw_tar_gz(FILE, end=bytes(512))),
    "no end": ("tar-end", raw_tar_gz(FILE, end=b"")),
    "a member after one zero block": ("tar-end", raw_tar_gz(FILE, bytes(512), FILE)),
    "bzip2": ("tar-compression", bz2.compress(FILE + TAR_END)),
    "xz": ("tar-compression", lzma.compress(FILE + TAR_END)),
    "plain tar": ("tar-compression", FILE + TAR_END),
    "zip": ("tar-compression", raw_zip(Part())),
    "not a tar": ("archive-broken", gzipped(b"hello" * 200)),
    "broken checksum": ("archive-broken", raw_tar_gz(b"x" + FILE[1:])),
    "cut off": ("archive-broken", raw_tar_gz(FILE)[:-20]),
    "wrong gzip checksum": ("archive-broken", raw_tar_gz(FILE)[:-8] + b"\0" * 8),
    "duplicate": ("member-duplicate", raw_tar_gz(FILE, FILE)),
    "duplicate in case only": ("member-collision", raw_tar_gz(FILE, tar_member(tar_info(f"{TOP}/A.py")))),
    "duplicate in Unicode form only": (
        "member-collision",
        raw_tar_gz(tar_member(tar_info(f"{TOP}/\u00e9.py")), tar_member(tar_info(f"{TOP}/e\u0301.py"))),
    ),
    "a file that is a folder too": ("member-under-file", raw_tar_gz(FILE, tar_member(tar_info(f"{TOP}/a.py/b.py")))),
    "a member below a link": ("member-under-file", raw_tar_gz(link("s", "."), tar_member(tar_info(f"{TOP}/s/b.py")))),
    "pax size hides a member": (
        "tar-member-size",
        raw_tar_gz(pax_member([("size", "1024")]), FILE, tar_member(tar_info(f"{TOP}/hidden.py"))),
    ),
    "directory with bytes": (
        "tar-member-size",
        raw_tar_gz(tar_member(tar_info(f"{TOP}/d", tarfile.DIRTYPE, size=512)), FILE),
    ),
    "link with bytes": (
        "tar-member-size",
        raw_tar_gz(tar_member(tar_info(f"{TOP}/l", LINK, target="a", size=512)), FILE),
    ),
    "pax keyword twice": (
        "tar-extended-header",
        raw_tar_gz(pax_member([("path", f"{TOP}/b.py"), ("path", f"{TOP}/c.py")]), FILE),
    ),
    "name from pax and GNU": (
        "tar-extended-header",
        raw_tar_gz(
            tar_member(tar_info("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=2), b"d\0"),
            pax_member([("path", f"{TOP}/b.py")]),
            FILE,
        ),
    ),
    "name for all members": ("tar-extended-header", raw_tar_gz(pax_member([("path", "x")], tarfile.XGLTYPE), FILE)),
    "pax character set": ("tar-extended-header", raw_tar_gz(pax_member([("hdrcharset", "BINARY")]), FILE)),
    "broken pax record": (
        "archive-broken",
        raw_tar_gz(tar_member(tar_info("pax", tarfile.XHDTYPE, size=9), b"99 path=x"), FILE),
    ),
    "extended header at the end": ("archive-broken", raw_tar_gz(FILE, pax_member([("path", "x")]))),
    "not UTF-8": ("member-path-encoding", raw_tar_gz(tar_member(tar_info(f"{TOP}/gr\udcf6\udcdfe.py")))),
    # What harms whoever unpacks
    "sparse": ("tar-sparse", raw_tar_gz(tar_member(tar_info(f"{TOP}/s", tarfile.GNUTYPE_SPARSE)))),
    "sparse in pax": (
        "tar-sparse",
        raw_tar_gz(pax_member([("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9" * 12)]), FILE),
    ),
    "character device": ("tar-member-type", raw_tar_gz(tar_member(tar_info(f"{TOP}/d", tarfile.CHRTYPE)))),
    "block device": ("tar-member-type", raw_tar_gz(tar_member(tar_info(f"{TOP}/d", tarfile.BLKTYPE)))),
    "pipe": ("tar-member-type", raw_tar_gz(tar_member(tar_info(f"{TOP}/d", tarfile.FIFOTYPE)))),
    "unknown type": ("tar-member-type", raw_tar_gz(tar_member(tar_info(f"{TOP}/d", b"Z")))),
    "absolute": ("member-path-absolute", raw_tar_gz(tar_member(tar_info("/etc/demo")))),
    "climbs": ("member-path-traversal", raw_tar_gz(tar_member(tar_info(f"{TOP}/../../evil.py")))),
    "climbs in pax": ("member-path-traversal", raw_tar_gz(pax_member([("path", "../evil.py")]), FILE)),
    "backslash": ("member-path-backslash", raw_tar_gz(tar_member(tar_info(f"{TOP}\\evil.py")))),
    "drive": ("member-path-drive", raw_tar_gz(tar_member(tar_info("c:/evil.py")))),
    "NUL in pax": ("member-path-unprintable", raw_tar_gz(pax_member([("path", f"{TOP}/a\0.txt")]), FILE)),
    "dot part": ("member-path-empty", raw_tar_gz(tar_member(tar_info(f"./{TOP}/a.py")))),
    "a file with a slash at its end": ("member-path-empty", raw_tar_gz(tar_member(tar_info(f"{TOP}/a/", b"0")))),
    "absolute link": ("tar-link-escape", raw_tar_gz(link("b", "/etc/passwd"))),
    "link with a drive": ("tar-link-escape", raw_tar_gz(link("b", "C:/x"))),
    "link with a backslash": ("tar-link-escape", raw_tar_gz(link("b", "..\\..\\x"))),
    "link that climbs": ("tar-link-escape", raw_tar_gz(link("b", "../../etc/passwd"))),
    "link beside the top folder": ("tar-link-escape", raw_tar_gz(link("b", "../other"))),
    "link in place of the top folder": ("tar-link-escape", raw_tar_gz(tar_member(tar_info(TOP, LINK, target="x")))),
    "link that climbs through a link": (
        "tar-link-escape",
        raw_tar_gz(link("a/deep/l", "../.."), link("b", "a/deep/l/../x")),
    ),
    "link in a circle": ("tar-link-escape", raw_tar_gz(link("a", "b"), link("b", "a"))),
    "link to nowhere": ("tar-link-escape", raw_tar_gz(link("a", ""))),
    "hard link out": ("tar-link-target", raw_tar_gz(link("b", "../../etc/passwd", tarfile.LNKTYPE))),
    "hard link to what comes later": ("tar-link-target", raw_tar_gz(link("b", f"{TOP}/a.py", tarfile.LNKTYPE), FILE)),
    "hard link to a link": ("tar-link-target", raw_tar_gz(link("l", "x"), link("b", f"{TOP}/l", tarfile.LNKTYPE))),
}


@pytest.mark.parametrize("name", SOUND_TARS)
def test_sound_tar_has_no_fault(name: str) -> None:
    assert tar_codes(SOUND_TARS[name]) == set()


@pytest.mark.parametrize("name", HOSTILE_TARS)
def test_hostile_tar_is_refused_by_its_rule(name: str) -> None:
    code, raw = HOSTILE_TARS[name]
    assert code in tar_codes(raw)


def walked(raw: bytes, filename: str = "demo.zip", bounds: Bounds | None = None) -> dict[str, bytes]:
    entries = walk_archive(io.BytesIO(raw), filename=filename, bounds=bounds or Bounds())
    return {entry.path: entry.read() for entry in entries}


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_walk_of_hostile_zip_ends_in_entries_or_refusal(name: str) -> None:
    try:
        walked(HOSTILE_ZIPS[name][1])
    except (ArchiveBroken, ArchiveTooLarge) as refusal:
        assert refusal.faults


@pytest.mark.parametrize("name", HOSTILE_TARS)
def test_walk_of_hostile_tar_ends_in_entries_or_refusal(name: str) -> None:
    try:
        walked(HOSTILE_TARS[name][1], "demo.tar.gz")
    except (ArchiveBroken, ArchiveTooLarge) as refusal:
        assert refusal.faults


ZEROS = bytes(2 << 20)
LOW = Bounds(ratio_floor_bytes=1 << 20)
DEEP = "/".join("d" * 70)

BOMBS: dict[str, tuple[str, str, bytes, Bounds]] = {
    "zip ratio": ("archive-ratio", "a.zip", raw_zip(Part(content=ZEROS)), LOW),
    "zip total": ("archive-size", "a.zip", raw_zip(Part(content=ZEROS)), Bounds(max_total_bytes=1 << 20)),
    "zip member": ("member-size", "a.zip", raw_zip(Part(content=ZEROS)), Bounds(max_member_bytes=1 << 20)),
    "zip that declares little": ("archive-ratio", "a.zip", raw_zip(Part(content=ZEROS, size=9, local_size=9)), LOW),
    "zip members": (
        "archive-members",
        "a.zip",
        raw_zip(*(Part(name=b"%d" % i) for i in range(9))),
        Bounds(max_members=8),
    ),
    "zip directory": ("archive-members", "a.zip", raw_zip(Part()), Bounds(max_directory_bytes=20)),
    "zip depth": ("member-path-depth", "a.zip", raw_zip(Part(name=DEEP.encode())), Bounds()),
    "zip path": ("member-path-length", "a.zip", raw_zip(Part(name=b"x" * 2000)), Bounds()),
    "tar ratio": ("archive-ratio", "a.tar.gz", simple_tar_gz(("a", ZEROS)), LOW),
    "tar total": ("archive-size", "a.tar.gz", simple_tar_gz(("a", ZEROS)), Bounds(max_total_bytes=1 << 20)),
    "tar member": ("member-size", "a.tar.gz", simple_tar_gz(("a", ZEROS)), Bounds(max_member_bytes=1 << 20)),
    "tar zeros after the end": ("archive-ratio", "a.tar.gz", raw_tar_gz(FILE, end=ZEROS), LOW),
    "tar members": (
        "archive-members",
        "a.tar.gz",
        simple_tar_gz(*((str(i), b"") for i in range(9))),
        Bounds(max_members=8),
    ),
    "tar depth": ("member-path-depth", "a.tar.gz", simple_tar_gz((DEEP, b"")), Bounds()),
    "tar path": ("member-path-length", "a.tar.gz", simple_tar_gz(("x" * 2000, b"")), Bounds()),
    "tar long header": (
        "archive-size",
        "a.tar.gz",
        raw_tar_gz(tar_member(tar_info("x", tarfile.GNUTYPE_LONGNAME, size=len(ZEROS)), ZEROS)),
        Bounds(),
    ),
    "tar headers without end": (
        "archive-members",
        "a.tar.gz",
        raw_tar_gz(pax_member([("a", "b")]) * 20, FILE),
        Bounds(),
    ),
}
STRICT_ONLY = {"tar zeros after the end"}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_stopped_by_its_bound(name: str) -> None:
    code, filename, raw, bounds = BOMBS[name]
    assert code in {fault.code for fault in archive_faults(io.BytesIO(raw), filename=filename, bounds=bounds)}
    if name not in STRICT_ONLY:
        with pytest.raises(ArchiveTooLarge) as refusal:
            walked(raw, filename, bounds)
        assert refusal.value.code == code


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_within_its_bounds_is_read(name: str) -> None:
    _, filename, raw, _ = BOMBS[name]
    wide = Bounds(max_ratio=10**6, max_path_chars=10**4, max_path_parts=10**4, max_header_bytes=1 << 22)
    codes = {fault.code for fault in archive_faults(io.BytesIO(raw), filename=filename, bounds=wide)}
    assert BOMBS[name][0] not in codes - {"archive-members"}


def test_overlapping_members_cannot_multiply() -> None:
    one = raw_zip(Part(content=ZEROS))
    directory_start = one.index(b"PK\x01\x02")
    record = one[directory_start : one.index(b"PK\x05\x06")]
    many = one[:directory_start] + record * 60
    many += struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 60, 60, len(record) * 60, directory_start, 0)
    assert "zip-overlap" in zip_codes(many)
    with pytest.raises(ArchiveTooLarge):
        walked(many, bounds=Bounds(max_total_bytes=100 << 20, max_ratio=10**6))


def test_bomb_costs_no_memory() -> None:
    raw = raw_zip(Part(content=bytes(80 << 20)))
    tracemalloc.start()
    try:
        assert zip_codes(raw) == {"archive-ratio"}
        with pytest.raises(ArchiveTooLarge):
            for entry in walk_archive(io.BytesIO(raw), filename="a.zip"):
                for _ in entry.chunks():
                    pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_lzma_that_asks_for_memory_is_refused() -> None:
    hungry = b"\x09\x14\x05\x00" + bytes([93]) + b"\xff\xff\xff\xff" + b"x" * 20
    with pytest.raises(ArchiveTooLarge):
        walked(raw_zip(Part(method=14, packed=hungry)))


def test_xz_that_asks_for_memory_is_refused() -> None:
    raw = bytearray(lzma.compress(FILE + TAR_END))
    header_size = (raw[12] + 1) * 4
    raw[16] = 40  # a dictionary of 4 GiB
    raw[12 + header_size - 4 : 12 + header_size] = zlib.crc32(raw[12 : 12 + header_size - 4]).to_bytes(4, "little")
    with pytest.raises(ArchiveBroken, match=r"[Mm]emory"):
        walked(bytes(raw), "a.tar.xz")


def test_links_that_multiply_are_stopped() -> None:
    chain = [
        pax_member([("linkpath", f"l{index + 1}/" + "x/../" * 150)]) + link(f"l{index}", "x") for index in range(400)
    ]
    assert "archive-members" in tar_codes(raw_tar_gz(*chain))


def test_faults_of_one_archive_are_bounded() -> None:
    raw = raw_zip(*(Part(name=b"/x%d" % index) for index in range(MAX_FAULTS + 50)))
    faults = archive_faults(io.BytesIO(raw), filename="demo.whl")
    assert len(faults) == MAX_FAULTS + 1
    assert faults[-1].code == "too-many-faults"
    assert "50" in faults[-1].message


def test_all_faults_of_an_archive_are_told_at_once() -> None:
    raw = raw_zip(Part(name=b"/a"), Part(name=b"../b", crc32=1), Part(name=b"c", local_size=1), trailing=b"x")
    assert zip_codes(raw) >= {
        "member-path-absolute",
        "member-path-traversal",
        "zip-member-data",
        "zip-header-mismatch",
        "zip-trailing",
    }


def test_message_shows_hostile_name_escaped() -> None:
    raw = raw_zip(Part(name="a\n\u202e\x1b[31m.py".encode()))
    messages = " ".join(fault.message for fault in archive_faults(io.BytesIO(raw), filename="a.whl"))
    assert messages.isascii()
    assert messages.isprintable()


class TestPolyglots:
    """A file that is both zip and tar is read the way its name makes an installer read it."""

    both = raw_tar_gz(tar_member(tar_info("from-tar"))) + raw_zip(Part(name=b"from-zip"))

    def test_wheel_name_shows_the_zip(self) -> None:
        assert set(walked(self.both, "demo-1.0-py3-none-any.whl")) == {"from-zip"}

    def test_tar_name_shows_the_tar(self) -> None:
        assert set(walked(self.both, "demo-1.0.tar.gz")) == {"from-tar"}

    def test_is_refused_under_both_names(self) -> None:
        assert "zip-prefix" in zip_codes(self.both)
        assert "tar-also-zip" in tar_codes(self.both)


class TestWalkShowsWhatAnInstallerSees:
    """Odd archives that are not refused by installers are not refused by the walk: it would blind the scanner."""

    def test_archive_behind_a_prefix(self) -> None:
        assert walked(raw_zip(Part(content=HELLO), prefix=b"#!/bin/sh\n")) == {"demo.py": HELLO}

    def test_duplicates_are_all_shown(self) -> None:
        raw = raw_zip(Part(content=b"first"), Part(content=b"second"))
        entries = [(entry.path, entry.read()) for entry in walk_archive(io.BytesIO(raw), filename="a.whl")]
        assert entries == [("demo.py", b"first"), ("demo.py", b"second")]

    def test_name_ends_at_nul(self) -> None:
        assert set(walked(raw_zip(Part(name=b"evil.py\0.txt")))) == {"evil.py"}

    def test_unicode_path_wins(self) -> None:
        assert set(walked(raw_zip(Part(extra=unicode_path(b"demo.py", b"evil.py"))))) == {"evil.py"}

    def test_name_without_flag_is_code_page_437(self) -> None:
        assert set(walked(raw_zip(Part(name=b"gr\x94\xe1e.py", flags=0)))) == {"größe.py"}

    def test_second_gzip_stream_belongs_to_the_tar(self) -> None:
        half = len(FILE) // 2
        raw = gzipped(FILE[:half]) + gzipped(FILE[half:] + TAR_END)
        assert walked(raw, "demo.tar.gz") == {f"{TOP}/a.py": HELLO}

    def test_bytes_after_the_gzip_stream_are_passed_over(self) -> None:
        assert walked(raw_tar_gz(FILE) + b"hidden", "demo.tar.gz") == {f"{TOP}/a.py": HELLO}

    def test_pax_names_and_sizes_count(self) -> None:
        raw = raw_tar_gz(pax_member([("path", "evil.py"), ("size", "5")]), FILE)
        assert walked(raw, "demo.tar.gz") == {"evil.py": HELLO[:5]}

    def test_links_are_shown_with_their_targets(self) -> None:
        raw = raw_tar_gz(FILE, link("l", "../../x"), link("h", f"{TOP}/a.py", tarfile.LNKTYPE))
        entries = [(e.path, e.kind, e.target) for e in walk_archive(io.BytesIO(raw), filename="a.tar.gz")]
        assert entries[1:] == [(f"{TOP}/l", "symlink", "../../x"), (f"{TOP}/h", "hardlink", f"{TOP}/a.py")]

    def test_symbolic_link_of_a_zip_has_its_bytes(self) -> None:
        (entry,) = walk_archive(io.BytesIO(raw_zip(Part(content=HELLO, mode=SYMLINK_MODE))), filename="a.whl")
        assert (entry.kind, entry.read()) == ("symlink", HELLO)

    def test_bytes_of_special_tar_members_can_be_read(self) -> None:
        raw = raw_tar_gz(tar_member(tar_info("x", b"Z", size=len(HELLO)), HELLO), FILE)
        entries = [(e.path, e.kind, e.read()) for e in walk_archive(io.BytesIO(raw), filename="a.tar.gz")]
        assert entries == [("x", "other", HELLO), (f"{TOP}/a.py", "file", HELLO)]

    def test_old_sparse_member_does_not_hide_what_follows(self) -> None:
        block = bytearray(raw_block(tar_info("s", tarfile.GNUTYPE_SPARSE, size=len(HELLO))))
        block[482] = 1
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        raw = raw_tar_gz(bytes(block), bytes(512), HELLO + bytes(512 - len(HELLO)), FILE)
        assert walked(raw, "a.tar.gz") == {"s": HELLO, f"{TOP}/a.py": HELLO}

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_every_method_of_zipfile_is_read(self, method: int) -> None:
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", method) as archive:
            archive.writestr("a.py", HELLO * 1000)
            archive.writestr("empty", b"")
        assert walked(memory.getvalue()) == {"a.py": HELLO * 1000, "empty": b""}

    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
    def test_every_compression_of_tarfile_is_read(self, mode: str) -> None:
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode=mode) as archive:  # type: ignore[call-overload]  # the mode is a value
            archive.addfile(tar_info("a.py", size=len(HELLO)), io.BytesIO(HELLO))
        assert walked(memory.getvalue(), "a.bin") == {"a.py": HELLO}


class TestWalkFailsClosed:
    """What cannot be read to its end is said to be so, never passed over."""

    @pytest.mark.parametrize(
        "part",
        [
            Part(crc32=1),
            Part(size=3),
            Part(packed=b"\xff" * 9),
            Part(flags=UTF8 | ENCRYPTED),
            Part(method=99),
            Part(local_signature=b"XXXX"),
        ],
    )
    def test_member_that_cannot_be_read_is_broken_and_the_next_is_shown(self, part: Part) -> None:
        entries = walk_archive(io.BytesIO(raw_zip(part, Part(name=b"b.py", content=HELLO))), filename="a.whl")
        with pytest.raises(ArchiveBroken):
            next(entries).read()
        assert next(entries).read() == HELLO

    def test_open_stream_raises_too(self) -> None:
        entry = next(walk_archive(io.BytesIO(raw_zip(Part(crc32=1))), filename="a.whl"))
        with entry.open() as stream, pytest.raises(ArchiveBroken):
            stream.read()

    @pytest.mark.parametrize("kept", [0.1, 0.5, 0.8])
    def test_compressed_tar_cut_off_is_broken(self, kept: float) -> None:
        raw = simple_tar_gz(("a.bin", b"".join(payload(4096))), ("b.py", HELLO))
        with pytest.raises(ArchiveBroken):
            walked(raw[: int(len(raw) * kept)], "a.tar.gz")

    @pytest.mark.parametrize("kept", [520, 900, 1100])
    def test_plain_tar_cut_off_is_broken(self, kept: int) -> None:
        with pytest.raises(ArchiveBroken):
            walked((FILE + FILE + TAR_END)[:kept], "a.tar")

    def test_invalid_header_is_not_the_end(self) -> None:
        with pytest.raises(ArchiveBroken):
            walked(raw_tar_gz(FILE, b"x" * 512, FILE), "a.tar.gz")

    def test_tar_member_after_the_next_was_asked_for_is_our_own_mistake(self) -> None:
        entries = walk_archive(io.BytesIO(raw_tar_gz(FILE, FILE)), filename="a.tar.gz")
        first = next(entries)
        next(entries)
        with pytest.raises(RuntimeError):
            first.read()

    def test_something_else_is_no_archive(self) -> None:
        for raw in (b"", b"hello" * 300, b"PK\x03\x04" + bytes(600), b"\x28\xb5\x2f\xfd" + bytes(600)):
            with pytest.raises(ArchiveBroken):
                walked(raw)


def test_large_wheel_is_checked_and_walked_in_little_memory() -> None:
    raw = build_wheel(payload_size=8 << 20)
    tracemalloc.start()
    try:
        assert zip_codes(raw) == set()
        for entry in walk_archive(io.BytesIO(raw), filename="demo.whl"):
            with entry.open() as stream:
                while stream.read(1 << 16):
                    pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 << 20
    assert sum(len(chunk) for chunk in payload(5 << 20)) == 5 << 20


def test_pax_record_builder_counts_its_own_length() -> None:
    assert pax_record("path", "x") == b"9 path=x\n"
    assert pax_record("comment", "y" * 88) == b"101 comment=" + b"y" * 88 + b"\n"
