"""The page that tells of the attacks, and the suite that tries them, say the same."""

from __future__ import annotations

from support.attack_suite import ATTACKS
from support.attack_suite.document import tables, written
from support.attack_suite.lanes import REPRESENTATIVES, SEEN_BY_INSTALLERS, Lane, lanes
from support.attack_suite.provenance import PROVENANCES
from support.attack_suite.ways import Way

# What a suite of attacks on an index must have (TUF specification § 1.5.2, PEP 458 appendix A, and ours).
FAMILIES = (
    "arbitrary software", "rollback: timestamp", "rollback: snapshot", "rollback: bin", "rollback: page", "freeze",
    "fast-forward", "mix-and-match", "endless data: timestamp", "endless data: page", "endless data: file",
    "decompression bomb", "slow retrieval", "wrong software: file of another project",
    "wrong software: page of another project", "extraneous dependencies: changed .metadata", "threshold not met",
    "revoked key", "unknown key type", "expired: root", "expired: targets", "expired: bins", "expired: bin",
    "expired: snapshot", "expired: timestamp", "truncated: file", "lying 200", "lying 404", "lying 500",
    "lying redirect", "stripped yank", "stripped status", "stripped provenance", "unknown project", "names",
    "huge root chain", "steered to an older version", "provenance: stripped", "provenance: one bit",
    "provenance: withheld",
)  # fmt: skip


def test_page_lists_exactly_the_attacks_that_are_run() -> None:
    expected = tables()
    assert written() == expected, f"write the page anew (see support/attack_suite/document.py):\n{expected}"


def test_every_family_of_attacks_has_a_row_and_every_row_its_own_name() -> None:
    names = [attack.name for attacks in (*ATTACKS.values(), PROVENANCES) for attack in attacks]
    assert len(names) == len(set(names))
    assert [family for family in FAMILIES if not any(name.startswith(family) for name in names)] == []


def test_every_row_meets_both_tools_and_one_of_them_in_every_run() -> None:
    for attack in (attack for attacks in ATTACKS.values() for attack in attacks):
        assert {way.tool for way in lanes(attack)} == {"pip", "uv"}, attack
        assert Lane.TEST in lanes(attack).values(), attack


def test_every_way_is_tried_with_each_kind_of_answer() -> None:
    names = {attack.name for attacks in ATTACKS.values() for attack in attacks}
    assert set(REPRESENTATIVES) | SEEN_BY_INSTALLERS <= names
    tried = {way: [a.name for rows in ATTACKS.values() for a in rows if way in lanes(a)] for way in Way}
    for way, rows in tried.items():
        assert len(rows) >= 7, way
