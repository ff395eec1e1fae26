"""A mining program that is started, or that is told which pool to work for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, shown
from wheelmark.scan.samples import Sample, Samples

_POOL = re.compile(
    r"(?i)stratum\+?(tcp|ssl|tls)?://|\b(xmr-?ig|xmr-?stak|minerd|cpuminer|ccminer|cgminer|bfgminer|t-rex|nbminer|phoenixminer|"
    r"lolminer|srbminer|nheqminer|teamredminer|xmr-?node)([\w-]*)(\.exe)?\b|"
    r"--(donate-level|randomx-|rig-id|coin[= ]monero)|"
    r"\b[\w.-]*(nanopool|minexmr|supportxmr|moneroocean|hashvault|2miners|nicehash|f2pool|ethermine|unmineable)\.\w{2,}"
)
# What a miner is told: a pool with its port, and for whom it works.
_TOLD = re.compile(
    r"(?i)\s-(o|r|-url|-daemon-rpc-address)[= ]\s*[\w.-]+\.[a-z]{2,}:\d+\s.*-(u|w|-user|-wallet)[= ]\s*\w{20,}"
)


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.START_PROCESS):
        if not _POOL.search(call.text) and not _TOLD.search(call.text):
            continue
        severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.HIGH, on_call=Severity.HIGH)
        if severity is not None:
            yield Evidence.of_call(call, severity, shown(call))


RULE = Rule(
    id="miner-started",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.IMPACT,
    message="A program that mines a cryptocurrency is started: the machine works for somebody else.",
    reference="https://attack.mitre.org/techniques/T1496/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import subprocess

                subprocess.Popen(["/tmp/xmrig", "-o", "pool.example.invalid:3333", "-u", "imitation"])
            """),
            Sample.installed("""
                import os
                from setuptools import setup

                os.system("nohup /tmp/.work -o pool.example.invalid:3333 -u imitationimitationimitation -k &")
                setup(name="widget", version="1")
            """),
        ),
        benign=(
            Sample.imported('''
                import subprocess


                def archive(folder):
                    """Write the output to a file; `-o` and `-u` are what many programs have."""
                    return subprocess.run(["sort", "-o", "result.txt", "-u", folder], check=True)
            '''),
        ),
    ),
)
