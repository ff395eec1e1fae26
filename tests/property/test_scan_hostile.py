"""Whatever bytes a distribution holds, a scan ends in time and with a verdict; a gap makes it incomplete."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.imitations import IMITATIONS, Imitation
from support.scan import a_wheel, an_sdist, the_ruleset
from support.traps import DEEP, TRAPS
from wheelmark.scan import IsolatedScanner, Report, Sample, ScanBounds, Verdict, scan_stream
from wheelmark.scan.samples import SDIST_NAME, WHEEL_NAME, tarred, zipped
from wheelmark.scan.values import words

CPU_SECONDS = 20.0
"""Much more than any of these takes, and much less than a hang."""

SMALL = ScanBounds(max_steps=200_000, max_decoded_bytes=1 << 20, max_total_source_bytes=4 << 20)
FILE_NAMES = (WHEEL_NAME, SDIST_NAME, "x.zip", "x.egg", "x.tar", "x", "é.whl")
MEMBERS = (
    *("setup.py", "setup.cfg", "pyproject.toml", "PKG-INFO", "x.pth", "x.start", "sitecustomize.py", "__main__.py"),
    *("widget/__init__.py", "widget/a.pyc", "widget/a.so", "widget/a.js", "widget/a.sh", "widget/a.ps1", "a/a.ipynb"),
    *("w-1.dist-info/entry_points.txt", "w-1.dist-info/RECORD", "w-1.dist-info/METADATA", "w-1.data/scripts/x"),
)
CODECS = (
    *("utf-8", "utf-7", "utf-16", "utf-32", "utf-8-sig", "ascii", "latin-1", "cp037", "cp1252", "mbcs", "oem", "big5"),
    *("gbk", "shift_jis", "iso2022_jp", "hz", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"),
    *("rot13", "hex", "base64", "zlib", "bz2", "uu", "quopri", "charmap", "no-such-codec", "x" * 300),
)
KEYWORDS = words(
    "import from as def class return lambda if else for in while try except with await async yield match case exec "
    "eval compile open getattr os sys base64 b64decode zlib __import__ globals print X Y f g type _"
)
SIGNS = words(
    "( ) [ ] { } , : ; = == + - * ** / % @ . -> := ' \" ''' \"\"\" \\ # 0 1 1e9 0x 0b2 r' b' f' f'{ }' 'exec'"
)
BLANKS = ("\n", "\n    ", "\t", "\r", "\f", "\0", "\ufeff", "\u2028")
STRAY = "()[]{}'\"\\\n\0 \t;:=.,#@é\ud800"
encoded_text = st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))
member_paths = st.text(min_size=1, max_size=30).map(lambda path: path.replace("\0", "").encode("utf-8", "replace"))
any_paths = st.sampled_from(MEMBERS) | member_paths.map(bytes.decode).filter(bool)
any_members = st.dictionaries(any_paths, st.binary(max_size=300) | encoded_text, max_size=8)
any_words = st.lists(st.sampled_from([*sorted(KEYWORDS | SIGNS), *BLANKS]), max_size=60)
any_changes = st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(STRAY)), max_size=6)
USED = ("a.sh", "a.ps1", "a.js", "a.vbs", "package.json", "a.dat", "a.zip", "a.tar.gz", "a.pyc", "a.exe", "run")
_inner = st.dictionaries(st.sampled_from(USED), encoded_text, max_size=3)
used_members = st.dictionaries(
    st.sampled_from(USED), st.binary(max_size=300) | encoded_text | _inner.map(zipped) | _inner.map(tarred), max_size=8
)
imitations = st.sampled_from(IMITATIONS)


def scanned(raw: bytes, filename: str = WHEEL_NAME) -> Report:
    """The report, which there must be: nothing is raised, nothing takes for ever, and every output can carry it."""
    started = time.process_time()
    report = scan_stream(io.BytesIO(raw), filename=filename, ruleset=the_ruleset(), bounds=SMALL)
    assert time.process_time() - started < CPU_SECONDS
    if report.incomplete_reason is None:
        assert report.verdict is not Verdict.INCOMPLETE
    else:
        assert report.verdict in {Verdict.INCOMPLETE, Verdict.MALICIOUS}
    assert Report.from_json(report.to_json(with_context=True)) == report
    return report


def scanned_source(source: str | bytes) -> Report:
    """The report on a wheel whose package has this body."""
    raw = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    return scanned(a_wheel({"widget/__init__.py": raw}))


# Archives


@settings(max_examples=60)
@given(st.binary(max_size=2000), st.sampled_from(FILE_NAMES))
def test_any_bytes_end_in_a_verdict(raw: bytes, filename: str) -> None:
    assert scanned(raw, filename).verdict is Verdict.INCOMPLETE


@settings(max_examples=100)
@given(imitations, st.booleans(), st.integers(0, 400), st.integers(0, 2000), st.binary(max_size=8))
def test_damaged_archives_end_in_a_verdict(imitation: Imitation, wheel: bool, cut: int, where: int, put: bytes) -> None:
    files = {"widget/__init__.py": imitation.source, "setup.py": "from setuptools import setup\nsetup()\n"}
    raw = bytearray(a_wheel(files) if wheel else an_sdist(files))
    raw[where % len(raw) : where % len(raw) + len(put)] = put
    scanned(bytes(raw[: len(raw) - cut]), WHEEL_NAME if wheel else SDIST_NAME)


@settings(max_examples=20)
@given(st.integers(1, 40), st.booleans())
def test_archives_in_archives_end_in_a_verdict(depth: int, wheel: bool) -> None:
    raw = b"print('imitation')"
    for level in range(depth):
        inner = {f"widget/inner{level}.{'zip' if wheel else 'tar.gz'}": raw, "widget/__init__.py": b"VERSION = 1\n"}
        raw = zipped(inner) if wheel else tarred({f"w/{path}": content for path, content in inner.items()})
    scanned(raw, WHEEL_NAME if wheel else SDIST_NAME)


@settings(max_examples=100)
@given(any_members, st.booleans())
def test_any_members_end_in_a_verdict(files: dict[str, bytes], wheel: bool) -> None:
    scanned(a_wheel(files) if wheel else an_sdist(files), WHEEL_NAME if wheel else SDIST_NAME)


@settings(max_examples=100)
@given(used_members, st.booleans())
def test_any_members_that_code_uses_end_in_a_verdict(files: dict[str, bytes], wheel: bool) -> None:
    uses = "".join(f"os.system('run widget/{name}')\nsys.path.append('widget/{name}')\n" for name in USED)
    members = {f"widget/{name}": raw for name, raw in files.items()}
    members["widget/__init__.py" if wheel else "setup.py"] = f"import os, sys\n{uses}".encode()
    scanned(a_wheel(members) if wheel else an_sdist(members), WHEEL_NAME if wheel else SDIST_NAME)


# Sources


@settings(max_examples=100)
@given(
    st.sampled_from(CODECS), st.binary(max_size=200), st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
)
def test_any_declared_encoding_ends_in_a_verdict(codec: str, rest: bytes, mark: bytes) -> None:
    scanned_source(mark + f"# -*- coding: {codec} -*-\nX = '".encode() + rest + b"'\n")


@pytest.mark.parametrize("depth", [100, 30_000])
@pytest.mark.parametrize("shape", DEEP)
def test_deep_and_long_sources_end_in_a_verdict(shape: str, depth: int) -> None:
    scanned_source(f"{DEEP[shape](depth)}\n")


@pytest.mark.parametrize("name", TRAPS)
def test_traps_for_whoever_computes_end_in_a_verdict(name: str) -> None:
    scanned_source(TRAPS[name])
    scanned_source(f"def f():\n    x = 1\n\n\nexec({TRAPS[name]!r})")


@settings(max_examples=200)
@given(any_words, st.sampled_from(["", " "]))
def test_any_words_end_in_a_verdict(found: list[str], between: str) -> None:
    scanned_source(between.join(found))


@settings(max_examples=100)
@given(imitations, any_changes)
def test_damaged_imitations_end_in_a_verdict(imitation: Imitation, changes: list[tuple[int, str]]) -> None:
    source = imitation.source
    for where, put in changes:
        position = where % (len(source) + 1)
        source = source[:position] + put + source[position:]
    scanned_source(source)


# Texts beside the code


@settings(max_examples=60)
@given(
    encoded_text | st.binary(max_size=200),
    st.sampled_from(["pyproject.toml", "setup.cfg", "x.pth", "x.start", "PKG-INFO", "widget/data.txt"]),
    st.sampled_from([b"", b"import ", b"[build-system]\nbackend-path=['.']\nbuild-backend='", b"x:y\n", b"[a]\nb="]),
)
def test_any_text_beside_the_code_ends_in_a_verdict(rest: bytes, path: str, start: bytes) -> None:
    scanned(an_sdist({path: start + rest, "setup.py": "exec(open('widget/data.txt').read())\n"}), SDIST_NAME)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a." * 5000 + "b = 1",
        "[" + "a." * 5000 + "b]\n",
        "[build-system]\nbackend-path = [1, 2]\nbuild-backend = 3\n",
        "[build-system]\nbackend-path = ['..']\nbuild-backend = '....'\n",
        "[tool.x]\npath = '" + "../" * 5000 + "x.py'\n",
    ],
)
def test_project_files_that_are_traps_end_in_a_verdict(text: str) -> None:
    scanned(an_sdist({"pyproject.toml": text, "setup.py": "setup()\n"}), SDIST_NAME)


def test_confined_scanner_outlives_what_it_is_given(tmp_path: Path) -> None:
    """The same process scans the traps one after the other, with the bounds that people have."""
    harmless, path = tmp_path / "harmless-1-py3-none-any.whl", tmp_path / WHEEL_NAME
    harmless.write_bytes(a_wheel({"widget/__init__.py": "VERSION = 1\n"}))
    with IsolatedScanner() as scanner:
        for name, source in {"calls": DEEP["calls"](30_000), **TRAPS}.items():
            path.write_bytes(Sample.imported(source).packed())
            reason = scanner.scan(path).incomplete_reason or ""
            assert "scanner failed" not in reason, (name, reason)
            assert "scanning process" not in reason, (name, reason)
            assert scanner.scan(harmless).verdict is Verdict.BENIGN, name
