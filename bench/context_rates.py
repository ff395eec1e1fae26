"""How often context checks speak against ordinary projects, and how many look-alike names of malware they see.

    python bench/context_rates.py files [--corpus DIR …]     benign distributions, each as if its project were new here
    python bench/context_rates.py names FILE [--described]   names, one a line, with version and summary after tabs
    python bench/context_rates.py malicious [--lists DIR …]  the names of the development list, by name and by family

Every upload is taken for the first of a new project by an account without history, which is the hardest case. A
well-known project's own name is taken off the list while its file is looked at: else name checks would say nothing.
A name that the list of names has survived, so the rates of names are upper bounds: some of them are look-alikes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from scan_samples import Places, add_options, benign_samples, malicious_samples, open_samples, project_of
from wheelmark.dist import CoreMetadata, parse_metadata, walk_archive
from wheelmark.errors import WheelmarkError
from wheelmark.scan import RuleSet, ScanBounds, examine, load_ruleset, report_on
from wheelmark.scan.context import (
    CheckSet,
    Distribution,
    Index,
    Level,
    Lists,
    Metadata,
    Project,
    Release,
    Upload,
    examine_upload,
    load_checks,
    shipped_lists,
)
from wheelmark.scan.context.popular import PopularNames
from wheelmark.scan.facts_summary import FactsSummary

MAX_METADATA_BYTES = 4_000_000
SOME_CODE = FactsSummary(python_files=6, python_bytes=20_000, total_bytes=30_000)
SOME_TEXT = "It reads weather stations over a serial line and keeps what they say for an hour. " * 4
SHOWN = 12


@dataclass
class Tally:
    """What came of many uploads."""

    uploads: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    checks: Counter[tuple[str, str]] = field(default_factory=Counter)
    strong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def take(self, upload: Upload, checkset: CheckSet, name: str) -> Level:
        """Examine one upload."""
        started = time.process_time()
        report = examine_upload(upload, checkset)
        self.seconds.append(time.process_time() - started)
        if report.incomplete_reason is not None:
            raise RuntimeError(f"{name}: {report.incomplete_reason}")
        self.uploads += 1
        self.levels[report.level] += 1
        self.checks.update({(finding.check, finding.severity.value) for finding in report.findings})
        if report.level is Level.STRONG:
            told = "; ".join(f"{each.check} {each.severity}: {each.evidence[:90]}" for each in report.findings[:2])
            self.strong.append(f"{name}: {told}")
        return report.level

    def table(self) -> str:
        """As lines of text."""
        lines = [f"{self.uploads:,} uploads"]
        lines += [f"  {level:10} {self._part(self.levels[level])}" for level in Level]
        lines += [f"  {check:18} {severity:7} {self._part(n)}" for (check, severity), n in sorted(self.checks.items())]
        ordered = sorted(self.seconds)
        lines.append(
            f"  CPU a upload: median {1000 * ordered[len(ordered) // 2]:.2f} ms, "
            f"95th {1000 * ordered[int(len(ordered) * 0.95)]:.2f} ms, most {1000 * ordered[-1]:.1f} ms"
        )
        return "\n".join(lines)

    def _part(self, count: int) -> str:
        bound = f" (<= {100 * 3 / self.uploads:.3f} % by the rule of three)" if not count else ""
        return f"{count:7,}  {100 * count / self.uploads:.3f} %{bound}"


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    files = modes.add_parser("files")
    add_options(files)
    names = modes.add_parser("names")
    names.add_argument("file", type=Path)
    names.add_argument("--described", action="store_true", help="with a text and an address, as most projects have")
    names.add_argument("--every", type=int, default=1, metavar="N", help="look at each N-th name only")
    malicious = modes.add_parser("malicious")
    add_options(malicious)
    arguments = parser.parse_args()
    if arguments.mode == "files":
        places = Places.named(lists=arguments.lists, mirror=arguments.mirror, corpus=arguments.corpus)
        print(_of_files(places))
    elif arguments.mode == "names":
        print(_of_names(arguments.file, described=arguments.described, every=arguments.every))
    else:
        places = Places.named(lists=arguments.lists, mirror=arguments.mirror, corpus=arguments.corpus)
        print(_of_malicious(places))
    return 0


def _of_files(places: Places) -> str:
    checkset, ruleset, lists = load_checks(), load_ruleset(), shipped_lists()
    tally, unread = Tally(), 0
    seen: set[str] = set()
    for sample, stream in open_samples(benign_samples(places, kinds=("hard", "ordinary", "wide")), places.mirror):
        name = project_of(sample.filename)
        upload = _upload_of(stream, sample.filename, ruleset, _without(lists, name))
        if upload is None:
            unread += 1
            continue
        seen.add(name)
        tally.take(upload, checkset, sample.filename)
    strong = "\n".join(f"  strong: {each}" for each in tally.strong)
    return f"{tally.table()}\n  {len(seen)} projects, {unread} without readable metadata\n{strong}"


def _without(lists: Lists, name: str) -> Lists:
    """The lists without one name, as they are for a project that nobody knows yet."""
    popular = lists.popular
    if popular.rank(name) is None:
        return lists
    others = tuple(each for each in popular.names if each != name)
    return replace(lists, popular=PopularNames(others, popular.modules, popular.shared))


def _upload_of(stream: BinaryIO, filename: str, ruleset: RuleSet, lists: Lists) -> Upload | None:
    metadata = _metadata(stream, filename)
    if metadata is None:
        return None
    stream.seek(0)
    report = report_on(examine(stream, filename=filename, ruleset=ruleset, bounds=ScanBounds()), ruleset)
    return Upload(
        project=Project(name=metadata.name, normalized_name=metadata.normalized_name),
        release=Release(version=str(metadata.version)),
        file=Distribution(
            filename=filename,
            is_wheel=filename.endswith(".whl"),
            metadata=Metadata.of(metadata),
            facts=report.facts,
            verdict=report.verdict,
            findings=report.findings,
        ),
        index=Index(lists=lists),
    )


def _metadata(stream: BinaryIO, filename: str) -> CoreMetadata | None:
    try:
        for entry in walk_archive(stream, filename=filename):
            parts = entry.path.split("/")
            if len(parts) == 2 and (parts[0].endswith(".dist-info"), parts[1]) in (
                (True, "METADATA"),
                (False, "PKG-INFO"),
            ):
                return parse_metadata(entry.read(MAX_METADATA_BYTES))
    except WheelmarkError:
        return None
    return None


def _of_names(listed: Path, *, described: bool, every: int) -> str:
    checkset, lists = load_checks(), shipped_lists()
    tally = Tally()
    for name, version, summary in _lines(listed, every):
        tally.take(_named(name, version, summary, lists, described=described), checkset, name)
    step = max(1, len(tally.strong) // SHOWN)
    return "\n".join([tally.table(), *(f"  strong: {each}" for each in tally.strong[::step][:SHOWN])])


def _lines(listed: Path, every: int) -> Iterator[tuple[str, str, str]]:
    with listed.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream):
            if line.startswith("#") or number % every:
                continue
            fields = [*line.rstrip("\n").split("\t"), "", ""]
            yield fields[0], fields[1] or "1.0", fields[2]


def _of_malicious(places: Places) -> str:
    checkset, lists = load_checks(), shipped_lists()
    parts = []
    samples = malicious_samples(places.lists / "dev-malicious.tsv", representatives_only=False)
    for described in (True, False):
        tally = Tally()
        names: dict[str, set[str]] = {}
        for sample in samples:
            names.setdefault(project_of(sample.filename), set()).add(sample.group)
        families = _families(tally, names, checkset, lists, described=described)
        everything = {family for found in names.values() for family in found}
        parts.append(
            f"{'with a text' if described else 'nothing but a name'}: {tally.table()}\n"
            f"  families with a name that is strong: {len(families)} of {len(everything)}"
        )
    return "\n".join(parts)


def _families(
    tally: Tally, names: dict[str, set[str]], checkset: CheckSet, lists: Lists, *, described: bool
) -> set[str]:
    found: set[str] = set()
    for name, families in sorted(names.items()):
        upload = _named(name, "1.0", "", lists, described=described)
        if tally.take(upload, checkset, name) is Level.STRONG:
            found |= families
    return found


def _named(name: str, version: str, summary: str, lists: Lists, *, described: bool) -> Upload:
    urls: Iterable[tuple[str, str]] = [("Homepage", "https://stations.example.net")] if described else ()
    return Upload(
        project=Project(name=name, normalized_name=name),
        release=Release(version=version),
        file=Distribution(
            filename=f"{name}.tar.gz",
            metadata=Metadata(summary=summary, description=SOME_TEXT if described else "", urls=tuple(urls)),
            facts=SOME_CODE,
        ),
        index=Index(lists=lists),
    )


if __name__ == "__main__":
    sys.exit(main())
