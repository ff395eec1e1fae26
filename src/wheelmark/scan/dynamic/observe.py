"""From the events of a trace to observations: what was done that matters, said once, without what differs by chance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wheelmark.scan.dynamic import names
from wheelmark.scan.dynamic.addresses import address_in, name_asked_for
from wheelmark.scan.dynamic.observation import Kind, Observation
from wheelmark.scan.dynamic.paths import Change, change_of, folder_of_descriptor, opened
from wheelmark.scan.dynamic.places import CALLS, INTERPRETER
from wheelmark.scan.dynamic.plan import Phase
from wheelmark.scan.dynamic.processes import MAX_DEPTH, Processes
from wheelmark.scan.dynamic.trace import EXECS, FORKS, Event, Exit
from wheelmark.scan.flow import printable
from wheelmark.scan.values import words

MAX_WHAT = 240  # characters
MAX_PROCESSES = 40  # of one step, without being worth a word
_SENDS = frozenset({"sendto", "sendmsg", "sendmmsg"})
_WRITES = frozenset({"write", "writev", "pwrite64"})
_SIGNALS = frozenset({"kill", "tkill", "tgkill"})
_ATTACHES = frozenset({"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"})
_LEAVES = words(
    "mount umount2 unshare setns pivot_root bpf io_uring_setup keyctl init_module finit_module kexec_load "
    "userfaultfd perf_event_open fsopen open_tree"
)
# Files that have no name on any disk.
_MEMORY = ("/memfd:", "/proc/self/fd/", "/dev/fd/", "/dev/shm/")  # noqa: S108 - a name, not a file of ours
_CALLS = CALLS.encode()
_NETWORK_CALLS = words("get post put patch delete head request urlopen urlretrieve send stream download fetch connect")
_URL = re.compile(r"(?i)\b(?:https?|wss?|ftp)://[^\s'\"\\]{1,200}")
_FIRST_NUMBER = re.compile(rb"^(-?\d+)(?: /\* (\d+) in strace's PID NS \*/)?")
_SIGNAL_ZERO = re.compile(rb", 0$")


@dataclass(slots=True)
class Observer:
    """Goes through the events of one phase. `files` are paths of the distribution's own files inside."""

    phase: Phase
    processes: Processes
    decoys: Mapping[str, bytes]
    forms: Mapping[bytes, str]
    files: frozenset[str]
    found: set[Observation] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    counts: dict[int, int] = field(default_factory=dict)  # processes that were started, by step
    begun: set[int] = field(default_factory=set)  # first processes of steps whose interpreter has been started
    folders: dict[int, str] = field(default_factory=dict)  # where processes are, as far as they went there themselves

    def observe(self, events: Iterable[Event | Exit]) -> set[Observation]:
        """All observations of these events."""
        pattern = re.compile(b"|".join(re.escape(form) for form in self.forms)) if self.forms else None
        for event in events:
            if not isinstance(event, Event) or not self.processes.is_watched(event.process):
                continue
            for kind, what in self._seen(event):
                self._note(event.process, kind, what)
            if pattern is not None and event.name not in FORKS:
                self._canaries(event, pattern)
        for step, count in self.counts.items():
            if count > MAX_PROCESSES:
                self._note(self.processes.firsts[step], Kind.MANY_PROCESSES, f"more than {MAX_PROCESSES} processes")
        return self.found

    def _seen(self, event: Event) -> Iterator[tuple[Kind, str]]:
        if event.name in EXECS:
            yield from self._executed(event)
        elif event.name in FORKS:
            self._forked(event)
        elif event.name in {"chdir", "fchdir"}:
            self._moved(event)
        elif event.name == "connect" or event.name in _SENDS:
            yield from _contacts(event)
        elif event.name == "listen":
            yield Kind.LISTEN, "listens on a socket"
        elif event.name in _SIGNALS:
            yield from self._signals(event)
        elif event.name in _ATTACHES:
            yield Kind.INTERFERES, f"calls {event.name}"
        elif event.name in _LEAVES:
            yield Kind.ESCAPE, f"calls {event.name}"
        else:
            yield from self._touched(event)

    def _executed(self, event: Event) -> Iterator[tuple[Kind, str]]:
        if self._is_own_start(event) or not event.strings:
            return
        # The first string is the path for execve; for execveat with an empty path, the descriptor says which.
        path, arguments = opened(event, self._folder(event.process)), list(event.strings[1:])
        shown = names.command(path, arguments)
        if path in self.written or path.startswith(_MEMORY):
            yield Kind.DROPPED_RUN, shown
        elif names.arranges_start(path):
            yield Kind.AUTOSTART, shown
        elif names.transfers(path, arguments):
            yield Kind.TRANSFER, shown
        else:
            yield Kind.PROCESS, shown

    def _is_own_start(self, event: Event) -> bool:
        """True for what the driver itself starts: the interpreter of a step."""
        if event.process in self.begun or event.process not in self.processes.firsts:
            return False
        self.begun.add(event.process)
        return event.strings[:1] == (INTERPRETER.encode(),)

    def _folder(self, process: int) -> str:
        """Where relative paths of a process start: where it went, or where its parent was when it was first asked."""
        way: list[int] = []
        found = "/"
        for _ in range(MAX_DEPTH):
            if process in self.folders:
                found = self.folders[process]
                break
            way.append(process)
            if process not in self.processes.parents:
                break
            process = self.processes.parents[process]
        self.folders.update(dict.fromkeys(way, found))
        return found

    def _moved(self, event: Event) -> None:
        if event.result == 0:
            named = opened(event, self._folder(event.process)) if event.name == "chdir" else ""
            self.folders[event.process] = named or folder_of_descriptor(event.arguments) or "/"

    def _forked(self, event: Event) -> None:
        if event.child is not None:
            step = self.processes.steps[event.process]
            self.counts[step] = self.counts.get(step, 0) + 1

    def _signals(self, event: Event) -> Iterator[tuple[Kind, str]]:
        found = _FIRST_NUMBER.match(event.arguments)
        if found is None or _SIGNAL_ZERO.search(event.arguments):
            return
        number = int(found[1][:12])
        target = int(found[2][:12]) if found[2] else number
        own = self.processes.steps.get(target) == self.processes.steps[event.process]
        if number == 0 or (number > 1 and own):
            return
        if number < -1:
            return  # a group: processes have left it or were started by this one
        everyone = number == -1
        yield Kind.INTERFERES, f"sends a signal to {'every process' if everyone else 'a process that it did not start'}"

    def _touched(self, event: Event) -> Iterator[tuple[Kind, str]]:
        if told := told_by_standin(event):
            yield from _called(*told)
            return
        change = change_of(event, self._folder(event.process))
        if change is None:
            return
        path = change.path
        if change.kind == "read":
            if path in self.decoys:
                yield Kind.DECOY_READ, names.shown_path(path)
            return
        if change.kind == "delete":
            if path in self.files and names.is_source(path):
                yield Kind.SELF_DELETE, names.shown_path(path)
            return
        yield from self._written(event, change)

    def _written(self, event: Event, change: Change) -> Iterator[tuple[Kind, str]]:
        path = change.path
        if change.kind == "write":
            self.written.add(path)
        if names.starts_by_itself(path):
            yield Kind.AUTOSTART, f"writes {names.shown_path(path)}"
        elif path in self.decoys:
            yield Kind.DECOY_READ, f"overwrites {names.shown_path(path)}"
        elif names.is_home(path) and event.error != "ENOENT":
            yield Kind.HOME_WRITTEN, names.shown_path(path)

    def _canaries(self, event: Event, pattern: re.Pattern[bytes]) -> None:
        strings = event.strings
        for text in strings:
            for match in pattern.finditer(text):
                self._note(event.process, Kind.DECOY_USED, f"{self.forms[match[0]]} {_where(event)}")

    def _note(self, process: int, kind: Kind, what: str) -> None:
        step = self.phase.steps[min(self.processes.steps[process], len(self.phase.steps) - 1)]
        self.found.add(
            Observation(
                kind=kind,
                context=self.phase.context,
                member=step.member,
                step=step.what,
                what=printable(names.normal(what), MAX_WHAT),
            )
        )


