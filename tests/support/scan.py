"""Builds distributions in memory for the scanner's tests, and finds the samples of its rules: all harmless."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from wheelmark.scan import Finding, Report, RuleSet, ScanBounds, load_ruleset, scan_stream

SAMPLES = Path(__file__).parent.parent / "data" / "scan"
WHEEL_NAME = "widget-1-py3-none-any.whl"
SDIST_NAME = "widget-1.tar.gz"
SAMPLE_SUFFIX = ".txt"  # so that nothing ever imports a sample
TIMESTAMP = (2024, 1, 1, 0, 0, 0)

Members = Mapping[str, str | bytes]


def a_wheel(members: Members) -> bytes:
    """A wheel with these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            archive.writestr(zipfile.ZipInfo(path, TIMESTAMP), content)
    return stream.getvalue()


def an_sdist(members: Members) -> bytes:
    """An sdist with these members below its top folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, content in members.items():
            raw = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(f"widget-1/{path}")
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return stream.getvalue()


@cache
def the_ruleset() -> RuleSet:
    """The rules that are installed."""
    return load_ruleset()


def scan_wheel(members: Members, *, bounds: ScanBounds | None = None, filename: str = WHEEL_NAME) -> Report:
    """The report on a wheel with these members."""
    stream = io.BytesIO(a_wheel(members))
    return scan_stream(stream, filename=filename, ruleset=the_ruleset(), bounds=bounds or ScanBounds())


def scan_sdist(members: Members, *, bounds: ScanBounds | None = None) -> Report:
    """The report on an sdist with these members."""
    stream = io.BytesIO(an_sdist(members))
    return scan_stream(stream, filename=SDIST_NAME, ruleset=the_ruleset(), bounds=bounds or ScanBounds())


def scan_import(source: str) -> Report:
    """The report on a wheel whose package has this body."""
    return scan_wheel({"widget/__init__.py": source})


def rules_of(report: Report) -> set[str]:
    """The ids of the rules that found something worth more than a note."""
    return {finding.rule for finding in report.findings if finding.severity.rank > 0}


def finding_of(report: Report, rule: str) -> Finding:
    """The gravest finding of a rule; fails the test when there is none."""
    found = [finding for finding in report.findings if finding.rule == rule]
    assert found, f"expected a finding of {rule}, got {[finding.rule for finding in report.findings]}"
    return found[0]


def sample_paths(rule: str, kind: str) -> list[Path]:
    """The folders of a rule's samples; `kind` is `malicious` or `benign`."""
    folder = SAMPLES / rule / kind
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def scan_sample(folder: Path) -> Report:
    """The report on a sample, packed as its folder's name says: `wheel…` or `sdist…`."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    members = {
        path.relative_to(folder).as_posix().removesuffix(SAMPLE_SUFFIX): path.read_bytes() for path in sorted(files)
    }
    return scan_wheel(members) if folder.name.startswith("wheel") else scan_sdist(members)
