"""Who is whose child in a trace: which step a process belongs to, and which processes are our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from wheelmark.scan.dynamic.trace import EXECS, Event, Exit, driver_of

MAX_DEPTH = 10_000


@dataclass(slots=True)
class Processes:
    """The processes of one trace. `steps` maps each process of a step to the number of that step."""

    driver: int | None = None
    steps: dict[int, int] = field(default_factory=dict)
    firsts: list[int] = field(default_factory=list)  # the first process of each step, in order
    parents: dict[int, int] = field(default_factory=dict)

    def is_watched(self, process: int) -> bool:
        """True for a process of a step: not for the sandbox's own."""
        return process in self.steps


def processes_of(events: Sequence[Event | Exit]) -> Processes:
    """Read the tree out of a trace."""
    found = Processes(driver=driver_of(events))
    for event in events:
        # A number may be used again; the first parent is as good as any for knowing that it is not ours.
        if isinstance(event, Event) and event.child is not None:
            found.parents.setdefault(event.child, event.process)
    started = {
        event.process
        for event in events
        if isinstance(event, Event) and event.name in EXECS and found.parents.get(event.process) == found.driver
    }
    for event in events:
        if isinstance(event, Event) and event.process in started and event.process not in found.steps:
            found.steps[event.process] = len(found.firsts)
            found.firsts.append(event.process)
    for process in found.parents:
        _attribute(found, process)
    return found


def _attribute(found: Processes, process: int) -> None:
    way: list[int] = []
    seen = process
    while seen not in found.steps and seen in found.parents and len(way) < MAX_DEPTH:
        way.append(seen)
        seen = found.parents[seen]
    if (step := found.steps.get(seen)) is not None:
        for each in way:
            found.steps[each] = step
