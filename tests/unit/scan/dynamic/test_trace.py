"""Reading traces: what strace writes becomes events, and nothing that is watched can write one of its own."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from support.traces import DRIVER_PROCESS, FIRST_STEP, a_trace, escaped
from wheelmark.scan.dynamic.processes import processes_of
from wheelmark.scan.dynamic.trace import MAX_LINE, Event, Exit, driver_of, driver_status, read_trace, unescaped


def events(raw: bytes, name: str) -> list[Event]:
    return [event for event in read_trace(raw) if isinstance(event, Event) and event.name == name]


def test_call_has_its_strings_result_and_error() -> None:
    [event] = events(a_trace('unlink("/scratch/x") = -1 ENOENT (No such file or directory)'), "unlink")
    assert (event.process, event.strings, event.result, event.error) == (FIRST_STEP, (b"/scratch/x",), -1, "ENOENT")


def test_call_in_two_parts_is_one_event() -> None:
    lines = (
        'openat(AT_FDCWD</home/dev>, "a", O_RDONLY <unfinished ...>',
        "10 +++ exited with 0 +++",
        "<... openat resumed>) = 3",
    )
    [event] = events(a_trace(*lines), "openat")
    assert (event.strings, event.result) == ((b"a",), 3)


def test_call_that_never_returned_was_tried_all_the_same() -> None:
    raw = a_trace() + f'12    connect(3, {{sa_family=AF_UNIX, sun_path="{escaped("/x")}"}} <unfinished ...>\n'.encode()
    [event] = events(raw, "connect")
    assert (event.process, event.result) == (12, None)


def test_driver_is_the_one_that_runs_it_and_not_the_shell_before() -> None:
    assert driver_of(read_trace(a_trace())) == DRIVER_PROCESS


def test_end_of_the_driver_is_known() -> None:
    assert driver_status(read_trace(a_trace())) == Exit(process=DRIVER_PROCESS, status=0)
    killed = a_trace().replace(b"8     +++ exited with 0 +++", b"8     +++ killed by SIGKILL +++")
    assert driver_status(read_trace(killed)) == Exit(process=DRIVER_PROCESS, status=None, signal="SIGKILL")
    assert driver_status(read_trace(b"")) is None


def test_children_are_known_by_the_number_that_strace_sees() -> None:
    found = processes_of(
        read_trace(a_trace("clone(child_stack=NULL) = 5 /* 11 in strace's PID NS */", "11 getpid() = 5"))
    )
    assert found.parents[11] == FIRST_STEP
    assert found.firsts == [FIRST_STEP]
    assert found.is_watched(11)
    assert not found.is_watched(DRIVER_PROCESS)
    assert not found.is_watched(6)


def test_bytes_that_look_like_a_trace_are_only_a_string() -> None:
    forged = '\n8     +++ exited with 0 +++\n9     connect(3, {sin_port=htons(1), sin_addr=inet_addr("1.2.3.4")}) = 0\n'
    raw = a_trace('write(1, "@", 80) = 80').replace(escaped("@").encode(), escaped(forged).encode())
    assert not events(raw, "connect")
    assert events(raw, "write")[0].strings == (forged.encode(),)


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_without_an_error(raw: bytes) -> None:
    read_trace(raw)
    processes_of(read_trace(raw))


@given(
    st.lists(
        st.tuples(
            st.integers(1, 99),
            st.sampled_from(
                [
                    "fork() = 3 /* 7 in strace's PID NS */",
                    "fork( <unfinished ...>",
                    "<... fork resumed>) = 5",
                    "+++ exited with 1 +++",
                    "+++ killed by SIGSEGV (core dumped) +++",
                    'execve("\\x61", ["\\x61"], 0x1 /* 1 var */) = 0',
                    "kill(1 /* 3 in strace's PID NS */, SIGTERM) = 0",
                    "--- SIGCHLD {si_signo=SIGCHLD} ---",
                    ") = ?",
                    "x(<unfinished ...> <unfinished ...>",
                ]
            ),
        )
    )
)
def test_lines_in_any_order_are_read_without_an_error(lines: list[tuple[int, str]]) -> None:
    raw = "\n".join(f"{process}   {text}" for process, text in lines).encode()
    for event in read_trace(raw):
        assert event.process > 0
    processes_of(read_trace(raw))


@given(st.binary(max_size=300))
def test_escapes_stand_for_their_bytes(raw: bytes) -> None:
    assert unescaped(escaped(raw).encode()) == raw


def test_long_lines_and_many_of_them_take_bounded_time() -> None:
    started = time.process_time()
    read_trace(b"9 write(1, " + b'"' * 10 * MAX_LINE + b"\n" + b"9 fork( <unfinished ...>\n" * 50_000)
    read_trace(b'9 execve("' + b"\\x61" * 4 * MAX_LINE + b"\n" + (b"9 a(" + b") = 1" * 10_000 + b"x\n"))
    assert time.process_time() - started < 5
