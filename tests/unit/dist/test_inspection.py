"""The whole check of an upload: what a sound distribution gives, and what each broken one is refused for."""

from __future__ import annotations

import hashlib
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from support.distributions import RecordRow, build_sdist, build_wheel, core_metadata, record_row
from support.hostile_archives import Part, raw_zip, tar_info
from wheelmark.dist import Bounds, Inspection, inspect_distribution
from wheelmark.errors import Refused

WHEEL = "demo-1.0-py3-none-any.whl"
SDIST = "demo-1.0.tar.gz"
INFO = "demo-1.0.dist-info"
LICENSED = {"License-File": ["LICENSE", "third/NOTICE"]}


@pytest.fixture
def inspect(tmp_path: Path) -> Callable[..., Inspection]:
    def inspect(raw: bytes, filename: str = WHEEL, *, bounds: Bounds | None = None) -> Inspection:
        path = tmp_path / "upload"
        path.write_bytes(raw)
        return inspect_distribution(path, filename, bounds=bounds or Bounds())

    return inspect


@pytest.fixture
def codes(inspect: Callable[..., Inspection]) -> Callable[..., list[str]]:
    def codes(raw: bytes, filename: str = WHEEL) -> list[str]:
        try:
            inspect(raw, filename)
        except Refused as refusal:
            return [fault.code for fault in refusal.faults]
        return []

    return codes


@pytest.mark.parametrize(("raw", "filename"), [(build_wheel(), WHEEL), (build_sdist(), SDIST)])
def test_sound_distribution_gives_digests_and_metadata(
    inspect: Callable[..., Inspection], raw: bytes, filename: str
) -> None:
    found = inspect(raw, filename)
    assert found.filename.text == filename
    assert found.size == len(raw)
    assert found.sha256 == hashlib.sha256(raw).hexdigest()
    assert found.blake2b_256 == hashlib.blake2b(raw, digest_size=32).hexdigest()
    assert found.md5 == hashlib.md5(raw).hexdigest()
    assert found.metadata.version == found.filename.version
    assert found.metadata_bytes == core_metadata()
    assert found.metadata_sha256 == hashlib.sha256(core_metadata()).hexdigest()


def test_builders_are_deterministic() -> None:
    assert build_wheel(payload_size=99) == build_wheel(payload_size=99)
    assert build_sdist(payload_size=99) == build_sdist(payload_size=99)


def test_builders_write_files(tmp_path: Path) -> None:
    for path in (build_wheel("My.Shop", "2", path=tmp_path), build_sdist("My.Shop", "2", path=tmp_path)):
        assert inspect_distribution(path, path.name).metadata.normalized_name == "my-shop"


def entry_points(text: str) -> dict[str, bytes]:
    return {"entry_points.txt": text.encode()}


def without(path: str) -> Callable[[list[RecordRow]], list[RecordRow]]:
    return lambda rows: [row for row in rows if row[0] != path]


def with_row(*rows: tuple[str, ...]) -> Callable[[list[RecordRow]], list[RecordRow]]:
    return lambda before: [*before, *rows]  # type: ignore[list-item]  # rows of a wrong length are the point


def changed(column: int, value: str) -> Callable[[list[RecordRow]], list[RecordRow]]:
    def change(rows: list[RecordRow]) -> list[RecordRow]:
        first = list(rows[0])
        first[column] = value
        return [(first[0], first[1], first[2]), *rows[1:]]

    return change


def data(path: str, content: bytes = b"x") -> bytes:
    return build_wheel(files={"demo.py": b"", f"demo-1.0.data/{path}": content})


SOUND_WHEELS = {
    "files to spread": data("scripts/demo"),
    "libraries to spread": data("platlib/demo/lib.so"),
    "nested metadata of vendored code": build_wheel(files={"demo/_vendor/other-1.dist-info/METADATA": b"x"}),
    "entry points": build_wheel(
        dist_info=entry_points(
            "[console_scripts]\ndemo = demo:main\ndemo-2 = demo.cli : Main.run [extra]\n\n"
            "[demo.plugins]\nMixed Case:x = demo\n"
        )
    ),
    "licence files": build_wheel(
        metadata=LICENSED, dist_info={"licenses/LICENSE": b"MIT", "licenses/third/NOTICE": b"x"}
    ),
    "licence files before they were defined": build_wheel(metadata={"Metadata-Version": "2.1", **LICENSED}),
    "a quoted path in RECORD": build_wheel(files={"demo/a,b.txt": b"x"}),
    "an empty file": build_wheel(files={"demo.py": b""}),
    "a blank line in RECORD": build_wheel(edit_record=with_row(())),
}

