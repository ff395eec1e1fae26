"""Code in a `.pth` file, which every start of the interpreter executes."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import shown
from wheelmark.scan.samples import Sample, Samples

_GRAVE = frozenset({Act.START_PROCESS, Act.SEND, Act.DOWNLOAD, Act.CONNECT, Act.LOAD_CODE, Act.NATIVE})


def check(facts: Facts) -> Iterator[Evidence]:
    startup_files = {member.path for member in facts.members if member.kind == "pth"}
    for call in facts.calls:
        if call.member not in startup_files or call.context is not Context.STARTUP:
            continue
        if call.act in _GRAVE or call.hidden:
            yield Evidence.of_call(call, Severity.CRITICAL, shown(call))
        elif call.act is Act.RUN_CODE:
            # Coverage and editable installs wrap an import in a literal exec; its text was seen through and judged.
            literal = bool(call.arguments) and call.arguments[0].known and not call.origins
            yield Evidence.of_call(call, Severity.LOW if literal else Severity.CRITICAL, shown(call))
        elif call.act in {Act.WRITE, Act.DELETE, Act.REGISTER}:
            yield Evidence.of_call(call, Severity.HIGH, shown(call))


RULE = Rule(
    id="startup-file-code",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.PERSISTENCE,
    message="A .pth file does more than name a path or import a module: it runs at every start of the interpreter.",
    reference="https://attack.mitre.org/techniques/T1546/018/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.wheel(
                {
                    "widget/__init__.py": "VERSION = 1\n",
                    "widget.pth": "import os; os.system('echo imitation')\n",
                }
            ),
        ),
        benign=(
            Sample.wheel(
                {
                    "other.pth": """
                        ../folder
                        import widget
                    """,
                    "widget/__init__.py": "VERSION = 1\n",
                }
            ),
        ),
    ),
)