def told_by_standin(event: Event) -> tuple[str, str] | None:
    """What a stand-in for a missing module was called as, and with what; None for all other events."""
    if event.name not in {"unlink", "unlinkat"} or not event.strings or not event.strings[0].startswith(_CALLS):
        return None
    name, _, arguments = event.strings[0].removeprefix(_CALLS).decode("ascii", "backslashreplace").partition(" ")
    return name, arguments


def _called(name: str, arguments: str) -> Iterator[tuple[Kind, str]]:
    address = _URL.search(arguments)
    if address is not None and name.rpartition(".")[2] in _NETWORK_CALLS:
        yield Kind.CONTACT, f"{name} {address[0]}"


def _where(event: Event) -> str:
    if told := told_by_standin(event):
        return f"in what is passed to {told[0]}"
    if event.name in EXECS:
        return "in a command line"
    if event.name in _SENDS or event.name == "connect":
        return "in what is sent"
    return "in what is written" if event.name in _WRITES else "in a name"


def _contacts(event: Event) -> Iterator[tuple[Kind, str]]:
    address = address_in(event.arguments)
    if address is not None and not address.is_own:
        yield Kind.CONTACT, f"{event.name} {address}" if event.name == "connect" else f"sends to {address}"
    if event.name in _SENDS:
        for text in event.strings:
            asked = name_asked_for(text)
            if asked:
                yield Kind.CONTACT, f"asks for the address of {asked}"
