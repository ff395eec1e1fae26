"""Code kept in a file that does not look like code."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint

_CODE_NAMES = (".py", ".pyw", ".pyi", "_version", "version", "activate_this.py", ".cfg", ".in")
_DATA_NAMES = (
    ".txt",
    ".dat",
    ".bin",
    ".json",
    ".png",
    ".jpg",
    ".gif",
    ".md",
    ".log",
    ".csv",
    ".xml",
    ".html",
    ".css",
    ".ico",
    ".db",
    ".tmp",
    ".cache",
)


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.RUN_CODE, Act.LOAD_CODE):
        files = [
            origin for value in call.arguments[:1] for origin in sorted(value.origins) if origin.taint is Taint.FILE
        ]
        named = [origin.what for origin in files if origin.what.lower().endswith(_DATA_NAMES)]
        if not named or any(name.endswith(_CODE_NAMES) for name in named):
            continue
        if call.act is Act.LOAD_CODE and call.name != "marshal.loads":
            continue  # a pickled table is data, and its danger is another subject
        severity = graded(call.context, automatic=Severity.HIGH, on_call=Severity.LOW)
        if severity is not None:
            yield Evidence.of_call(call, severity, f"{call.name} of {named[0]}")


RULE = Rule(
    id="data-file-executed",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.DEFENSE_EVASION,
    message="The contents of a file that does not look like code are executed.",
    reference="https://attack.mitre.org/techniques/T1036/008/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.wheel(
                {
                    "widget/__init__.py": """
                        import os

                        exec(open(os.path.join(os.path.dirname(__file__), "notes.txt")).read())
                    """,
                    "widget/notes.txt": """
                        print("imitation")
                    """,
                }
            ),
        ),
        benign=(
            Sample.sdist(
                {
                    "notes.txt": "A sample.\n",
                    "setup.py": """
                        from setuptools import setup

                        about = {}
                        exec(open("widget/_version.py").read(), about)
                        with open("notes.txt") as file:
                            setup(name="widget", version=about["version"], description=file.read())
                    """,
                    "widget/_version.py": """
                        version = "1"
                    """,
                }
            ),
        ),
    ),
)
