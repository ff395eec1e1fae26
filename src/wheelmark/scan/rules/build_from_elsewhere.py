"""A build that installs something which no index has checked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wheelmark.scan.facts import Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.samples import Sample, Samples

# Projects under development are built against one another's repositories now and then.
_REPOSITORY = re.compile(r"(?i)\b(git|hg|svn|bzr)\+(https|ssh)://")


def check(facts: Facts) -> Iterator[Evidence]:
    for oddity in facts.oddities:
        if oddity.kind == "build-requirement":
            severity = Severity.LOW if _REPOSITORY.search(oddity.text) else Severity.HIGH
            yield Evidence(
                severity=severity,
                member=oddity.member,
                line=oddity.line,
                context=oddity.context,
                text=f"requires {oddity.text}",
            )


RULE = Rule(
    id="build-from-elsewhere",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.EXECUTION,
    message="Building it installs and runs a file from an address or a path, which no index has checked.",
    reference="https://attack.mitre.org/techniques/T1195/001/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.sdist(
                {
                    "pyproject.toml": """
                        [build-system]
                        requires = ["setuptools", "builder @ https://files.example.invalid/builder-1.tar.gz"]
                        build-backend = "builder"
                    """,
                    "widget/__init__.py": "VERSION = 1\n",
                }
            ),
        ),
        benign=(
            Sample.sdist(
                {
                    "pyproject.toml": """
                        [build-system]
                        requires = ["setuptools>=77", "setuptools-scm[toml]>=8; python_version >= '3.11'"]
                        build-backend = "setuptools.build_meta"

                        [project]
                        name = "widget"
                        urls = { Home = "https://widget.example.invalid" }
                    """,
                    "widget/__init__.py": "VERSION = 1\n",
                }
            ),
        ),
    ),
    kept_because=(
        "No family of the development samples shows it. It is kept because such a build takes in what no index "
        "has looked at, which public indexes refuse in dependencies (https://github.com/pypi/warehouse/issues/7136) "
        "and do not see in build requirements."
    ),
)
