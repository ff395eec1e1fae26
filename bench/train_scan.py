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
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scan_learning import (
    Row,
    calibration_table,
    feature_names,
    learn,
    margin_of,
    model_document,
    platt,
    write_model,
)
from scan_samples import BENIGN_KINDS, Places, Sample, add_options, benign_samples, malicious_samples
from scan_vectors import vectors_of
from wheelmark.scan import load_ruleset
from wheelmark.scan.model import SHIPPED

FOLDS = 5
WEIGHTS = {"malicious": 1.0, "hard": 4.0, "ordinary": 2.0, "wide": 1.0, "micro": 0.5}


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and write what was asked for."""
    options = _parser().parse_args(argv)
    places = Places.named(lists=options.lists, mirror=options.mirror, corpus=options.corpus)
    samples = [*malicious_samples(places.lists / "dev-malicious.tsv"), *benign_samples(places, kinds=BENIGN_KINDS)]
    rows = []
    for sample, vector in vectors_of(samples, mirror=places.mirror, cache=options.cache, jobs=options.jobs):
        rows.append(_row(sample, vector.values, vector.critical))
    if options.until_year is not None:
        rows = [row for row in rows if row.year is None or row.year <= options.until_year]
    if options.without_fold is not None:
        rows = [row for row in rows if row.fold != options.without_fold]
    margins = out_of_fold(rows)
    slope, intercept = platt(margins, [row.malicious for row in rows], [WEIGHTS[row.kind] for row in rows])
    names = feature_names(rows)
    learned = learn(rows, names, WEIGHTS)
    benign = {rule for row in rows if not row.malicious for rule in row.critical}
    rules = {rule.id: rule.version for rule in load_ruleset().rules}
    document = model_document(
        learned,
        calibration=calibration_table(slope, intercept),
        suspicious=0.5,
        malicious=0.9,
        rules=rules,
        imprecise=sorted(benign & set(rules)),
    )
    model = write_model(document, options.output)
    print(f"{options.output}: model {model.version}, {len(model.features)} features, {len(model.trees)} trees")
    return 0


def out_of_fold(rows: Sequence[Row]) -> list[int]:
    """The margin of each row by a model that saw no row of its group."""
    margins = [0] * len(rows)
    for fold in range(FOLDS):
        seen = [row for row in rows if row.fold != fold]
        learned = learn(seen, feature_names(seen), WEIGHTS)
        for position, row in enumerate(rows):
            if row.fold == fold:
                margins[position] = margin_of(learned, row.values)
    return margins


def _row(sample: Sample, values: dict[str, int], critical: tuple[str, ...]) -> Row:
    return Row(
        group=sample.group,
        kind=sample.kind,
        malicious=sample.malicious,
        year=sample.year,
        values=values,
        critical=critical,
        name=sample.filename,
    )


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
