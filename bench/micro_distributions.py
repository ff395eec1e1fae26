"""Micro-distributions: a `setup.py` or `pyproject.toml` and one to three harmless modules, as sdist or wheel.

    python bench/micro_distributions.py --corpus DIR [--per-project 4]

Malware is small, and what benchmarks call benign is large and well known. A scanner that has learned nothing but that
does well on paper and cries wolf at every first upload. These files take size and fame away: modules of the standard
library and of the corpus' benign distributions, each used once, in the layouts and with the `setup.py` habits of small
projects. At least half of a project's files are made of modules that use the network, processes, the environment,
encodings or dynamic code, if it has such modules, because those are the ones that can raise a false alarm.

The same corpus and the same Python give the same bytes. Each file carries the project whose modules it holds as its
group, so that a split by group never has the same code on both sides. The files and `manifest.tsv` go to `micro/`.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import hashlib
import io
import re
import sys
import sysconfig
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from micro_setups import PYPROJECT, setup_source
from scan_samples import Places, Sample, SamplesMissing, add_options, benign_samples

MIN_MODULE_BYTES, MAX_MODULE_BYTES = 120, 60_000
MAX_MEMBERS_READ = 3_000
MAX_MODULES_OF_PROJECT = 60
PER_PROJECT = 4
_EPOCH = (2020, 1, 1, 0, 0, 0)
_SET_ASIDE = re.compile(
    r"(^|/)(tests?|testing|_vendor|vendored|site-packages|idlelib|lib2to3|turtledemo|ensurepip)(/|$)"
)
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|conftest|setup)\.py$")
# What a module must use to be one that a scanner looks at twice.
_CAPABLE = re.compile(
    rb"\b(subprocess|socket|urllib|requests|http\.client|httpx|aiohttp|ftplib|smtplib|base64|zlib|marshal|ctypes|winreg"
    rb"|os\.environ|os\.system|getpass|platform\.|tempfile|importlib|__import__|exec\(|eval\(|compile\(|paramiko)"
)


@dataclass(frozen=True, slots=True)
class Module:
    """One harmless module of some project."""

    name: str
    source: bytes

    @property
    def capable(self) -> bool:
        """True when it uses the network, processes, the environment, encodings or dynamic code."""
        return _CAPABLE.search(self.source) is not None


@dataclass(frozen=True, slots=True)
class Donor:
    """A project, and the modules that it gives; perhaps also its own `setup.py`."""

    source: str
    project: str
    modules: tuple[Module, ...]
    setup: bytes | None = None


@dataclass(frozen=True, slots=True)
class Micro:
    """One generated distribution."""

    source: str
    group: str
    filename: str
    content: bytes


def micro_distributions(donor: Donor, *, at_most: int) -> Iterator[Micro]:
    """The micro-distributions of one project, each module used once; the same for the same donor."""
    capable = [module for module in donor.modules if module.capable]
    plain = [module for module in donor.modules if not module.capable]
    for number in range(at_most):
        draw = _Draw(f"{donor.project}/{number}")
        turn = capable if number % 2 == 0 else plain
        pool = turn or capable or plain
        if not pool:
            return
        taken = tuple(pool.pop(0) for _ in range(min(len(pool), 1 + draw.below(3))))
        yield _build(donor, number, taken, draw)


def donors(samples: Iterable[Sample], library: Path) -> list[Donor]:
    """The projects of the corpus that have modules to give, and those of the standard library in `library`."""
    found: dict[str, Donor] = {}
    for sample in samples:
        if sample.malicious:
            # Nothing of a malicious archive is ever written anywhere.
            raise RuntimeError(f"expected benign distributions only, got {sample.filename}")
        if sample.path is None:
            continue
        modules, setup = _modules_of(sample.path)
        known = found.get(sample.group)
        if known is not None:
            modules, setup = (known.modules or modules), (known.setup or setup)
        if modules:
            found[sample.group] = Donor(sample.source, sample.group, modules, setup)
    everything = [*found.values(), *standard_library(library)]
    return sorted(everything, key=lambda donor: (donor.source, donor.project))


def standard_library(folder: Path) -> Iterator[Donor]:
    """The standard library: each top-level module or package is a project of its own."""
    by_top: dict[str, list[tuple[str, bytes]]] = {}
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder).as_posix()
        if not _SET_ASIDE.search(relative) and not relative.startswith(("dist-packages", "test")):
            by_top.setdefault(relative.partition("/")[0].removesuffix(".py"), []).append((relative, path.read_bytes()))
    for top, members in sorted(by_top.items()):
        modules = _usable(members)
        if modules:
            yield Donor("stdlib", f"stdlib-{top.replace('_', '-').strip('-').lower()}", modules)


def write(found: Iterable[Micro], corpus: Path) -> int:
    """Write the files and their manifest into `micro/`; returns how many."""
    folder = corpus / "micro"
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["# source\tproject\tfilename\tsha256\tpath"]
    for micro in found:
        (folder / micro.filename).write_bytes(micro.content)
        digest = hashlib.sha256(micro.content).hexdigest()
        rows.append(f"{micro.source}\t{micro.group}\t{micro.filename}\t{digest}\tmicro/{micro.filename}")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1


class _Draw:
    """Numbers that look drawn and depend on nothing but a name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def below(self, limit: int) -> int:
        self._count += 1
        digest = hashlib.sha256(f"{self._name}/{self._count}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % limit


def _modules_of(path: Path) -> tuple[tuple[Module, ...], bytes | None]:
    """The modules of one benign archive, and its `setup.py` when it has one that stands alone."""
    members: list[tuple[str, bytes]] = []
    setup: bytes | None = None
    for name, raw in _python_members(path):
        if name.count("/") == 1 and name.endswith("/setup.py") and not path.name.endswith(".whl"):
            setup = raw
        elif not _SET_ASIDE.search(name) and not _TEST_FILE.search(name):
            members.append((name, raw))
    return _usable(members), setup


def _python_members(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist()[:MAX_MEMBERS_READ]:
                if member.filename.endswith(".py") and member.file_size <= MAX_MODULE_BYTES:
                    yield member.filename, archive.read(member)
        return
    with tarfile.open(path, "r:*") as tar:
        for _, info in zip(range(MAX_MEMBERS_READ), tar, strict=False):
            if info.isfile() and info.name.endswith(".py") and info.size <= MAX_MODULE_BYTES:
                stream = tar.extractfile(info)
                if stream is not None:
                    yield info.name, stream.read()


def _usable(members: list[tuple[str, bytes]]) -> tuple[Module, ...]:
    """The modules that can stand alone, in an order that the bytes decide, each name and each text once."""
    found: dict[str, Module] = {}
    texts = set()
    for path, raw in sorted(members, key=lambda member: hashlib.sha256(member[1]).digest()):
        name = PurePosixPath(path).stem
        if name.startswith("__"):
            name = PurePosixPath(path).parent.name
        name = re.sub(r"\W", "_", name).lower()
        if len(found) == MAX_MODULES_OF_PROJECT:
            break
        if name.isidentifier() and name not in found and raw not in texts and _parses(raw):
            found[name] = Module(name, raw)
            texts.add(raw)
    return tuple(found.values())


def _parses(raw: bytes) -> bool:
    if not MIN_MODULE_BYTES <= len(raw) <= MAX_MODULE_BYTES:
        return False
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(raw)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _build(donor: Donor, number: int, modules: tuple[Module, ...], draw: _Draw) -> Micro:
    package = re.sub(r"\W", "_", f"{donor.project}_part{number}").lower()
    version = f"{draw.below(3)}.{draw.below(10)}.{draw.below(20)}"
    summary = ("", "A small module", f"Parts of {donor.project} for everyday scripts", "Utilities")[draw.below(4)]
    members, layout = _laid_out(package, modules, draw)
    address = f"https://example.org/{donor.project}" if draw.below(2) else ""
    metadata = _metadata(package, version, summary, address)
    if draw.below(2):
        return Micro(
            donor.source,
            donor.project,
            f"{package}-{version}-py3-none-any.whl",
            _wheel(package, version, metadata, members),
        )
    files = dict(members)
    files["PKG-INFO"] = metadata
    files["README.md"] = f"# {package}\n\n{summary}\n".encode()
    shape = draw.below(13)
    own = donor.setup is not None and number == 0
    if own and donor.setup is not None:
        files["setup.py"] = donor.setup
    elif shape >= 10:
        files["pyproject.toml"] = PYPROJECT.format(name=package, version=version, summary=summary).encode()
    else:
        fields: dict[str, object] = {"name": package, "version": version, **layout}
        fields |= {"description": summary} if summary else {}
        fields |= {"url": address, "author": "A Developer"} if address else {}
        files["setup.py"] = setup_source(shape, fields).encode()
    return Micro(donor.source, donor.project, f"{package}-{version}.tar.gz", _sdist(f"{package}-{version}", files))


def _laid_out(package: str, modules: tuple[Module, ...], draw: _Draw) -> tuple[dict[str, bytes], dict[str, object]]:
    """Paths and texts, and what `setup()` says of them: flat, a package, one that imports its modules, or one file."""
    layout = draw.below(4)
    if layout == 0:
        return {f"{module.name}.py": module.source for module in modules}, {"py_modules": [m.name for m in modules]}
    first = b""
    if layout == 1:
        first = "".join(f"from . import {module.name}\n" for module in modules).encode()
    inside = modules
    if layout == 2:
        first, inside = modules[0].source, modules[1:]
    members = {f"{package}/__init__.py": first}
    members |= {f"{package}/{module.name}.py": module.source for module in inside}
    return members, {"packages": [package]}


def _metadata(package: str, version: str, summary: str, address: str) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {package}", f"Version: {version}"]
    lines += [f"Summary: {summary}"] if summary else []
    lines += [f"Home-page: {address}", "Author: A Developer"] if address else []
    return ("\n".join(lines) + "\n").encode()


def _wheel(package: str, version: str, metadata: bytes, members: dict[str, bytes]) -> bytes:
    folder = f"{package}-{version}.dist-info"
    wheel = b"Wheel-Version: 1.0\nGenerator: setuptools\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {**members, f"{folder}/METADATA": metadata, f"{folder}/WHEEL": wheel}
    record = "".join(f"{path},,\n" for path in files) + f"{folder}/RECORD,,\n"
    files[f"{folder}/RECORD"] = record.encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, raw in files.items():
            # Stored: the bytes must not depend on the version of zlib.
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), raw, zipfile.ZIP_STORED)
    return out.getvalue()


def _sdist(root: str, files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, raw in sorted(files.items()):
            info = tarfile.TarInfo(f"{root}/{path}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return gzip.compress(packed.getvalue(), compresslevel=0, mtime=0)


def main() -> int:
    """Generate from a corpus, into it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument(
        "--per-project", type=int, default=PER_PROJECT, metavar="N", help="at most; default: %(default)s"
    )
    options = parser.parse_args()
    try:
        places = Places.named(lists=options.lists, mirror=options.mirror, corpus=options.corpus)
        samples = benign_samples(places, kinds=("hard", "ordinary", "wide"))
    except SamplesMissing as missing:
        print(f"micro-distributions: {missing}", file=sys.stderr)
        return 2
    library = Path(sysconfig.get_path("stdlib"))
    found = (
        micro for donor in donors(samples, library) for micro in micro_distributions(donor, at_most=options.per_project)
    )
    print(f"{write(found, places.corpus)} micro-distributions in {places.corpus / 'micro'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
