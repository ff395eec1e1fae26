"""One look: a distribution is run phase by phase, and what was seen comes back as findings."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wheelmark.scan.dynamic import driver, selftest
from wheelmark.scan.dynamic.bounds import LookBounds
from wheelmark.scan.dynamic.decoys import Decoys, make_decoys
from wheelmark.scan.dynamic.host import prepared_host, sandbox_user
from wheelmark.scan.dynamic.judgement import findings_of
from wheelmark.scan.dynamic.names import normal
from wheelmark.scan.dynamic.observation import Kind, Observation
from wheelmark.scan.dynamic.observe import Observer
from wheelmark.scan.dynamic.phases import Phases, installed_path, missing_module, phases_of, with_standins
from wheelmark.scan.dynamic.plan import Phase, Unpacked, packed, unpack
from wheelmark.scan.dynamic.processes import Processes, processes_of
from wheelmark.scan.dynamic.running import Run, run_sandbox
from wheelmark.scan.dynamic.sandbox import Host, sandbox_command
from wheelmark.scan.dynamic.trace import Event, Exit, driver_status, read_trace
from wheelmark.scan.flow import printable
from wheelmark.scan.report import Context, DynamicPart, Finding

MAX_SAID = 200  # characters of a program's last line
_BROKEN_OFF = {
    driver.EXIT_LATE: "a step did not end in its time",
    driver.EXIT_NOT_UNPACKED: "its files could not be laid out in the sandbox",
    driver.EXIT_NOT_STARTED: "a step could not be started",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. `gaps` says why it is not everything that was to be looked at."""

    findings: tuple[Finding, ...]
    gaps: tuple[str, ...]
    part: DynamicPart


@dataclass(frozen=True, slots=True)
class _Seen:
    observations: set[Observation]
    gap: str  # why it is not everything; "" when it is
    said: list[str]  # the last line of each step


@dataclass(slots=True)
class Looker:
    """A sandbox that was found to hold. Looks at one distribution after the other, each in sandboxes of its own."""

    host: Host
    bounds: LookBounds
    python: str

    def look(self, path: Path, *, filename: str, sha256: str) -> Look:
        """Run a distribution and say what it did. Never raises for what the distribution is or does.

        `sha256` is of the bytes that were scanned: only those are run.

        Raises: Unavailable when no sandbox can be started any more.
        """
        try:
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                    return self._result(Phases((), ""), set(), ["the file is no longer the one that was scanned"])
                stream.seek(0)
                return self._look(stream, filename, sha256)
        except OSError as error:
            return self._result(Phases((), ""), set(), [f"unreadable: {error.strerror or error}"])

    def _look(self, stream: BinaryIO, filename: str, sha256: str) -> Look:
        unpacked = unpack(stream, filename=filename, bounds=self.bounds)
        if unpacked.gaps:
            return self._result(Phases((), ""), set(), [unpacked.gaps[0]])
        decoys = make_decoys(sha256)
        texts = {path: raw for path, (raw, _) in unpacked.files.items()}
        phases = phases_of(
            filename,
            texts,
            decoys.environment,
            site_packages=self.host.site_packages,
            max_modules=self.bounds.max_modules,
        )
        seen: set[Observation] = set()
        gaps = list(phases.gaps)
        stood_in: set[str] = set()
        for phase in phases.phases:
            found = self._phase(phase, unpacked, decoys)
            seen |= found.observations
            if found.gap:
                gaps.append(f"{phase.context.value}: {found.gap}")
            else:
                seen |= self._go_on(phase, found, unpacked, decoys, stood_in)
        return self._result(phases, seen, gaps, links=unpacked.links, stood_in=stood_in)

    def _go_on(
        self, phase: Phase, first: _Seen, unpacked: Unpacked, decoys: Decoys, stood_in: set[str]
    ) -> set[Observation]:
        """What is seen beyond missing modules, which are stood in for one after the other, as long as one is missing.

        It is more than was promised: that such a round breaks off or stops is no gap.
        """
        own = {path.partition("/")[0].removesuffix(".py") for path in unpacked.files}
        names: set[str] = set()
        seen: set[Observation] = set()
        found = first
        for _ in range(self.bounds.max_standins):
            missing = {name for line in found.said if (name := missing_module(line, own))} - names
            if not missing:
                break
            names |= missing
            found = self._phase(with_standins(phase, names), unpacked, decoys)
            seen |= {each for each in found.observations if each.kind is not Kind.STOPPED}
        stood_in |= names
        return seen

    def _result(
        self,
        phases: Phases,
        seen: set[Observation],
        gaps: list[str],
        *,
        links: int = 0,
        stood_in: Iterable[str] = (),
    ) -> Look:
        notes = list(phases.notes)
        if stood_in:
            notes.append(f"not there, and stood in for: {', '.join(sorted(stood_in))}")
        if links:
            notes.append("links are not laid out in the sandbox")
        part = DynamicPart(
            python=self.python,
            phases=tuple(phase.context for phase in phases.phases),
            notes=tuple(notes),
        )
        findings = findings_of(seen, self.bounds.max_observations)
        return Look(findings, tuple(f"dynamic look: {gap}" for gap in gaps), part)

    def _phase(self, phase: Phase, unpacked: Unpacked, decoys: Decoys) -> _Seen:
        separator = secrets.token_hex(16)
        is_wheel = phase.folder == self.host.site_packages
        files = {installed_path(path) if is_wheel else path: each for path, each in unpacked.files.items()}
        with packed(phase, files, decoys.files, self.bounds, separator) as feed:
            run = run_sandbox(sandbox_command(self.host, self.bounds), feed, self.bounds, user=sandbox_user())
        events = read_trace(bytes(run.trace))
        processes = processes_of(events)
        observer = Observer(
            phase=phase,
            processes=processes,
            decoys=decoys.files,
            forms=decoys.forms(),
            files=frozenset(f"{phase.folder}/{path}" for path in files),
        )
        seen = observer.observe(events)
        said = _said(run, separator)
        seen |= _stopped(phase, processes, events, said)
        ended = driver_status(events)
        if ended is not None and ended.status == driver.EXIT_LEFT_RUNNING:
            seen.add(_of_phase(phase, Kind.LEFT_RUNNING, "was ended with the sandbox"))
        gap = _gap(run, ended, processes, len(phase.steps)) or _crossed(events, processes)
        return _Seen(seen, gap or _not_found(phase, said), said)


