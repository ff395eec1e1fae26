"""Network use while a distribution is being built or installed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import shown
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.vocabulary import LOOK_UPS

_ASKS = re.compile(r"(?i)^\s*(nslookup|dig|ping|host)\s.*[\w-]\.[a-z]{2,}")


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.SEND, Act.CONNECT, Act.DOWNLOAD):
        if call.context is Context.STARTUP:
            yield Evidence.of_call(call, Severity.HIGH, shown(call))
        elif call.context is Context.INSTALL and call.name not in LOOK_UPS:
            posts = call.name.endswith((".post", ".put", ".sendall", ".send", ".sendmail"))
            yield Evidence.of_call(call, Severity.HIGH if posts else Severity.MEDIUM, shown(call))

    for call in facts.calls_of(Act.START_PROCESS):
        if call.context is Context.INSTALL and _ASKS.search(call.text):
            yield Evidence.of_call(call, Severity.MEDIUM, shown(call))


RULE = Rule(
    id="install-network",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.COMMAND_AND_CONTROL,
    message="The code that runs at installation or at interpreter start-up talks to the network.",
    reference="https://attack.mitre.org/techniques/T1195/002/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.installed("""
                import urllib.request
                from setuptools import setup
                from setuptools.command.install import install


                class Install(install):
                    def run(self):
                        urllib.request.urlopen("https://count.example.invalid/")
                        install.run(self)


                setup(name="widget", version="1", cmdclass={"install": Install})
            """),
        ),
        benign=(
            Sample.sdist(
                {
                    "setup.py": """
                        from setuptools import setup

                        setup(name="widget", version="1")
                    """,
                    "widget/client.py": """
                        import requests


                        def fetch(url):
                            return requests.get(url, timeout=10).json()
                    """,
                }
            ),
        ),
    ),
)
