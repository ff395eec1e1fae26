"""`wheelmark scan`: many files in parallel, each in a confined process; text, JSON lines or SARIF."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from wheelmark import __version__
from wheelmark.errors import WheelmarkError
from wheelmark.scan.console import Printer, progress_of
from wheelmark.scan.flow import printable
from wheelmark.scan.isolated import sayable
from wheelmark.scan.options import EXIT_CLEAN, EXIT_FOUND, EXIT_INCOMPLETE, add_jobs, add_rules, rules_folders
from wheelmark.scan.parallel import Target, distributions_in, scan_all
from wheelmark.scan.report import Report, Verdict
from wheelmark.scan.tree import pack_tree

SUBCOMMANDS = {
    "rules": "wheelmark.scan.rule_commands:main_rules",
    "new-rule": "wheelmark.scan.new_rule:main",
    "test-rules": "wheelmark.scan.rule_commands:main_test",
}
_REACHED = {
    "suspicious": frozenset({Verdict.SUSPICIOUS, Verdict.MALICIOUS}),
    "malicious": frozenset({Verdict.MALICIOUS}),
}


def main(argv: Sequence[str]) -> int:
    """Scan what was named; return 0 when all is well, 1 when something reached `--fail-on`, 2 when one was not seen."""
    run = _subcommand(argv[0]) if argv else None
    try:
        return _scan(argv) if run is None else run(argv[1:])
    except (WheelmarkError, RuntimeError) as error:
        # Status 1 would say that something was found.
        print(f"wheelmark: {error}", file=sys.stderr)
        return EXIT_INCOMPLETE


def exit_status(reports: Iterable[Report], fail_on: str) -> int:
    """What the command ends with. A finding weighs more than a gap: it calls for action now."""
    everything = list(reports)
    if any(report.verdict in _REACHED[fail_on] for report in everything):
        return EXIT_FOUND
    if any(report.verdict is Verdict.INCOMPLETE for report in everything):
        return EXIT_INCOMPLETE
    return EXIT_CLEAN


def _subcommand(word: str) -> Callable[[Sequence[str]], int] | None:
    target = SUBCOMMANDS.get(word)
    if target is None:
        return None
    if Path(word).exists():
        print(f"wheelmark: `{word}` is a command here; what is called so is scanned as ./{word}", file=sys.stderr)
    module, _, function = target.partition(":")
    found: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), function)
    return found


def _scan(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    rules = rules_folders(options)
    with ExitStack() as stack:
        targets = [Target.of(found) for path in options.paths for found in distributions_in(path)]
        targets += [stack.enter_context(_tree(folder, options.exclude)) for folder in options.tree]
        if not targets:
            print(
                "wheelmark: expected distributions to scan, got none (folders are searched for wheels and sdists; "
                "--tree DIR scans a source tree)",
                file=sys.stderr,
            )
            return EXIT_INCOMPLETE
        look = _dynamic(stack) if options.dynamic else _static
        scanned = scan_all(targets, jobs=options.jobs, rules=rules)
        reports = list(_shown(look(targets, scanned), len(targets), options.format))
        if options.format == "sarif":
            sys.stdout.buffer.write(_sarif(targets, reports, rules) + b"\n")
    return exit_status(reports, options.fail_on)


_Look = Callable[[Sequence[Target], Iterable[Report]], Iterable[Report]]


def _static(targets: Sequence[Target], reports: Iterable[Report]) -> Iterable[Report]:
    return reports


def _dynamic(stack: ExitStack) -> _Look:
    """The look at what runs, for as long as the stack is open. Raises: Unavailable when it cannot be contained here."""
    from wheelmark.scan.dynamic.host import find_programs

    find_programs()  # first: elsewhere than on Linux the rest cannot even be imported
    from wheelmark.scan.dynamic.join import look_at_all
    from wheelmark.scan.dynamic.look import open_looker

    return partial(look_at_all, stack.enter_context(open_looker()))


def _sarif(targets: Sequence[Target], reports: Sequence[Report], rules: Sequence[Path]) -> bytes:
    from wheelmark.scan.ruleset import load_ruleset
    from wheelmark.scan.sarif import Place, to_sarif
    from wheelmark.scan.snippets import snippets_of

    snippets: dict[Place, str] = {}
    for target, report in zip(targets, reports, strict=True):
        snippets |= snippets_of(report, target.path, filename=target.filename, root=target.root)
    return to_sarif(reports, load_ruleset(folders=rules).rules, __version__, snippets)


def _shown(reports: Iterable[Report], total: int, form: str) -> Iterator[Report]:
    """Pass the reports on, each shown as soon as it is there, unless they go into one log at the end."""
    printer = Printer(sys.stdout)
    everything: list[Report] = []
    with progress_of(total, sys.stderr) as advance:
        for report in reports:
            advance(report.file)
            if form == "json":
                sys.stdout.buffer.write(report.to_json() + b"\n")
                sys.stdout.buffer.flush()
            elif form == "text":
                printer.show(report)
            everything.append(report)
            yield report
    if form == "text":
        printer.summarize(everything)


@contextmanager
def _tree(folder: Path, exclude: Sequence[str]) -> Iterator[Target]:
    """A source tree, packed for as long as it is scanned; says on standard error what was left out."""
    with tempfile.TemporaryDirectory(prefix="wheelmark-tree-") as temporary:
        path = Path(temporary) / "tree.tar"
        with path.open("wb") as stream:
            packed = pack_tree(folder, stream, exclude=exclude)
        if packed.left_out:
            names = ", ".join(map(printable, sorted(packed.left_out)))
            print(f"wheelmark: {folder}: left out {names}", file=sys.stderr)
        yield Target(path, sayable(str(folder)), packed.filename, packed.root)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wheelmark scan",
        description="Say what distributions do, and whether they are malicious. Nothing of them is executed, unless "
        "--dynamic asks for it.",
        epilog="Exit status: 0 all scanned, nothing reached --fail-on; 1 something did; 2 one was incomplete. "
        f"Other commands: wheelmark scan {' | '.join(SUBCOMMANDS)}.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a wheel, an sdist, or a folder with many")
    parser.add_argument(
        "--tree",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a source tree, scanned as the sdist that it would be",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="NAME",
        help="a name, or a path below the tree, that --tree leaves out",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "sarif"),
        default="text",
        help="text for people, or JSON lines, or SARIF 2.1.0",
    )
    parser.add_argument(
        "--fail-on",
        choices=tuple(_REACHED),
        default="malicious",
        help="the least verdict that fails (default: malicious)",
    )
    parser.add_argument(
        "--dynamic",
        action="store_true",
        help="also install and import it, in a sandbox without network (Linux; needs bubblewrap and strace)",
    )
    add_rules(parser)
    add_jobs(parser)
    return parser
