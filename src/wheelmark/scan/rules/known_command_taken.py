"""A command that is installed under the name of one that everybody knows."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.samples import Sample, Samples


def check(facts: Facts) -> Iterator[Evidence]:
    project = facts.filename.partition("-")[0].lower()
    for oddity in facts.oddities:
        # `pip` of the project pip, and `git` of a project that calls itself after it, are what they say.
        if oddity.kind == "command-name" and oddity.text.rstrip("23") not in project:
            yield Evidence(
                severity=Severity.MEDIUM,
                member=oddity.member,
                line=oddity.line,
                context=oddity.context,
                text=f"installs the command {oddity.text}",
            )


RULE = Rule(
    id="known-command-taken",
    version=1,
    severity=Severity.MEDIUM,
    tactic=Tactic.PERSISTENCE,
    message="It installs a command under the name of one that people type without a thought, and takes its place.",
    reference="https://attack.mitre.org/techniques/T1036/005/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.wheel(
                {
                    "widget/__init__.py": "def main():\n    pass\n",
                    "widget-1.dist-info/entry_points.txt": "[console_scripts]\nsudo = widget:main\n",
                }
            ),
            Sample.wheel({"widget/__init__.py": "", "widget-1.data/scripts/pip": "#!python\nprint(1)\n"}),
        ),
        benign=(
            Sample.wheel(
                {
                    "widget/__init__.py": "def main():\n    pass\n",
                    "widget-1.dist-info/entry_points.txt": """
                        [console_scripts]
                        widget = widget:main
                        git-widget = widget:main

                        [widget.shells]
                        bash = widget:main
                    """,
                }
            ),
        ),
    ),
    kept_because=(
        "No family of the development samples shows it. It is kept because the technique is described as command "
        "jacking by entry points "
        "(https://checkmarx.com/blog/this-new-supply-chain-attack-technique-can-trojanize-all-your-cli-commands/)."
    ),
)
