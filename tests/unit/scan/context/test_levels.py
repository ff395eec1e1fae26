"""What findings amount to, which checks run, and what happens when one fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from support.context import a_context_finding, an_upload
from wheelmark.errors import Refused
from wheelmark.scan import RuleState, Severity
from wheelmark.scan.context import (
    Check,
    CheckSet,
    ContextFinding,
    Family,
    Level,
    Sign,
    Subject,
    Upload,
    examine_upload,
    level_of,
    load_checks,
    read_lists,
    read_sample,
    shipped_lists,
)

HIGH, MEDIUM, LOW, INFO = Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO


def of(family: Family, severity: Severity, **fields: object) -> ContextFinding:
    return a_context_finding(f"check-{family}", severity, family=family, **fields)


@pytest.mark.parametrize(
    ("findings", "level"),
    [
        ([], Level.NOTHING),
        ([of(Family.NAME, INFO)], Level.NOTED),
        ([of(Family.NAME, LOW)], Level.NOTED),
        ([of(Family.NAME, LOW), of(Family.TEXT, LOW)], Level.NOTED),
        ([of(Family.NAME, LOW), of(Family.TEXT, LOW), of(Family.ACCOUNT, LOW)], Level.DOUBTFUL),
        ([of(Family.NAME, MEDIUM)], Level.DOUBTFUL),
        ([of(Family.NAME, MEDIUM), of(Family.NAME, MEDIUM)], Level.DOUBTFUL),
        ([of(Family.NAME, MEDIUM), of(Family.TEXT, MEDIUM)], Level.STRONG),
        ([of(Family.NAME, HIGH)], Level.STRONG),
        ([of(Family.NAME, HIGH, counts=False)], Level.NOTED),
        ([of(Family.NAME, MEDIUM), of(Family.TEXT, MEDIUM, counts=False)], Level.DOUBTFUL),
        ([of(Family.NAME, INFO), of(Family.TEXT, INFO), of(Family.ACCOUNT, INFO)], Level.NOTED),
    ],
)
def test_level_goes_by_families_and_by_what_counts(findings: list[ContextFinding], level: Level) -> None:
    assert level_of(findings) is level


def a_check(**changes: object) -> Check:
    def check(upload: Upload) -> Iterator[Sign]:
        yield Sign(severity=HIGH, place="Name", text=upload.project.name)

    made = Check(
        id="loud",
        version=1,
        family=Family.NAME,
        subject=Subject.PROJECT,
        severity=HIGH,
        message="Loud.",
        reference="https://example.net",
        check=check,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of Check


def failing(upload: Upload) -> list[Sign]:
    raise ZeroDivisionError("of no use")


def test_check_that_fails_makes_the_context_incomplete_and_others_still_speak() -> None:
    report = examine_upload(an_upload(), CheckSet((a_check(), a_check(id="broken", check=failing))))
    assert report.incomplete_reason == "broken failed: ZeroDivisionError: of no use"
    assert [finding.check for finding in report.findings] == ["loud"]


def test_check_in_evaluation_neither_counts_nor_holds_by_failing() -> None:
    checks = (
        a_check(state=RuleState.EVALUATION),
        a_check(id="broken", check=failing, state=RuleState.EVALUATION),
        a_check(id="off", check=failing, state=RuleState.DISABLED),
    )
    report = examine_upload(an_upload(), CheckSet(checks))
    assert (report.level, report.incomplete_reason) == (Level.NOTED, None)
    assert [(run.check, bool(run.fault)) for run in report.runs] == [("broken", True), ("loud", False)]
    assert [finding.counts for finding in report.findings] == [False]


def test_check_says_no_more_than_it_may_and_nothing_critical() -> None:
    def shouts(upload: Upload) -> Iterator[Sign]:
        yield Sign(severity=Severity.CRITICAL, place="Name", text="\u202e x" * 400, line=1)

    [finding] = a_check(severity=LOW, check=shouts).findings(an_upload())
    assert finding.severity is LOW
    assert "\u202e" not in finding.evidence
    assert len(finding.evidence) <= 300
    with pytest.raises(RuntimeError, match="expected a context check to say at most high, got critical from loud"):
        a_check(severity=Severity.CRITICAL)


def test_what_a_moderator_let_be_for_this_project_counts_no_more() -> None:
    upload = an_upload('[project]\nname = "widget"\nlet_be = ["loud"]\n')
    report = examine_upload(upload, CheckSet((a_check(),)))
    assert report.level is Level.NOTED


def test_version_changes_with_check_version_state_and_lists() -> None:
    versions = {
        CheckSet((a_check(),)).version,
        CheckSet((a_check(version=2),)).version,
        CheckSet((a_check(), a_check(id="another"))).version,
        CheckSet((a_check(state=RuleState.EVALUATION),)).version,
        CheckSet((a_check(),), "lists").version,
    }
    assert len(versions) == 5


@pytest.mark.parametrize("checks", [(a_check(), a_check()), (a_check(id="No Good"),)])
def test_set_that_would_lie_is_a_mistake(checks: tuple[Check, ...]) -> None:
    with pytest.raises(RuntimeError, match="expected"):
        CheckSet(checks)


def test_operator_lists_add_names_internal_patterns_and_states() -> None:
    lists = read_lists(
        b"""
        [popular]
        names = ["Harbour_Pilot"]
        [[internal]]
        names = ["Harbour.*"]
        accounts = ["build-bot"]
        [checks]
        spam = "evaluation"
        """
    )
    assert lists.popular.rank("harbour-pilot") == 1
    assert lists.popular.rank("requests") is not None
    assert lists.internal[0].pattern_of("harbour-billing") == "harbour-*"
    assert lists.internal[0].pattern_of("the-harbour") is None
    states = {check.id: check.state for check in load_checks(lists.states).checks}
    assert states["spam"] is RuleState.EVALUATION
    assert lists.version != shipped_lists().version


def test_own_names_can_stand_alone() -> None:
    lists = read_lists(b'[popular]\nshipped = false\nnames = ["harbour"]\n')
    assert lists.popular.names == ("harbour",)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        (b"[popular", "lists-syntax", "lists"),
        (b"\xff", "lists-syntax", "lists"),
        (b"[nonsense]\n", "lists-unknown", "nonsense"),
        (b"[popular]\nname = []\n", "lists-unknown", "popular.name"),
        (b"[popular]\nnames = ['no good']\n", "lists-value", "popular.names"),
        (b"[popular]\nnames = ['har*']\n", "lists-value", "popular.names"),
        (b"[popular]\nshipped = 'no'\n", "lists-value", "popular.shipped"),
        (b"internal = 1\n", "lists-value", "internal"),
        (b"[[internal]]\nnames = []\n", "lists-value", "internal.names"),
        (b"[[internal]]\nnames = ['a']\naccounts = 'me'\n", "lists-value", "internal.accounts"),
        (b"[checks]\nspam = 'perhaps'\n", "lists-value", "checks.spam"),
        (b"checks = 1\n", "lists-value", "checks"),
    ],
)
def test_lists_that_are_none_are_refused_with_the_field(text: bytes, code: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        read_lists(text)
    assert (code, field) in {(fault.code, fault.field) for fault in refused.value.faults}


def test_state_of_a_check_that_there_is_not_is_refused() -> None:
    with pytest.raises(Refused, match="typpo"):
        load_checks({"typpo": RuleState.DISABLED})


@pytest.mark.parametrize(
    "text",
    [
        "[project]\nnmae = 'x'\n",
        "[file]\nsize = 'big'\n",
        "[release]\nsiblings = 1\n",
        "[[release.siblings]]\nis_wheel = true\n",
    ],
)
def test_sample_with_an_unknown_or_wrong_field_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_sample(text)


def test_shipped_names_are_normalized_and_each_there_once() -> None:
    names = shipped_lists().popular.names
    assert len(names) == len(set(names)) > 10_000
    assert all(name == name.lower() and "_" not in name and "." not in name for name in names)
    assert set(shipped_lists().popular.modules.values()) <= set(names)
