"""`make fuzz`: coverage-guided fuzzing of the scanner with atheris, in this process, without confinement.

What is looked for: an exception, a hang, memory without bound, a report that is none. Seeds are our own imitations and
traps; nothing that comes up is ever run. A find is kept in `.cache/fuzz/` and ends the run; its path tries it again.

    python tools/fuzz_scan.py --seconds 600
    python tools/fuzz_scan.py .cache/fuzz/crash-…
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

# The model only adds numbers, and takes most of the time when it is instrumented.
with atheris.instrument_imports(
    include=["wheelmark.scan", "wheelmark.dist"], exclude=["wheelmark.scan.model", "wheelmark.scan.reasons"]
):
    from support.imitations import IMITATIONS
    from support.mutations import MUTATIONS, sources_of
    from support.traps import DEEP, TRAPS
    from wheelmark.scan import Report, ScanBounds, Verdict, load_ruleset, scan_stream
    from wheelmark.scan.samples import SDIST_NAME, SDIST_ROOT, WHEEL_NAME, tarred, zipped
    from wheelmark.scan.source import load_salvage
    from wheelmark.scan.vocabulary import ACTS

CACHE = ROOT / ".cache" / "fuzz"
MAX_BYTES = 6000  # of one input
TIMEOUT = 25  # seconds for one input; the slowest sound ones take one
MAX_MEMORY = 2048  # MiB
RECURSION_LIMIT = 3000  # as in a scanning process
BOUNDS = ScanBounds(max_steps=100_000, max_decoded_bytes=1 << 20, max_total_source_bytes=4 << 20)
SEPARATOR = b"\x00\xff\x00"  # between the members that one input describes
PATHS = (
    *("widget/__init__.py", "setup.py", "pyproject.toml", "setup.cfg", "widget.pth", "widget.start", "widget/core.py"),
    *("widget/data.txt", "widget/__main__.py", "w-1.dist-info/entry_points.txt", "PKG-INFO", "widget/run.sh"),
)
RULESET = load_ruleset()


def test_one_input(data: bytes) -> None:
    """Scan what the bytes describe, and look at the report."""
    raw, filename = distribution(data)
    report = scan_stream(io.BytesIO(raw), filename=filename, ruleset=RULESET, bounds=BOUNDS)
    said = Report.from_json(report.to_json(with_context=True))
    clean = report.verdict in {Verdict.BENIGN, Verdict.SUSPICIOUS}
    if said != report or (clean and report.incomplete_reason is not None):
        raise AssertionError(f"expected a report that is whole and says what it is, got {report}")


def distribution(data: bytes) -> tuple[bytes, str]:
    """The distribution that an input stands for: its first byte says how the rest is meant."""
    shape, rest = data[0] if data else 0, data[1:]
    if shape % 8 == 0:
        return rest, WHEEL_NAME
    if shape % 8 == 1:
        return rest, SDIST_NAME
    if shape % 8 in (2, 3, 4):
        return zipped({"widget/__init__.py": rest}), WHEEL_NAME
    files = dict(_members(rest))
    if shape % 8 == 5:
        return zipped(files), WHEEL_NAME
    return tarred({SDIST_ROOT + path: content for path, content in files.items()}), SDIST_NAME


def _members(rest: bytes) -> Iterator[tuple[str, bytes]]:
    for part in rest.split(SEPARATOR)[:12]:
        yield PATHS[(part[0] if part else 0) % len(PATHS)], part[1:]


def seeds() -> Iterator[bytes]:
    """Inputs to begin with: imitations in every dress, traps, shapes."""
    for imitation in IMITATIONS:
        for mutate in MUTATIONS.values():
            sample = mutate(imitation)
            for _, source in list(sources_of(sample))[:3]:
                yield b"\x02" + source.encode()
            parts = [
                bytes([PATHS.index(path)]) + (content.encode() if isinstance(content, str) else content)
                for path, content in sample.files.items()
                if path in PATHS
            ]
            yield (b"\x05" if sample.is_wheel else b"\x06") + SEPARATOR.join(parts)
        yield b"\x00" + MUTATIONS["none"](imitation).packed()
    for source in TRAPS.values():
        yield b"\x02" + source.encode("utf-8", "surrogatepass")
    for shape in DEEP.values():
        yield b"\x02" + shape(50).encode()


WORDS = (
    *(
        "import ",
        "from ",
        "exec(",
        "eval(",
        "lambda ",
        "def f():\n    ",
        "class A:\n    ",
        "getattr(",
        "chr(",
        "''.join(",
    ),
    *(
        "chr(",
        "bytes.fromhex(",
        "for x in ",
        " if a else ",
        "os.environ",
        "https://x.invalid/a.exe",
        "base64.b64decode(",
    ),
)


def words() -> Iterator[str]:
    """Words that the mutator puts in: what the scanner knows."""
    yield from sorted({part for name in ACTS for part in name.replace("()", "").split(".")})
    yield from WORDS


def main() -> None:
    """Read the options, write seeds and words, and hand over to the fuzzer, which does not return."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", type=Path, help="inputs to try again, instead of fuzzing")
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: 600)")
    options = parser.parse_args()
    corpus = CACHE / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    load_salvage()
    sys.setrecursionlimit(RECURSION_LIMIT)
    arguments = [sys.argv[0], f"-timeout={TIMEOUT}", f"-rss_limit_mb={MAX_MEMORY}", f"-artifact_prefix={CACHE}/"]
    with tempfile.TemporaryDirectory() as temporary:
        if options.inputs:
            arguments += [str(path) for path in options.inputs]
        else:
            for seed in seeds():
                if len(seed) <= MAX_BYTES:
                    (corpus / hashlib.sha256(seed).hexdigest()[:20]).write_bytes(seed)
            dictionary = Path(temporary) / "words"
            dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words()))
            arguments += [f"-max_total_time={options.seconds}", f"-max_len={MAX_BYTES}", f"-dict={dictionary}"]
            arguments += ["-print_final_stats=1", str(corpus)]
        atheris.Setup(arguments, test_one_input)
        atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(each if each.isalnum() or each in " _./:" else f"\\x{ord(each):02x}" for each in word)


if __name__ == "__main__":
    main()