BROKEN_WHEELS = {
    "no METADATA": ("metadata-missing", build_wheel(dist_info={"METADATA": b""})),
    "malformed METADATA": ("metadata-form", build_wheel(requires=["?"])),
    "METADATA against the rules": ("metadata-direct-url", build_wheel(requires=["a @ https://example.invalid/a"])),
    "another name": ("metadata-name", build_wheel(metadata={"Name": "other"})),
    "another version": ("metadata-release-version", build_wheel(metadata={"Version": "1.1"})),
    "METADATA too large": ("metadata-size", build_wheel(metadata={"Description": "x" * (5 << 20)})),
    "no WHEEL": ("wheel-file", build_wheel(dist_info={"WHEEL": b""})),
    "WHEEL of the future": (
        "wheel-file",
        build_wheel(dist_info={"WHEEL": b"Wheel-Version: 2.0\nRoot-Is-Purelib: true\n"}),
    ),
    "WHEEL without version": ("wheel-file", build_wheel(dist_info={"WHEEL": b"Root-Is-Purelib: true\n"})),
    "WHEEL of two versions": (
        "wheel-file",
        build_wheel(dist_info={"WHEEL": b"Wheel-Version: 1.0\nWheel-Version: 1.1\nRoot-Is-Purelib: true\n"}),
    ),
    "WHEEL without root": ("wheel-file", build_wheel(dist_info={"WHEEL": b"Wheel-Version: 1.0\n"})),
    "WHEEL not text": ("wheel-file", build_wheel(dist_info={"WHEEL": b"Wheel-Version: \xff\n"})),
    "WHEEL too large": ("wheel-file", build_wheel(dist_info={"WHEEL": b"x" * (65 << 10)})),
    "metadata of another project": ("wheel-dist-info", build_wheel(files={"other-1.dist-info/METADATA": b"x"})),
    "metadata in other case": ("wheel-dist-info", build_wheel(files={"other-1.DIST-INFO/METADATA": b"x"})),
    "no dist-info": ("wheel-dist-info", raw_zip(Part())),
    "data of another project": ("wheel-data-folder", build_wheel(files={"other-1.data/scripts/x": b"x"})),
    "unknown scheme": ("wheel-data-folder", data("root/x")),
    "a file in place of a scheme": ("wheel-data-folder", data("scripts")),
    "metadata among files to spread": ("wheel-data-folder", data("purelib/other-1.dist-info/METADATA")),
    "no RECORD": ("wheel-record-missing", build_wheel(dist_info={"RECORD": b""})),
    "RECORD with a short row": ("wheel-record-form", build_wheel(edit_record=with_row(("x",)))),
    "RECORD not text": ("wheel-record-form", build_wheel(dist_info={"RECORD": b"\xff,,\n"})),
    "RECORD with an open quote": ("wheel-record-form", build_wheel(dist_info={"RECORD": b'"demo,,\n'})),
    "RECORD with a NUL": ("wheel-record-form", build_wheel(dist_info={"RECORD": b"de\0mo\n"})),
    "RECORD lists a file twice": (
        "wheel-record-form",
        build_wheel(files={"demo.py": b"x"}, edit_record=with_row(record_row("demo.py", b"x"))),
    ),
    "RECORD of itself": (
        "wheel-record-form",
        build_wheel(edit_record=lambda rows: [*rows[:-1], (rows[-1][0], "", "1")]),
    ),
    "a file that is not listed": ("wheel-record-unlisted", build_wheel(unlisted={"demo/evil.py": b"x"})),
    "RECORD does not list itself": ("wheel-record-unlisted", build_wheel(edit_record=without(f"{INFO}/RECORD"))),
    "a listed file that is missing": (
        "wheel-record-extra",
        build_wheel(edit_record=with_row(record_row("gone.py", b""))),
    ),
    "a listed directory": ("wheel-record-extra", build_wheel(edit_record=with_row(("demo/", "", "")))),
    "wrong digest": ("wheel-record-digest", build_wheel(edit_record=changed(1, record_row("x", b"other")[1]))),
    "no digest": ("wheel-record-digest", build_wheel(edit_record=changed(1, ""))),
    "weak digest": ("wheel-record-digest", build_wheel(edit_record=changed(1, "md5=1B2M2Y8AsgTpgAmY7PhCfg"))),
    "wrong size": ("wheel-record-size", build_wheel(edit_record=changed(2, "7"))),
    "no size": ("wheel-record-size", build_wheel(edit_record=changed(2, ""))),
    "RECORD.jws": ("wheel-record-signature", build_wheel(dist_info={"RECORD.jws": b"{}"})),
    "RECORD.p7s": ("wheel-record-signature", build_wheel(dist_info={"RECORD.p7s": b"x"})),
    "script name with a path": (
        "entry-points",
        build_wheel(dist_info=entry_points("[console_scripts]\n../x = demo:x\n")),
    ),
    "script of no name": ("entry-points", build_wheel(dist_info=entry_points("[gui_scripts]\n.. = demo:x\n"))),
    "script that is code": (
        "entry-points",
        build_wheel(dist_info=entry_points("[console_scripts]\nx = demo:x;import os\n")),
    ),
    "plugin that is no object": ("entry-points", build_wheel(dist_info=entry_points("[demo]\nx = a b\n"))),
    "entry point twice": ("entry-points", build_wheel(dist_info=entry_points("[demo]\nx = a\nx = b\n"))),
    "entry points not text": ("entry-points", build_wheel(dist_info={"entry_points.txt": b"[demo]\nx = \xff\n"})),
    "entry points too large": ("entry-points", build_wheel(dist_info={"entry_points.txt": b"#" * (2 << 20)})),
    "licence file missing": (
        "license-file-missing",
        build_wheel(metadata=LICENSED, dist_info={"licenses/LICENSE": b"MIT"}),
    ),
    "archive broken": ("archive-format", b"hello"),
    "archive hostile": ("zip-trailing", build_wheel() + b"x"),
}


