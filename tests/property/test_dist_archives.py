"""Archives of any content are read back whole; archives of any bytes end in an answer or a refusal, not in a crash."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.distributions import build_sdist, build_wheel, gzipped, tar_of
from support.hostile_archives import Part, pax_member, raw_zip, streamed, tar_info, tar_member
from wheelmark.dist import ArchiveBroken, ArchiveTooLarge, Bounds, archive_faults, inspect_distribution, walk_archive
from wheelmark.errors import Refused

modest = settings(max_examples=40, deadline=None)
SMALL = Bounds(max_total_bytes=1 << 20, max_member_bytes=1 << 19, max_members=100, max_header_bytes=1 << 16)

segments = st.text("abcdefghijklmnop0123456789._-", min_size=1, max_size=8).filter(lambda text: text.strip("."))
paths = st.lists(segments, min_size=1, max_size=3).map(lambda parts: "demo/" + "/".join(parts) + "!")
contents = st.dictionaries(paths, st.binary(max_size=300) | st.builds(bytes, st.integers(0, 5000)), max_size=8)


def zipped(files: dict[str, bytes], method: int) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return memory.getvalue()


def walked(raw: bytes, filename: str, bounds: Bounds = SMALL) -> dict[str, bytes]:
    return {entry.path: entry.read() for entry in walk_archive(io.BytesIO(raw), filename=filename, bounds=bounds)}


@modest
@given(contents, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_zip_of_any_files_is_sound_and_read_back(files: dict[str, bytes], method: int) -> None:
    raw = zipped(files, method)
    assert walked(raw, "a.whl") == files
    assert archive_faults(io.BytesIO(raw), filename="a.whl") == []


@modest
@given(contents, st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]), st.integers(0, 90))
def test_tar_of_any_files_is_sound_and_read_back(files: dict[str, bytes], form: int, deeper: int) -> None:
    files = {path.replace("demo/", f"demo/{'d' * deeper}x/"): content for path, content in files.items()}
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=form) as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    raw = gzipped(memory.getvalue())
    assert walked(raw, "a.tar.gz") == files
    assert archive_faults(io.BytesIO(raw), filename="a.tar.gz") == []


@modest
@given(st.binary(min_size=1, max_size=3000), st.integers(1, 400))
def test_entry_gives_the_same_bytes_however_it_is_read(content: bytes, step: int) -> None:
    raw = zipped({"a": content}, zipfile.ZIP_DEFLATED)
    (first,) = walk_archive(io.BytesIO(raw), filename="a.zip")
    assert first.read(step) == content[:step]
    (second,) = walk_archive(io.BytesIO(raw), filename="a.zip")
    with second.open() as stream:
        assert b"".join(iter(lambda: stream.read(step), b"")) == content


SEEDS: dict[str, list[bytes]] = {
    "a.whl": [
        build_wheel(),
        raw_zip(Part(), streamed(b"b.py"), Part(name=b"c/", content=b"", mode=0o40755)),
        raw_zip(Part(), Part(name=b"d.bin", method=0, content=b"x" * 50), zip64=True),
        zipped({"a.py": b"x" * 100}, zipfile.ZIP_LZMA),
    ],
    "a.tar.gz": [build_sdist()],
    "a.tar": [
        tar_of([(tarfile.TarInfo("demo-1.0/a.py"), b"x" * 700), (tarfile.TarInfo("d" * 120), b"y")]),
        pax_member([("path", "demo-1.0/x"), ("size", "3")]) + tar_member(tar_info("x", size=3), b"abc") + bytes(1024),
        tar_member(tar_info("s", tarfile.GNUTYPE_SPARSE, size=9), b"123456789") + bytes(1024),
    ],
}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A sound archive with a few bytes changed, cut out, or put in."""
    filename = draw(st.sampled_from(sorted(SEEDS)))
    raw = bytearray(draw(st.sampled_from(SEEDS[filename])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        change = draw(st.sampled_from(["flip", "set", "cut", "insert", "number"]))
        if change == "flip" and raw:
            raw[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "set" and raw:
            raw[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif change == "cut":
            del raw[at : at + draw(st.integers(1, 40))]
        elif change == "insert":
            raw[at:at] = draw(st.binary(min_size=1, max_size=30))
        else:
            raw[at : at + 4] = draw(
                st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
            )
    if filename == "a.tar" and draw(st.booleans()):
        return "a.tar.gz", gzipped(bytes(raw))
    return filename, bytes(raw)


@settings(max_examples=100, deadline=None)
@given(damaged() | st.tuples(st.sampled_from(sorted(SEEDS)), st.binary(max_size=600)))
def test_damaged_archive_ends_in_faults_or_refusal_never_in_a_crash(case: tuple[str, bytes]) -> None:
    filename, raw = case
    archive_faults(io.BytesIO(raw), filename=filename, bounds=SMALL)
    try:
        walked(raw, filename)
    except (ArchiveBroken, ArchiveTooLarge) as refusal:
        assert refusal.faults


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged())
def test_damaged_upload_is_inspected_or_refused(tmp_path: Path, case: tuple[str, bytes]) -> None:
    filename, raw = case
    upload = tmp_path / "upload"
    upload.write_bytes(raw)
    try:
        inspect_distribution(upload, "demo-1.0-py3-none-any.whl" if filename == "a.whl" else "demo-1.0.tar.gz")
    except Refused as refusal:
        assert refusal.faults


def read_by_streaming(raw: bytes) -> dict[str, bytes]:
    """What a reader gets that follows the local headers and never sees the central directory."""
    files, at = {}, 0
    while raw[at : at + 4] == b"PK\x03\x04":
        _, flags, method, _, _, _, packed, _, name_size, extra_size = struct.unpack_from("<5H3L2H", raw, at + 4)
        name = raw[at + 30 : at + 30 + name_size].decode()
        at += 30 + name_size + extra_size
        if method == 8:
            inflater = zlib.decompressobj(-15)
            content = inflater.decompress(raw[at:]) + inflater.flush()
            at = len(raw) - len(inflater.unused_data)
        else:
            content, at = raw[at : at + packed], at + packed
        if flags & 8:
            at += 16 if raw[at : at + 4] == b"PK\x07\x08" else 12
        files[name] = content
    return files


@settings(max_examples=100, deadline=None)
@given(damaged().filter(lambda case: case[0] == "a.whl"))
def test_accepted_zip_says_the_same_to_all_readers(case: tuple[str, bytes]) -> None:
    _, raw = case
    if archive_faults(io.BytesIO(raw), filename="a.whl", bounds=SMALL):
        return
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        by_directory = {name: archive.read(name) for name in archive.namelist()}
    assert by_directory == read_by_streaming(raw) == walked(raw, "a.whl")


@settings(max_examples=100, deadline=None)
@given(damaged().filter(lambda case: case[0] == "a.tar.gz"))
def test_accepted_tar_says_what_tarfile_says(case: tuple[str, bytes]) -> None:
    _, raw = case
    if archive_faults(io.BytesIO(raw), filename="a.tar.gz", bounds=SMALL):
        return
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as archive:
        members = {member.name: _content(archive, member) for member in archive}
    assert members == walked(raw, "a.tar.gz")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member) if member.isreg() else None
    return b"" if stream is None else stream.read()
