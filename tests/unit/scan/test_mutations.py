"""Imitations of malware stay malicious in another dress and place; `make bench BENCH=mutations` counts them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from support.imitations import IMITATIONS, Imitation
from support.mutations import BENIGN_FILES, MUTATIONS, plain, sources_of
from support.scan import the_ruleset
from wheelmark.scan import Verdict
from wheelmark.scan.contract import scan_sample

NOT_YET_FOUND = {
    "code from character codes": "text that is computed from numbers by xor does not yet count as decoded",
    "passwords of a browser sent": "places of a browser's stores are matched as one text, not as they are put together",
}
NOT_YET_SURVIVED = {
    "operator.attrgetter": "names that `operator.attrgetter` reaches are not yet resolved",
    "in a thread": "`run` of a thread's subclass is not yet known to be called by `start`",
    "texts moved to another module": "values of other modules are not yet followed",
}


def cases() -> Iterator[object]:
    for mutation in MUTATIONS:
        for imitation in IMITATIONS:
            gap = NOT_YET_FOUND.get(imitation.name) or NOT_YET_SURVIVED.get(mutation)
            marks = () if gap is None else pytest.mark.xfail(reason=gap)
            yield pytest.param(imitation, mutation, id=f"{imitation.name}: {mutation}", marks=marks)


@pytest.mark.parametrize(("imitation", "mutation"), [*cases()])
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
