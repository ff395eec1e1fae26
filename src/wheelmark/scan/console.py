"""Reports as text for people, and a progress bar while they wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from wheelmark.scan.flow import printable
from wheelmark.scan.report import DynamicPart, Finding, Report, Severity, Verdict

MAX_SHOWN = 15  # findings of one file
_VERDICT_STYLES = {
    Verdict.BENIGN: "green",
    Verdict.SUSPICIOUS: "yellow",
    Verdict.MALICIOUS: "bold red",
    Verdict.INCOMPLETE: "magenta",
}
_SEVERITY_STYLES = {
    Severity.INFO: "dim",
    Severity.LOW: "dim",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "red",
    Severity.CRITICAL: "bold red",
}


class Printer:
    """Prints reports one by one. What a file says is printed as text: no markup or escape of it takes effect."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def show(self, report: Report) -> None:
        """One report: the verdict, then each finding with where, why and what was seen."""
        line = Text()
        line.append(f"{report.verdict.value:<10}", style=_VERDICT_STYLES[report.verdict])
        line.append(f" {report.score:4.2f}  {printable(report.file)}")
        self._console.print(line)
        if report.incomplete_reason is not None:
            self._console.print(
                Text(f"    not everything was looked at: {printable(report.incomplete_reason)}", style="magenta")
            )
        if report.dynamic is not None:
            self._console.print(Text(f"    {_dynamic_part(report.dynamic)}", style="dim"))
        shown = [finding for finding in report.findings if finding.severity is not Severity.INFO]
        for finding in shown[:MAX_SHOWN]:
            self._console.print(_lines(finding))
        if len(shown) > MAX_SHOWN:
            self._console.print(
                Text(f"    and {len(shown) - MAX_SHOWN} more findings (--format json shows all)", style="dim")
            )

    def summarize(self, reports: Sequence[Report]) -> None:
        """How many files got which verdict, when there is more than one."""
        if len(reports) < 2:
            return
        counts = {verdict: sum(report.verdict is verdict for report in reports) for verdict in Verdict}
        words = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
        self._console.print(Text(f"{len(reports)} files: {words}"))


def _dynamic_part(part: DynamicPart) -> str:
    phases = ", ".join(phase.value for phase in part.phases) or "nothing"
    words = f"dynamic look: ran {phases} under Python {part.python} in a sandbox; another machine may see other things"
    return "; ".join((words, *map(printable, part.notes)))


def _lines(finding: Finding) -> Text:
    when = f" (runs at {finding.context.value})" if finding.context is not None and finding.context.automatic else ""
    member = printable(finding.member)
    place = f"{member}:{finding.line}" if finding.line else member
    text = Text()
    text.append(f"    {finding.severity.value:<9}", style=_SEVERITY_STYLES[finding.severity])
    text.append(f"{place}{when}  [{finding.rule}]\n")
    text.append(f"             {finding.message}\n")
    text.append(f"             {finding.evidence}", style="dim")
    return text


@contextmanager
def progress_of(total: int, stream: TextIO) -> Iterator[Callable[[str], None]]:
    """A progress bar on a terminal; silence elsewhere. Gives the function that says "one more is done"."""
    console = Console(file=stream)
    if not console.is_terminal or total < 2:
        yield lambda name: None
        return
    columns = (
        TextColumn("scanning"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[name]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("scanning", total=total, name="")
        yield lambda name: progress.update(task, advance=1, name=name[-60:])