def sdist(**files: bytes) -> bytes:
    return build_sdist(files={name.replace("__", "."): content for name, content in files.items()})


SOUND_SDISTS = {
    "setup.py in place of pyproject.toml": sdist(setup__py=b"raise SystemExit"),
    "licence files": build_sdist(
        metadata=LICENSED, files={"pyproject.toml": b"x", "LICENSE": b"MIT", "third/NOTICE": b"x"}
    ),
    "a licence file that is a link": build_sdist(
        metadata={"License-File": "LICENSE"},
        files={"pyproject.toml": b"x", "docs/MIT": b"x"},
        members=[(tar_info("demo-1.0/LICENSE", tarfile.SYMTYPE, target="docs/MIT"), b"")],
    ),
    "its top folder as a member": build_sdist(members=[(tar_info("demo-1.0", tarfile.DIRTYPE), b"")]),
    "old metadata": build_sdist(metadata={"Metadata-Version": "1.1", "Requires-Dist": []}),
}

BROKEN_SDISTS = {
    "no PKG-INFO": ("metadata-missing", sdist(pyproject__toml=b"x", **{"PKG-INFO": b""})),
    "PKG-INFO is a link": (
        "metadata-missing",
        build_sdist(
            files={"pyproject.toml": b"x", "other": b"x", "PKG-INFO": b""},
            members=[(tar_info("demo-1.0/PKG-INFO", tarfile.SYMTYPE, target="other"), b"")],
        ),
    ),
    "another name": ("metadata-name", build_sdist(metadata={"Name": "other"})),
    "another version": ("metadata-release-version", build_sdist(metadata={"Version": "2"})),
    "nothing to build with": ("sdist-build-file", sdist(setup__cfg=b"")),
    "a second top folder": ("sdist-top-folder", build_sdist(members=[(tar_info("other/x"), b"")])),
    "a file beside the top folder": ("sdist-top-folder", build_sdist(members=[(tar_info("x"), b"")])),
    "a file in place of the top folder": ("sdist-top-folder", build_sdist(members=[(tar_info("demo-1.0"), b"")])),
    "licence file missing": ("license-file-missing", build_sdist(metadata={"License-File": "LICENSE"})),
    "licence file is a folder": (
        "license-file-missing",
        build_sdist(
            metadata={"License-File": "LICENSE"}, members=[(tar_info("demo-1.0/LICENSE", tarfile.DIRTYPE), b"")]
        ),
    ),
    "archive hostile": ("gzip-trailing", build_sdist() + b"x"),
}


