"""Imitations of malware stay malicious in another dress and place; `make bench BENCH=mutations` counts them."""

from __future__ import annotations

import ast

import pytest

from support.imitations import IMITATIONS, Imitation
from support.mutations import BENIGN_FILES, MUTATIONS, plain, sources_of
from support.scan import the_ruleset
from wheelmark.scan import Verdict
from wheelmark.scan.contract import scan_sample

CASES = [
    pytest.param(imitation, mutation, id=f"{imitation.name}: {mutation}")
    for mutation in MUTATIONS
    for imitation in IMITATIONS
]


@pytest.mark.parametrize(("imitation", "mutation"), CASES)
def test_mutated_imitation_stays_malicious(imitation: Imitation, mutation: str) -> None:
    report = scan_sample(MUTATIONS[mutation](imitation), the_ruleset())
    assert report.verdict is Verdict.MALICIOUS, (report.score, [finding.rule for finding in report.findings])
    assert report.incomplete_reason is None


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutation_gives_python_that_differs(mutation: str) -> None:
    for imitation in IMITATIONS:
        sample = MUTATIONS[mutation](imitation)
        sources = dict(sources_of(sample))
        for text in sources.values():
            ast.parse(text)
        assert (sample.files == plain(imitation).files) == (mutation == "none"), imitation.name


def test_renamed_source_has_no_name_of_its_own_left() -> None:
    for imitation in IMITATIONS:
        (text,) = [
            text for _, text in sources_of(MUTATIONS["renamed identifiers"](imitation)) if text != "VERSION = 1\n"
        ]
        bound = {
            node.id
            for node in ast.walk(ast.parse(imitation.source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        left = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        assert bound & left == set(), imitation.name


def test_crowd_is_benign_by_itself() -> None:
    crowd = MUTATIONS["200 benign files added"](Imitation("nothing", "VERSION = 1\n"))
    assert len(crowd.files) == BENIGN_FILES + 1
    assert scan_sample(crowd, the_ruleset()).verdict is Verdict.BENIGN


def test_imitations_reach_nobody() -> None:
    for imitation in IMITATIONS:
        for word in imitation.source.replace('"', " ").replace("'", " ").split():
            if "://" in word:
                host = word.split("/")[2]
                assert host.endswith(".invalid") or host == "discord.com", imitation.name
