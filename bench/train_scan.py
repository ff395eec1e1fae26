"""`make train`: learns the scanner's model from samples outside the project, and says how good it is.

    python bench/train_scan.py --cache DIR                          writes model.json
    python bench/train_scan.py --cache DIR --until-year 2023 --output FILE
                                                                    the model of an earlier time, for the temporal split
    python bench/train_scan.py --cache DIR --without-fold 3 --output FILE
                                                                    a model that saw nothing of this fold, to judge it

Needs LightGBM and NumPy, which only the training environment has, and the samples that `scan_samples.py` describes.
What is not in the cache is scanned first, which takes minutes. The same samples, code and versions give the same file.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scan_card import Judgement, card
from scan_learning import (
    NO_CASE,
    UNITS,
    Learned,
    Row,
    calibration_table,
    feature_names,
    learn,
    margin_of,
    model_document,
    platt,
    write_examples,
    write_model,
)
from scan_samples import BENIGN_KINDS, FOLDS, Places, Sample, add_options, benign_samples, malicious_samples
from scan_vectors import Vector, vectors_of
from wheelmark.scan import RuleSet, ScanBounds, examine, load_ruleset
from wheelmark.scan.model import SHIPPED, load_model

ROOT = Path(__file__).resolve().parent.parent
CARD = ROOT / "docs" / "explanation" / "scanner-model.md"
EXAMPLES = ROOT / "tests" / "data" / "model-examples.json"
IMITATION = "imitation"
DILUTED = "diluted"  # the kind of copies of malicious samples with as many modules as a benign project has
WEIGHTS = {"malicious": 0.6, DILUTED: 0.4, "hard": 6.0, "ordinary": 2.0, "wide": 5.0, "micro": 1.0, "imitation": 8.0}
MODULES = "about/modules"
UNPUBLISHED = frozenset({"repo"})  # trees of small projects, packed by us: learned from, but no measure of an index
# The share of each kind's projects that may score at or above a threshold when no model has seen them.
MALICIOUS_AT_MOST = {"hard": 0.012, "ordinary": 0.0, "wide": 0.0025, "micro": 0.002}
SUSPICIOUS_AT_MOST = {"ordinary": 0.005, "wide": 0.01, "micro": 0.005}


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and write what was asked for."""
    options = _parser().parse_args(argv)
    places = Places.named(lists=options.lists, mirror=options.mirror, corpus=options.corpus)
    samples = [*malicious_samples(places.lists / "dev-malicious.tsv"), *benign_samples(places, kinds=BENIGN_KINDS)]
    taken = vectors_of(samples, mirror=places.mirror, cache=options.cache, jobs=options.jobs)
    everything = [row_of(sample, vector) for sample, vector in taken]
    everything += imitations(load_ruleset())
    rows = everything
    if options.until_year is not None:
        rows = [row for row in rows if row.year is None or row.year <= options.until_year]
    if options.without_fold is not None:
        rows = [row for row in rows if row.fold != options.without_fold]
    judgement, learned = train(rows)
    model = write_model(_document(judgement, learned), options.output)
    print(f"{options.output}: model {model.version}, {len(model.features)} features, {len(model.trees)} trees")
    if options.output == SHIPPED:
        write_examples(learned, EXAMPLES)
        CARD.write_text(card(judgement, learned, load_model(SHIPPED), later_than(everything)), encoding="utf-8")
    return 0


def train(rows: Sequence[Row]) -> tuple[Judgement, Learned]:
    """The trees of all rows, and how trees that did not see them judge them."""
    margins = out_of_fold(rows)
    kept = [(row, margin) for row, margin in zip(rows, margins, strict=True) if margin > NO_CASE]
    slope, intercept = platt(
        [margin for _, margin in kept],
        [row.malicious for row, _ in kept],
        [1 / sum(other.malicious == row.malicious for other, _ in kept) for row, _ in kept],  # at even odds
    )
    malicious = threshold(rows, margins, MALICIOUS_AT_MOST)
    suspicious = min(threshold(rows, margins, SUSPICIOUS_AT_MOST), malicious)
    judgement = Judgement(
        rows=rows,
        margins=margins,
        malicious=malicious,
        suspicious=suspicious,
        slope=slope,
        intercept=intercept,
        imprecise=imprecise_rules(rows),
    )
    seen = trained(rows)
    return judgement, learn(seen, feature_names(seen), WEIGHTS)


