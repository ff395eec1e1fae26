"""Code that runs unasked and does what the release before did not: how a stolen account shows itself."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.upload import Earlier, Upload
from wheelmark.scan.facts import Act
from wheelmark.scan.facts_summary import NOTHING_KNOWN, FactsSummary
from wheelmark.scan.report import Context, Finding, Severity

_OUTWARD = frozenset({Act.SEND, Act.DOWNLOAD, Act.CONNECT})
_FORCEFUL = frozenset({Act.RUN_CODE, Act.LOAD_CODE, Act.START_PROCESS, Act.NATIVE, Act.REGISTER, Act.INSTALL})


def check(upload: Upload) -> Iterator[Sign]:
    earlier = upload.release.earlier
    if earlier is None or NOTHING_KNOWN in (earlier.facts, upload.file.facts):
        return
    new_findings = _new_findings(upload, earlier)
    grave = [finding for finding in new_findings if finding.severity.rank >= Severity.MEDIUM.rank]
    yield from _startup(upload, earlier, grave)
    acts = _new_acts(upload, earlier)
    unasked = [(act, when) for act, when in acts if when.automatic]
    for act, when in unasked:
        if act in _OUTWARD | _FORCEFUL:
            # A finding of the scanner in the same moment says that the new act is no ordinary one.
            backed = next((finding for finding in grave if finding.context is when), None)
            yield Sign(
                severity=Severity.HIGH
                if backed is not None and upload.release.uploader_is_new
                else Severity.MEDIUM
                if backed is not None or act in _OUTWARD
                else Severity.LOW,
                place=backed.member if backed is not None else "code",
                line=backed.line if backed is not None else 0,
                text=f"{act} at {when}: new since {earlier.version}" + (f" ({backed.rule})" if backed else ""),
            )
    yield from _hidden(upload, earlier, grave)


def _severity(act: Act, backed: Finding | None, *, uploader_is_new: bool) -> Severity:
    if backed is not None:
        return Severity.HIGH if uploader_is_new else Severity.MEDIUM
    return Severity.MEDIUM if act in _OUTWARD else Severity.LOW


def _startup(upload: Upload, earlier: Earlier, grave: list[Finding]) -> Iterator[Sign]:
    known = {path.rpartition("/")[2] for path in earlier.facts.startup_files}
    for path in upload.file.facts.startup_files:
        if path.rpartition("/")[2] in known or not earlier.same_kind:
            continue
        backed = any(finding.member == path or finding.context is Context.STARTUP for finding in grave)
        yield Sign(
            severity=Severity.HIGH if backed else Severity.LOW,
            place=path,
            text=f"{path} runs whenever Python starts, and was not in {earlier.version}",
        )


def _hidden(upload: Upload, earlier: Earlier, grave: list[Finding]) -> Iterator[Sign]:
    mine, theirs = upload.file.facts, earlier.facts
    for count, before, what in (
        (mine.decoded_layers, theirs.decoded_layers, "code that is decoded and executed"),
        (mine.hidden_calls, theirs.hidden_calls, "calls whose name is kept out of sight"),
    ):
        if count and not before:
            unasked = any(finding.context is not None and finding.context.automatic for finding in grave)
            yield Sign(
                severity=Severity.HIGH if unasked else Severity.LOW,
                place="code",
                text=f"{what}: {count} now, none in {earlier.version}",
            )


def _new_acts(upload: Upload, earlier: Earlier) -> list[tuple[Act, Context]]:
    """Acts that the release before did at no time at all, or only when asked."""
    unasked_before = {act for act, when in _acts(earlier.facts) if when.automatic}
    new = [(act, when) for act, when in _acts(upload.file.facts) if act not in unasked_before]
    if earlier.same_kind:
        return new
    # An sdist has a setup.py that its wheel lacks, so what runs at installation cannot be compared.
    return [(act, when) for act, when in new if when is Context.IMPORT]


def _acts(facts: FactsSummary) -> list[tuple[Act, Context]]:
    """What is done and when. Words that only another version of the scanner knows are left out."""
    pairs = (entry.rpartition("/") for entry in facts.acts)
    return [(Act(act), Context(when)) for act, _, when in pairs if act in set(Act) and when in set(Context)]


def _new_findings(upload: Upload, earlier: Earlier) -> list[Finding]:
    before = {(finding.rule, finding.context) for finding in earlier.findings}
    return [finding for finding in upload.file.findings if (finding.rule, finding.context) not in before]


CHECK = Check(
    id="novel-behaviour",
    version=1,
    family=Family.CHANGE,
    subject=Subject.RELEASE,
    severity=Severity.HIGH,
    message="Code that runs unasked does something that it did not do in the release before.",
    reference="https://attack.mitre.org/techniques/T1195/002/",
    check=check,
)
