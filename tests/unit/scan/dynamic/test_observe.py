"""From traces to observations: what matters is said once, and nothing of what a run differs in."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.traces import a_trace, escaped
from wheelmark.scan import Context
from wheelmark.scan.dynamic import places
from wheelmark.scan.dynamic.addresses import address_in, name_asked_for
from wheelmark.scan.dynamic.decoys import make_decoys
from wheelmark.scan.dynamic.names import command, normal, starts_by_itself, transfers
from wheelmark.scan.dynamic.observation import Kind
from wheelmark.scan.dynamic.observe import Observer
from wheelmark.scan.dynamic.places import CALLS, HOME, VENV
from wheelmark.scan.dynamic.plan import Phase, Step
from wheelmark.scan.dynamic.processes import processes_of
from wheelmark.scan.dynamic.trace import read_trace

DECOYS = make_decoys("00" * 32)
STEP = Step(argv=("python3",), cwd=HOME, environment={}, member="widget/__init__.py", what="import widget")
PHASE = Phase(context=Context.IMPORT, steps=(STEP,), folder="/site")
FOREIGN = "sends a signal to a process that it did not start"
QUESTION = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07collect\x07example\x07invalid\x00\x00\x01\x00\x01"


def seen(*lines: str) -> set[tuple[Kind, str]]:
    events = read_trace(a_trace(*lines))
    observer = Observer(
        phase=PHASE,
        processes=processes_of(events),
        decoys=DECOYS.files,
        forms=DECOYS.forms(),
        files=frozenset({"/site/widget/__init__.py"}),
    )
    found = observer.observe(events)
    assert all((each.context, each.member, each.step) == (Context.IMPORT, STEP.member, STEP.what) for each in found)
    return {(each.kind, each.what) for each in found}


FAILED = "= -1 ENETUNREACH (Network is unreachable)"
IPV4 = f'connect(3<socket:[1]>, {{sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}}, 16) {FAILED}'
IPV6 = f'connect(3, {{sin6_port=htons(80), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr)}}, 28) {FAILED}'
UDP = f'sendto(3, "x", 1, 0, {{sin_port=htons(9), sin_addr=inet_addr("192.0.2.9")}}, 16) {FAILED}'


@pytest.mark.parametrize(
    ("line", "kind", "what"),
    [
        (IPV4, Kind.CONTACT, "connect 192.0.2.1 port 443"),
        (IPV6, Kind.CONTACT, "connect 2001:db8::1 port 80"),
        (UDP, Kind.CONTACT, "sends to 192.0.2.9 port 9"),
        ('openat(AT_FDCWD</home/dev>, ".ssh/../.netrc", O_RDONLY) = 3', Kind.DECOY_READ, "~/.netrc"),
        ('open("/home/dev/.pypirc", O_RDONLY) = 3', Kind.DECOY_READ, "~/.pypirc"),
        ('openat(5</home/dev/.aws>, "credentials", O_RDONLY) = 3', Kind.DECOY_READ, "~/.aws/credentials"),
        ('openat(AT_FDCWD</x>, "/home/dev/.npmrc", O_RDWR) = 3', Kind.DECOY_READ, "overwrites ~/.npmrc"),
        ('creat("/etc/cron.d/x", 0666) = -1 ENOENT (x)', Kind.AUTOSTART, "writes /etc/cron.d/x"),
        ('rename("/tmp/x", ".bashrc") = 0', Kind.AUTOSTART, "writes ~/.bashrc"),
        ('symlinkat("/x", AT_FDCWD</home/dev/.ssh>, "rc") = 0', Kind.AUTOSTART, "writes ~/.ssh/rc"),
        ('execve("/usr/bin/crontab", ["crontab", "-"], 0x1 /* 1 var */) = -1 ENOENT (x)', Kind.AUTOSTART, "crontab -"),
        ('execve("/usr/bin/curl", ["curl", "-s"], 0x1 /* 1 var */) = -1 ENOENT (x)', Kind.TRANSFER, "curl -s"),
        ('execve("/usr/bin/gcc", ["gcc", "x.c"], 0x1 /* 1 var */) = 0', Kind.PROCESS, "gcc x.c"),
        ('execve("/memfd:a (deleted)", ["a"], 0x1 /* 1 var */) = 0', Kind.DROPPED_RUN, "memfd:a (deleted)"),
        ('unlink("/site/widget/__init__.py") = 0', Kind.SELF_DELETE, "/site/widget/__init__.py"),
        ("kill(-1, SIGTERM) = 0", Kind.INTERFERES, "sends a signal to every process"),
        ("kill(2 /* 8 in strace's PID NS */, SIGKILL) = 0", Kind.INTERFERES, FOREIGN),
        ("ptrace(PTRACE_TRACEME) = 0", Kind.INTERFERES, "calls ptrace"),
        ("unshare(CLONE_NEWUSER) = -1 ENOSPC (x)", Kind.ESCAPE, "calls unshare"),
        ("listen(3, 5) = 0", Kind.LISTEN, "listens on a socket"),
        ('openat(AT_FDCWD</home/dev>, "notes", O_WRONLY|O_CREAT, 0666) = 3', Kind.HOME_WRITTEN, "~/notes"),
    ],
)  # fmt: skip
def test_call_is_observed(line: str, kind: Kind, what: str) -> None:
    assert (kind, what) in seen(line)


@pytest.mark.parametrize(
    "line",
    [
        'connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (x)',
        'connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
        'openat(AT_FDCWD</home/dev>, "/usr/lib/x.so", O_RDONLY|O_CLOEXEC) = 3',
        'openat(AT_FDCWD</home/dev>, "/tmp/x", O_WRONLY|O_CREAT, 0666) = 3',
        'unlink("/tmp/x") = 0',
        "kill(9, SIGTERM) = 0",
        "kill(0, SIGTERM) = 0",
        "kill(2 /* 8 in strace's PID NS */, 0) = 0",
        'write(1, "hello", 5) = 5',
    ],
)
def test_ordinary_call_is_not(line: str) -> None:
    assert seen(line) == set()


def test_what_the_sandbox_does_itself_is_not() -> None:
    assert seen('8     openat(AT_FDCWD</x>, "/home/dev/.netrc", O_RDONLY) = 3', '6 mount("a", "b") = 0') == set()


def test_what_a_child_does_is_the_steps() -> None:
    fork = "fork() = 4 /* 11 in strace's PID NS */"
    assert seen(fork, '11 open(".netrc", O_RDONLY) = 3') == {(Kind.DECOY_READ, "~/.netrc")}
    assert seen(fork, "kill(4 /* 11 in strace's PID NS */, SIGTERM) = 0") == set()


def test_relative_paths_follow_changes_of_folder() -> None:
    assert seen('chdir("/home/dev/.aws") = 0', 'open("credentials", O_RDONLY) = 3') == {
        (Kind.DECOY_READ, "~/.aws/credentials")
    }
    assert seen('chdir("/nowhere") = -1 ENOENT (x)', 'open(".netrc", O_RDONLY) = 3') == {(Kind.DECOY_READ, "~/.netrc")}
    assert seen("fchdir(4</tmp>) = 0", 'open(".netrc", O_RDONLY) = 3') == set()


def test_file_that_was_written_is_known_when_it_is_executed() -> None:
    write = 'openat(AT_FDCWD</home/dev>, "/tmp/a", O_WRONLY|O_CREAT, 0777) = 3'
    run = 'execve("/tmp/a", ["/tmp/a"], 0x1 /* 1 var */) = 0'
    assert seen(write, run) == {(Kind.DROPPED_RUN, "/tmp/a")}


def test_stand_ins_tell_what_they_were_called_with() -> None:
    told = "(('https://collect.example.invalid/x',), {})"
    assert seen(f'unlink("{CALLS}requests.post {told}") = -1 EROFS (x)') == {
        (Kind.CONTACT, "requests.post https://collect.example.invalid/x")
    }
    assert seen(f'unlinkat(AT_FDCWD</x>, "{CALLS}docs.Client {told}", 0) = -1 EROFS (x)') == set()
    value = DECOYS.canaries["wallet"]
    assert seen(f'unlink("{CALLS}a.send ({value},)") = -1 EROFS (x)') == {
        (Kind.DECOY_USED, "wallet in what is passed to a.send")
    }


def test_places_inside_are_the_same_for_what_runs_there() -> None:
    # Read, not imported: it would stay among the finders of this process.
    assert f'CALLS = "{CALLS}"' in Path(places.__file__).with_name("standins.py").read_text()


def test_long_line_of_processes_costs_no_more_than_it_is_long() -> None:
    chain = [f"{number} fork() = 3 /* {number + 1} in strace's PID NS */" for number in range(100, 5100)]
    last = ['5100 open(".netrc", O_RDONLY) = 3', "5100 kill(3 /* 8 in strace's PID NS */, SIGTERM) = 0"] * 5000
    started = time.process_time()
    found = seen("fork() = 3 /* 100 in strace's PID NS */", *chain, *last)
    assert time.process_time() - started < 10
    assert {(Kind.DECOY_READ, "~/.netrc"), (Kind.INTERFERES, FOREIGN)} <= found


def test_many_processes_are_one_observation() -> None:
    lines = [f"fork() = {number} /* {number + 100} in strace's PID NS */" for number in range(50)]
    assert seen(*lines) == {(Kind.MANY_PROCESSES, "more than 40 processes")}


@pytest.mark.parametrize("shift", ["", "a", "ab"])
def test_made_up_secret_is_known_again(shift: str) -> None:
    value = DECOYS.canaries["AWS secret"]
    for form in (value, value.encode().hex(), base64.b64encode(f"{shift}{value}".encode()).decode()):
        assert seen(f'write(1, "<{form}>", 9) = 9'.replace("<", "(").replace(">", ")")) == {
            (Kind.DECOY_USED, "AWS secret in what is written")
        }
    assert (Kind.DECOY_USED, "AWS secret in a command line") in seen(
        f'execve("/bin/echo", ["echo", "{value}"], 0x1 /* 1 var */) = 0'
    )


def test_made_up_secrets_differ_from_file_to_file() -> None:
    assert make_decoys("00" * 32) == DECOYS
    other = make_decoys("11" * 32)
    assert not set(other.canaries.values()) & set(DECOYS.canaries.values())


def test_question_for_a_name_is_a_contact() -> None:
    raw = a_trace('sendto(3, "@", 1, 0, NULL, 0) = 1').replace(escaped("@").encode(), escaped(QUESTION).encode())
    events = read_trace(raw)
    observer = Observer(PHASE, processes_of(events), {}, {}, frozenset())
    assert {each.what for each in observer.observe(events)} == {"asks for the address of collect.example.invalid"}


@given(st.binary(max_size=200))
def test_any_bytes_may_be_asked(raw: bytes) -> None:
    name_asked_for(raw)
    name_asked_for(QUESTION[:12] + raw)
    address_in(raw)


def test_answer_or_question_for_oneself_is_no_contact() -> None:
    assert name_asked_for(QUESTION) == "collect.example.invalid"
    assert name_asked_for(QUESTION[:2] + b"\x81\x80" + QUESTION[4:]) == ""
    assert name_asked_for(QUESTION[:12] + b"\x05build\x00\x00\x01\x00\x01") == ""


def test_what_differs_by_chance_is_not_shown() -> None:
    first = normal("python3 /tmp/tmpab12cd_9/x.py pipe_handle=7 /proc/123/mem 0x7f00deadbeef")
    second = normal("python3 /tmp/tmpzz99xx_1/x.py pipe_handle=9 /proc/77/mem 0x7fffdeadbe00")
    assert first == second
    assert "x.py" in first


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{HOME}/.config/autostart/x.desktop", True),
        (f"{HOME}/.bashrc", True),
        (f"{HOME}/.bashrc.d-notes", False),
        (f"{VENV}/lib/python3.11/site-packages/x.pth", True),
        (f"{VENV}/lib/python3.11/site-packages/x.py", False),
        ("/tmp/root/opt/venv/lib/python3.11/site-packages/x.pth", False),
    ],
)
def test_places_that_start_by_themselves(path: str, expected: bool) -> None:
    assert starts_by_itself(path) is expected


@pytest.mark.parametrize(
    ("path", "arguments", "expected"),
    [
        ("/bin/sh", [b"sh", b"-c", b"cd /tmp && curl -s http://192.0.2.1"], True),
        ("/bin/sh", [b"sh", b"-c", b"git describe --tags"], False),
        ("/bin/sh", [b"sh", b"-c", b"echo curling"], False),
        ("/usr/bin/wget", [b"wget"], True),
    ],
)
def test_programs_that_transfer(path: str, arguments: list[bytes], expected: bool) -> None:
    assert transfers(path, arguments) is expected


def test_command_line_is_short_and_named_alike_wherever_it_was_looked_for() -> None:
    assert command("/usr/local/bin/curl", [b"curl", b"-s"]) == command("/bin/curl", [b"curl", b"-s"]) == "curl -s"
    assert len(command("/bin/x", [b"x"] + [b"y" * 10_000] * 10_000)) < 2000