def trained(rows: Sequence[Row]) -> list[Row]:
    """The rows that a model may learn from, and each malicious one again among as many modules as some benign one has.

    Members are weighed one by one, so harmless files beside a payload change its number of modules and nothing else.
    """
    sizes = [row.cases[0].get(MODULES, 0) for row in rows if row.kind in {"hard", "ordinary", "wide"} and row.cases]
    draw = random.Random(1)
    diluted = []
    for row in rows:
        if row.malicious and sizes:
            size = draw.choice(sizes)
            diluted.append(replace(row, kind=DILUTED, cases=[{**case, MODULES: size} for case in row.cases]))
    return [*rows, *diluted]


def out_of_fold(rows: Sequence[Row]) -> list[int]:
    """The margin of each row by a model that saw no row of its group."""
    margins = [0] * len(rows)
    for fold in range(FOLDS):
        seen = trained([row for row in rows if row.fold != fold])
        learned = learn(seen, feature_names(seen), WEIGHTS)
        for position, row in enumerate(rows):
            if row.fold == fold:
                margins[position] = margin_of(learned, row)
    return margins


def threshold(rows: Sequence[Row], margins: Sequence[int], at_most: Mapping[str, float]) -> int:
    """The least margin that leaves each kind its share of false alarms at most, a tenth of a logit above the next."""
    found = 0
    for kind, share in at_most.items():
        ordered = sorted(
            (
                margin
                for row, margin in zip(rows, margins, strict=True)
                if row.kind == kind and row.source not in UNPUBLISHED
            ),
            reverse=True,
        )
        allowed = int(share * len(ordered))
        if len(ordered) > allowed:
            found = max(found, ordered[allowed] + UNITS // 10) if found else ordered[allowed] + UNITS // 10
    return found


def imprecise_rules(rows: Sequence[Row]) -> frozenset[str]:
    """The rules whose critical findings also speak of benign distributions: they do not decide by themselves."""
    return frozenset(rule for row in rows if not row.malicious for rule in row.critical)


def later_than(rows: Sequence[Row], year: int = 2023, judged: int = 2025) -> tuple[int, int]:
    """How many malicious samples from `judged` on a model up to `year` finds, its thresholds and all; of how many."""
    early, learned = train([row for row in rows if row.year is None or row.year <= year])
    late = [row for row in rows if row.malicious and row.year is not None and row.year >= judged]
    found = [row for row in late if margin_of(learned, row) >= early.malicious or early.decides(row)]
    return len(found), len(late)


def _document(judgement: Judgement, learned: Learned) -> dict[str, object]:
    rules = {rule.id: rule.version for rule in load_ruleset().rules}
    return model_document(
        learned,
        calibration=calibration_table(judgement.slope, judgement.intercept),
        suspicious=judgement.score(judgement.suspicious),
        malicious=judgement.score(judgement.malicious),
        rules=rules,
        imprecise=sorted(judgement.imprecise & set(rules)),
    )


def row_of(sample: Sample, vector: Vector) -> Row:
    """One sample as the learner sees it."""
    return Row(
        group=sample.group,
        kind=sample.kind,
        source=sample.source,
        malicious=sample.malicious,
        year=sample.year,
        cases=[{**vector.whole, **case} for case in vector.cases],
        critical=vector.critical,
        name=sample.filename,
    )


def imitations(ruleset: RuleSet) -> list[Row]:
    """The benign samples of the rules: short and near to what the rules look for, and no malware."""
    found = []
    for rule in ruleset.rules:
        for number, sample in enumerate(rule.samples.benign):
            stream = io.BytesIO(sample.packed())
            seen = examine(stream, filename=sample.filename, ruleset=ruleset, bounds=ScanBounds())
            found.append(
                Row(
                    group=f"{rule.id} {number}",
                    kind=IMITATION,
                    source="rules",
                    malicious=False,
                    year=None,
                    cases=list(seen.features.cases.values()),
                    critical=(),
                    name=f"{rule.id}, benign sample {number}",
                )
            )
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="where feature vectors are kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that scan")
    parser.add_argument("--until-year", type=int, metavar="YEAR", help="only malicious samples up to this year")
    parser.add_argument("--without-fold", type=int, metavar="N", help="without this fold's families and projects")
    parser.add_argument("--output", type=Path, default=SHIPPED, metavar="FILE", help="default: the shipped model")
    return parser


if __name__ == "__main__":
    sys.exit(main())