def _gap(run: Run, ended: Exit | None, processes: Processes, steps: int) -> str:
    """Why a phase was not seen to its end; "" when it was."""
    if run.broken_off:
        return run.broken_off
    if ended is None:
        return "the sandbox ended before its time"
    if ended.status in _BROKEN_OFF:
        return _BROKEN_OFF[ended.status]
    if ended.status not in {driver.EXIT_DONE, driver.EXIT_LEFT_RUNNING}:
        return f"the sandbox's driver was ended by {ended.signal or f'status {ended.status}'}"
    return "" if len(processes.firsts) == steps else f"expected {steps} steps, saw {len(processes.firsts)}"


def _crossed(events: list[Event | Exit], processes: Processes) -> str:
    """Which limit of the kernel ended a process; "" for none. The end of a step by an unknown hand is one, too."""
    for event in events:
        if not isinstance(event, Exit) or not processes.is_watched(event.process):
            continue
        if event.signal == "SIGXCPU":
            return "a process used more CPU time than it may"
        if event.signal == "SIGKILL" and event.process in processes.firsts:
            return "a step was ended by SIGKILL"
    return ""


def _not_found(phase: Phase, said: list[str]) -> str:
    """Which module is not where it was laid out, or had no memory left; "" when all were there."""
    for step, last in zip(phase.steps, said, strict=False):
        if last == "MemoryError":
            return "a process wanted more memory than it may have"
        if phase.context is Context.IMPORT and last == f"ModuleNotFoundError: No module named {step.argv[-1]!r}":
            return f"{step.what}: not found where it was laid out"
    return ""


def _stopped(phase: Phase, processes: Processes, events: list[Event | Exit], said: list[str]) -> set[Observation]:
    """The steps that did not end well, each with the last line that it printed."""
    numbers = {process: number for number, process in enumerate(processes.firsts)}
    found: set[Observation] = set()
    for event in events:
        number = numbers.get(event.process)
        if not isinstance(event, Exit) or number is None or number >= len(phase.steps) or event.status == 0:
            continue
        how = f"was ended by {event.signal}" if event.status is None else f"ended with status {event.status}"
        last = said[number] if number < len(said) else ""
        step = phase.steps[number]
        found.add(
            Observation(
                kind=Kind.STOPPED,
                context=phase.context,
                member=step.member,
                step=step.what,
                what=normal(f"{how}: {last}" if last else how),
            )
        )
    return found


def _said(run: Run, separator: str) -> list[str]:
    """The last line that each step printed."""
    parts = bytes(run.output).decode("utf-8", "replace").split(f"\n{separator}\n")
    return [printable((part.strip().splitlines() or [""])[-1], MAX_SAID) for part in parts]


def _of_phase(phase: Phase, kind: Kind, what: str) -> Observation:
    step = phase.steps[-1]
    return Observation(kind=kind, context=phase.context, member=step.member, step=step.what, what=what)


@contextmanager
def open_looker(bounds: LookBounds | None = None) -> Iterator[Looker]:
    """A sandbox of this machine, tested; what it needs goes away at the end.

    Raises: Unavailable when something is missing, or the sandbox does not hold here. It never runs without.
    """
    chosen = bounds or LookBounds()
    with prepared_host() as host:
        yield Looker(host, chosen, selftest.check(host, chosen))


__all__ = ["Look", "Looker", "open_looker"]
