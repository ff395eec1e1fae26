"""Figures and page: what counts as met, by whose opinion, and that no malicious sample is named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from figures import Figure
from scan_guarddog import PeerVerdict
from scan_judging import EARLIER, SHIPPED, UNSEEN, Judged, Opinion
from scan_page import document, markdown
from scan_samples import Sample
from scan_statistics import Share
from scan_summary import Results, alarm_rows, alarms, cost_rows, goals, recall_rows, technique_rows
from wheelmark.scan import Verdict

BENIGN = Opinion(Verdict.BENIGN, 0.02)
SUSPICIOUS = Opinion(Verdict.SUSPICIOUS, 0.7)
MALICIOUS = Opinion(Verdict.MALICIOUS, 0.97)
INCOMPLETE = Opinion(Verdict.INCOMPLETE, 0.0)
NAME = "stolen-name-1.0.tar.gz"
BLOB = "d" * 40


def a_family(
    number: int,
    said: Opinion = MALICIOUS,
    *,
    shipped: Opinion | None = None,
    earlier: Opinion | None = None,
    year: int | None = 2023,
    rules: Sequence[str] = (),
    able: bool = True,
    reason: str | None = None,
) -> Judged:
    sample = Sample(
        kind="malicious",
        source="dev",
        group=f"family{number}",
        filename=NAME,
        year=year,
        blob=BLOB[:-4] + f"{number:04d}",
    )
    opinions = {SHIPPED: shipped or said, UNSEEN: said} | ({EARLIER: earlier} if earlier else {})
    return Judged(
        sample=sample,
        opinions=opinions,
        rules=dict.fromkeys(rules, "high"),
        cpu_seconds=0.01,
        peak_bytes=1,
        able=able,
        incomplete_reason=reason,
    )


def a_project(
    number: int,
    said: Opinion = BENIGN,
    *,
    kind: str = "ordinary",
    source: str = "dev",
    shipped: Opinion | None = None,
    seconds: float = 0.02,
    causes: tuple[str, ...] = (),
    reason: str | None = None,
    rules: Sequence[str] = (),
) -> Judged:
    name = f"project_{number}-1.tar.gz"
    sample = Sample(kind=kind, source=source, group=f"project-{number}", filename=name, sha256=f"{number:064d}")
    return Judged(
        sample=sample,
        opinions={SHIPPED: shipped or said, UNSEEN: said},
        rules=dict.fromkeys(rules, "low"),
        causes=causes,
        cpu_seconds=seconds,
        peak_bytes=100 * 2**20,
        incomplete_reason=reason,
    )


def results(
    *judged: Judged, out_of_fold: bool = True, temporal: bool = True, peers: dict[str, PeerVerdict] | None = None
) -> Results:
    return Results(judged=judged, peers=peers or {}, out_of_fold=out_of_fold, temporal=temporal)


def goal(found: list[Figure], name: str) -> Figure:
    (figure,) = [figure for figure in found if figure.name.startswith(name)]
    return figure


@pytest.mark.parametrize(("caught", "holds"), [(88, True), (87, False)])
def test_the_recall_goal_is_88_in_100_families(caught: int, holds: bool) -> None:
    families = [a_family(number, MALICIOUS if number < caught else SUSPICIOUS) for number in range(100)]
    assert goal(goals(results(*families)), "recall, malicious").holds is holds


def test_recall_is_judged_by_models_that_have_not_seen_the_family() -> None:
    families = [a_family(number, BENIGN, shipped=MALICIOUS) for number in range(10)]
    found = results(*families)
    assert goal(goals(found), "recall, malicious").holds is False
    assert recall_rows(found)[0].malicious == Share(0, 10)
    assert recall_rows(found)[0].shipped == Share(10, 10)


def test_figures_of_the_shipped_model_in_its_own_sample_meet_no_goal() -> None:
    found = goals(results(a_family(1), a_project(1), out_of_fold=False, temporal=False))
    for name in ("recall, malicious", "false alarms (malicious), ordinary", "suspicious or worse, ordinary"):
        assert goal(found, name).holds is None
        assert "in sample" in goal(found, name).name


def test_the_temporal_goal_is_the_earlier_models_on_later_samples() -> None:
    judged = [
        a_family(1, BENIGN, earlier=MALICIOUS, year=2025),
        a_family(2, MALICIOUS, earlier=SUSPICIOUS, year=2026),
        a_family(3, MALICIOUS, earlier=MALICIOUS, year=2023),
        a_family(4, MALICIOUS, earlier=MALICIOUS, year=None),
    ]
    figure = goal(goals(results(*judged)), "recall, samples of 2025 and later")
    assert (figure.holds, figure.value.endswith("(1 of 2)")) == (False, True)
    row = recall_rows(results(*judged))[-1]
    assert (row.malicious, row.suspicious_or_worse) == (Share(1, 2), Share(2, 2))


@pytest.mark.parametrize(
    ("kind", "count", "alarms_seen", "holds"),
    [
        ("ordinary", 400, 1, True),
        ("ordinary", 399, 1, False),
        ("hard", 86, 1, True),
        ("hard", 82, 1, False),
        ("micro", 1000, 2, True),
        ("micro", 1000, 3, False),
    ],
)
def test_goals_for_false_alarms(kind: str, count: int, alarms_seen: int, holds: bool) -> None:
    judged = [a_project(number, MALICIOUS if number < alarms_seen else BENIGN, kind=kind) for number in range(count)]
    assert goal(goals(results(*judged)), f"false alarms (malicious), {kind}").holds is holds


def test_one_benign_file_that_cannot_be_scanned_misses_the_goal_and_is_named() -> None:
    found = results(a_project(1), a_project(2, INCOMPLETE, reason="expected at most 8 members, got more"))
    assert goal(goals(found), "benign files that cannot").holds is False
    page = markdown(found, about={})
    assert "| ordinary | project_2-1.tar.gz | incomplete | expected at most 8 members, got more |" in page


def test_costs_are_medians_and_percentiles_against_both_bounds() -> None:
    calm = [a_project(number, seconds=0.05) for number in range(99)]
    assert goal(goals(results(*calm, a_project(99, seconds=30.0))), "CPU a file, ordinary").holds is True
    slow = [a_project(number, seconds=0.05 if number < 94 else 3.0) for number in range(100)]
    assert goal(goals(results(*slow)), "CPU a file, ordinary").holds is False


def test_peak_memory_is_that_of_the_scanners_own_process_where_it_was_measured() -> None:
    judging = results(a_project(1))
    assert goal(goals(judging), "peak memory").value == "105 MB"
    assert goal(goals(replace(judging, own_peak_bytes=300_000_000)), "peak memory").holds is True
    assert goal(goals(replace(judging, own_peak_bytes=300_000_001)), "peak memory").holds is False


def test_recall_is_told_by_year_form_and_without_the_empty_families() -> None:
    rows = {row.name: row for row in recall_rows(results(a_family(1), a_family(2, BENIGN, year=2025, able=False)))}
    assert rows["all families"].malicious == Share(1, 2)
    assert rows["without those whose code does nothing"].malicious == Share(1, 1)
    assert rows["2023"].malicious == Share(1, 1)
    assert rows["2025"].malicious == Share(0, 1)
    assert rows["sdist"].malicious == Share(1, 2)


def test_false_alarms_are_told_by_kind_and_by_source() -> None:
    judged = [
        a_project(1, SUSPICIOUS, kind="wide", source="mirror"),
        a_project(2, MALICIOUS, kind="wide", source="repo"),
        a_project(3, kind="wide", source="repo"),
    ]
    rows = {row.name: row for row in alarm_rows(results(*judged))}
    assert rows["wide"].malicious == Share(1, 3)
    assert rows["wide"].suspicious_or_worse == Share(2, 3)
    assert rows["wide: repo"].malicious == Share(1, 2)
    assert rows["wide: mirror"].malicious == Share(0, 1)


def test_each_alarm_is_named_with_its_cause_the_gravest_first() -> None:
    judged = [
        a_project(1, SUSPICIOUS, causes=("hidden-call (medium) at pkg/a.py:3",)),
        a_project(2),
        a_project(3, BENIGN, shipped=MALICIOUS, causes=("reverse-shell (critical) at pkg/b.py:9",)),
    ]
    found = results(*judged)
    assert [each.sample.filename for each in alarms(found)] == ["project_3-1.tar.gz", "project_1-1.tar.gz"]
    page = markdown(found, about={})
    assert "reverse-shell (critical) at pkg/b.py:9" in page
    assert "project_2-1.tar.gz" not in page


def test_nothing_seen_is_a_bound_and_not_a_zero() -> None:
    page = markdown(results(*(a_project(number) for number in range(300))), about={})
    assert "| ordinary | 300 | 0 (<= 1.0 %) |" in page


def test_a_rule_that_catches_one_family_is_marked() -> None:
    judged = [
        a_family(1, rules=["common", "rare"]),
        a_family(2, BENIGN, rules=["common"]),
        a_project(1, rules=["common"]),
    ]
    found = results(*judged)
    rows = {row.name: row for row in technique_rows(found, rules=True)}
    assert (rows["common"].families, rows["common"].caught) == (Share(2, 2), Share(1, 2))
    assert rows["common"].benign["ordinary"] == Share(1, 1)
    assert "rare (one family)" in markdown(found, about={})
    assert "common (one family)" not in markdown(found, about={})


def test_guarddog_counts_only_where_it_was_measured() -> None:
    first, second = a_project(1, kind="hard"), a_project(2, kind="hard")
    verdict = PeerVerdict(score=8.2, cpu_seconds=2.0, peak_bytes=100 * 2**20)
    refused = PeerVerdict(score=None, cpu_seconds=1.0, peak_bytes=1, refused="no report, exit status 1")
    peers = {first.sample.sha256: verdict, second.sample.sha256: refused}
    found = results(first, second, a_project(3, kind="hard"), peers=peers)
    (row,) = alarm_rows(found)
    assert (row.peer, row.peer_high, row.peer_refused) == (Share(1, 2), Share(1, 2), 1)
    (cost,) = cost_rows(found)
    assert (cost.peer_count, cost.peer_median) == (2, 1.0)


def test_neither_page_nor_document_names_a_malicious_sample() -> None:
    judged = [a_family(1, rules=["common"]), a_family(2, INCOMPLETE, reason=f"{NAME}: broken"), a_project(1, MALICIOUS)]
    found = results(*judged)
    for text in (markdown(found, about={"at": "today"}), json.dumps(document(found, about={"at": "today"}))):
        assert "stolen-name" not in text
        assert BLOB[:20] not in text
        assert "project_1-1.tar.gz" in text


def test_a_page_without_models_of_others_says_so() -> None:
    page = markdown(results(a_family(1), out_of_fold=False, temporal=False), about={})
    assert "in its own sample" in page
