"""Reads what strace wrote: events of processes, with their strings decoded.

strace writes every string as hexadecimal escapes (`-xx`), so nothing that is watched can write a line of its own. Lines
that are none of strace's known forms are passed over; how much there is to read was bounded when it was collected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wheelmark.scan.dynamic.places import BASE_INTERPRETER, DRIVER

MAX_LINE = 65_536  # bytes; longer ones are cut, and with them what they end with
FORKS = frozenset({"fork", "vfork", "clone", "clone3"})
EXECS = frozenset({"execve", "execveat"})

_LINE = re.compile(rb"^(\d+) +(.*)$")
_CALL = re.compile(rb"^([a-z_][a-z0-9_]*)\((.*)$")
_UNFINISHED = b" <unfinished ...>"
_RESUMED = re.compile(rb"^<\.\.\. ([a-z_][a-z0-9_]*) resumed>(.*)$")
_EXITED = re.compile(rb"^\+\+\+ exited with (\d+) \+\+\+$")
_KILLED = re.compile(rb"^\+\+\+ killed by ([A-Z0-9_+]+)(?: \(core dumped\))? \+\+\+$")
_RESULT = re.compile(rb"\) += +(-?\d+|0x[0-9a-f]+|\?)([^\"]*)$")
_STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
_TRANSLATED = re.compile(rb"/\* (\d+) in strace's PID NS \*/")
_ERROR = re.compile(rb"\b(E[A-Z0-9]+)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One system call. `arguments` is as strace wrote it, `strings` the quoted strings in it."""

    process: int
    name: str
    arguments: bytes
    strings: tuple[bytes, ...]
    result: int | None  # None when it did not return
    error: str = ""  # such as ENOENT
    child: int | None = None  # of a fork that succeeded: the new process


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The end of a process: by itself with a status, or by a signal."""

    process: int
    status: int | None
    signal: str = ""


def read_trace(raw: bytes) -> list[Event | Exit]:
    """The events in the order in which they ended. Never raises: what is not understood is not there."""
    return list(_events(raw.split(b"\n")))


def _events(lines: Iterable[bytes]) -> Iterator[Event | Exit]:
    begun: dict[int, bytes] = {}
    driver: int | None = None
    for whole in lines:
        line = _LINE.match(whole[:MAX_LINE])
        if line is None:
            continue
        process, text = int(line[1][:12]), line[2]
        if ended := _exit(process, text):
            begun.pop(process, None)
            yield ended
            continue
        if text.endswith(_UNFINISHED):
            begun[process] = text.removesuffix(_UNFINISHED)
            continue
        if resumed := _RESUMED.match(text):
            start = begun.pop(process, resumed[1] + b"(")
            text = start + resumed[2]
        event = _event(process, text)
        if event is None or (process == driver and event.name not in FORKS):
            continue  # the driver's own calls are many, and ours
        if driver is None and is_driver(event):
            driver = process
        yield event
    for process, text in begun.items():
        # It was killed, or everything was, while this call went on: it was tried all the same.
        if event := _event(process, text):
            yield event


def _exit(process: int, text: bytes) -> Exit | None:
    if found := _EXITED.match(text):
        return Exit(process=process, status=int(found[1][:6]))
    if found := _KILLED.match(text):
        return Exit(process=process, status=None, signal=found[1].decode("ascii"))
    return None


def _event(process: int, text: bytes) -> Event | None:
    call = _CALL.match(text)
    if call is None:
        return None
    name, rest = call[1].decode("ascii"), call[2]
    ended = _RESULT.search(rest)
    result, error, child = None, "", None
    arguments = rest
    if ended is not None:
        arguments = rest[: ended.start()]
        result, error, child = _result(name, ended[1], ended[2])
    return Event(
        process=process,
        name=name,
        arguments=arguments,
        strings=tuple(unescaped(match[1]) for match in _STRING.finditer(arguments)),
        result=result,
        error=error,
        child=child,
    )


def _result(name: str, value: bytes, rest: bytes) -> tuple[int | None, str, int | None]:
    if value == b"?":
        return None, "", None
    number = int(value[:18], 16 if value.startswith(b"0x") else 10)
    if number < 0:
        found = _ERROR.search(rest)
        return number, found[1].decode("ascii") if found else "", None
    if name not in FORKS or number == 0:
        return number, "", None
    translated = _TRANSLATED.search(rest)
    return number, "", int(translated[1][:12]) if translated else number


def unescaped(escaped: bytes) -> bytes:
    r"""The bytes that `\x41\x42` stands for."""
    return bytes.fromhex(escaped.replace(b"\\x", b"").decode("ascii"))


def driver_of(events: Iterable[Event | Exit]) -> int | None:
    """The process that became the driver: the first that executed it, before any step was taken."""
    for event in events:
        if isinstance(event, Event) and is_driver(event):
            return event.process
    return None


def is_driver(event: Event) -> bool:
    """True where the driver is started."""
    return (
        event.name == "execve"
        and event.result == 0
        and event.strings[:1] == (BASE_INTERPRETER.encode(),)
        and event.strings[-1:] == (DRIVER.encode(),)
    )


def driver_status(events: list[Event | Exit]) -> Exit | None:
    """How the driver ended; None when it was not seen to end."""
    driver = driver_of(events)
    return next((event for event in events if isinstance(event, Exit) and event.process == driver), None)
