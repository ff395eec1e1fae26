"""Samples of rules: small distributions that an author writes, which a scan reads as bytes and nothing ever runs."""

from __future__ import annotations

import gzip
import io
import tarfile
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

WHEEL_NAME = "widget-1-py3-none-any.whl"
SDIST_NAME = "widget-1.tar.gz"
SDIST_ROOT = "widget-1/"
_TIMESTAMP = (2024, 1, 1, 0, 0, 0)

Files = Mapping[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Sample:
    """One small distribution. Text that begins with a line break is dedented, so that it can stand in code."""

    files: Files
    is_wheel: bool = True

    @classmethod
    def wheel(cls, files: Files) -> Sample:
        """A wheel with these files; paths are as installed."""
        return cls(files)

    @classmethod
    def sdist(cls, files: Files) -> Sample:
        """An sdist with these files; paths are below its top folder."""
        return cls(files, is_wheel=False)

    @classmethod
    def imported(cls, source: str) -> Sample:
        """A wheel whose package has this body, which runs at import."""
        return cls({"widget/__init__.py": source})

    @classmethod
    def installed(cls, source: str) -> Sample:
        """An sdist with this `setup.py`, which runs at installation."""
        return cls({"setup.py": source}, is_wheel=False)

    @property
    def filename(self) -> str:
        """What the distribution is called."""
        return WHEEL_NAME if self.is_wheel else SDIST_NAME

    def packed(self) -> bytes:
        """The bytes of the distribution."""
        files = {path: content_bytes(content) for path, content in self.files.items()}
        return zipped(files) if self.is_wheel else tarred({SDIST_ROOT + path: raw for path, raw in files.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What a rule must find, and what comes close and must be left alone."""

    malicious: tuple[Sample, ...] = ()
    benign: tuple[Sample, ...] = ()

    def numbered(self) -> list[tuple[str, Sample]]:
        """All samples, each with its kind and number: `malicious 1`, `benign 2`."""
        kinds = (("malicious", self.malicious), ("benign", self.benign))
        return [(f"{kind} {number}", sample) for kind, found in kinds for number, sample in enumerate(found, 1)]


def content_bytes(content: str | bytes) -> bytes:
    """The bytes of one file of a sample."""
    if isinstance(content, bytes):
        return content
    return (textwrap.dedent(content[1:]) if content.startswith("\n") else content).encode()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip with these members, the same bytes every time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, raw in files.items():
            archive.writestr(zipfile.ZipInfo(path, _TIMESTAMP), raw, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    """A gzipped tar with these members, the same bytes every time."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for path, raw in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return stream.getvalue()