@pytest.mark.parametrize("name", SOUND_WHEELS)
def test_sound_wheel_is_accepted(codes: Callable[..., list[str]], name: str) -> None:
    assert codes(SOUND_WHEELS[name]) == []


@pytest.mark.parametrize("name", BROKEN_WHEELS)
def test_broken_wheel_is_refused_by_its_rule(codes: Callable[..., list[str]], name: str) -> None:
    code, raw = BROKEN_WHEELS[name]
    assert code in codes(raw)


@pytest.mark.parametrize("name", SOUND_SDISTS)
def test_sound_sdist_is_accepted(codes: Callable[..., list[str]], name: str) -> None:
    assert codes(SOUND_SDISTS[name], SDIST) == []


@pytest.mark.parametrize("name", BROKEN_SDISTS)
def test_broken_sdist_is_refused_by_its_rule(codes: Callable[..., list[str]], name: str) -> None:
    code, raw = BROKEN_SDISTS[name]
    assert code in codes(raw, SDIST)


def test_all_faults_of_name_archive_metadata_and_contents_are_told_at_once(codes: Callable[..., list[str]]) -> None:
    raw = build_wheel(unlisted={"../evil.py": b"x"}, metadata={"Home-page": "ftp://x", "Version": "2"})
    assert set(codes(raw, "demo-1.0-py3-none-linux_x86_64.whl")) == {
        "filename-platform",
        "member-path-traversal",
        "wheel-record-unlisted",
        "metadata-url",
        "metadata-release-version",
    }


def test_file_with_an_older_name_is_told_of_its_other_faults_too(codes: Callable[..., list[str]]) -> None:
    raw = build_wheel(metadata={"Home-page": "ftp://x"}).replace(b"demo-1.0.dist-info", b"Demo-1.0.dist-info")
    assert set(codes(raw, "Demo-1.0-py3-none-any.whl")) == {
        "filename-name",
        "metadata-url",
        "wheel-record-extra",
        "wheel-record-unlisted",
    }


@pytest.mark.parametrize("filename", ["demo-1.0.zip", "demo.exe", "../demo-1.0.tar.gz", ""])
def test_name_of_no_distribution_is_refused_before_anything_is_read(tmp_path: Path, filename: str) -> None:
    with pytest.raises(Refused):
        inspect_distribution(tmp_path / "not there", filename)


def test_archive_that_cannot_be_read_is_not_said_to_lack_files(codes: Callable[..., list[str]]) -> None:
    assert codes(build_sdist()[:60], SDIST) == ["archive-broken"]
    assert codes(b"hello") == ["archive-format"]
    assert codes(b"hello", SDIST) == ["tar-compression"]


def test_bounds_are_the_caller_s(inspect: Callable[..., Inspection]) -> None:
    with pytest.raises(Refused) as refusal:
        inspect(build_wheel(payload_size=4096), bounds=Bounds(max_total_bytes=1024))
    assert refusal.value.code == "archive-size"


@pytest.mark.parametrize(("kind", "size"), [("wheel", 64 << 20), ("sdist", 16 << 20)])
def test_large_distribution_is_inspected_in_little_memory(tmp_path: Path, kind: str, size: int) -> None:
    build = build_wheel if kind == "wheel" else build_sdist
    path = build(payload_size=size, path=tmp_path)
    tracemalloc.start()
    try:
        assert inspect_distribution(path, path.name).size > size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
