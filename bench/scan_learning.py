"""Learns the scanner's model: boosted trees by LightGBM, turned into the whole numbers that the scanner evaluates.

LightGBM and NumPy live in the training environment alone (`make train`); the scanner needs neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import orjson

from scan_samples import fold_of
from wheelmark.scan.model import FORMAT, SCORE_UNITS, Model, load_model

ROUNDS = 800
SEARCH_ROUNDS = 160  # trees, while it is looked for which member carries the payload
EXAMPLES = 40
NO_CASE = -20 * 1_000_000
FREE = ("style/", "runs/", "about/modules")  # features that may count either way; the others can only raise a score
UNITS = 1_000_000  # of a leaf's weight in one logit
MIN_GROUPS = 4  # families or projects that a feature must occur in: a rarer one would name a sample, not a behaviour
PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.025,
    "num_leaves": 16,
    "min_data_in_leaf": 5,
    "feature_fraction": 0.12,
    "lambda_l2": 1.0,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
CALIBRATION_POINTS = 81
CALIBRATION_STEP = 250_000  # a quarter of a logit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sample as the learner sees it."""

    group: str  # family or project: never on both sides of a split
    kind: str
    source: str  # finer than the kind
    malicious: bool
    year: int | None
    cases: Sequence[Mapping[str, int]]  # of each member there is a case against, what it and the whole show
    critical: tuple[str, ...]
    name: str = ""  # the file name, for lists of false alarms

    @property
    def fold(self) -> int:
        """Which part of the cross-validation judges it."""
        return fold_of(self.group)


@dataclass(frozen=True, slots=True)
class Learned:
    """Trees in whole numbers over named features."""

    features: tuple[str, ...]
    trees: list[Any]  # nested lists, as in the model's file
    gains: dict[str, float]
    examples: list[dict[str, object]]  # made-up features, and what LightGBM itself says of them in logits


def feature_names(rows: Sequence[Row]) -> tuple[str, ...]:
    """The features that occur in at least `MIN_GROUPS` groups, in the order of their names."""
    groups: dict[str, set[tuple[bool, str]]] = {}
    for row in rows:
        for name in {name for case in row.cases for name in case}:
            groups.setdefault(name, set()).add((row.malicious, row.group))
    return tuple(sorted(name for name, found in groups.items() if len(found) >= MIN_GROUPS))


def learn(rows: Sequence[Row], names: Sequence[str], weights: Mapping[str, float]) -> Learned:
    """Boosted trees over these features, for the worst case of each row.

    Which member of a malicious sample carries the payload is not known. So the trees are learned in rounds: first every
    case of a malicious sample counts a part, then only the one that the trees before thought worst. Of a benign sample
    every case is benign.
    """
    cases = [case for row in rows for case in row.cases]
    owners = np.array([number for number, row in enumerate(rows) for _ in row.cases])
    table = np.array([[case.get(name, 0) for name in names] for case in cases], dtype=np.float32)
    labels = np.array([rows[owner].malicious for owner in owners], dtype=np.float64)
    counts = np.bincount(owners, minlength=len(rows))
    share = np.array([weights.get(row.kind, 1.0) for row in rows])
    weight = np.where(labels > 0, share[owners] / counts[owners], share[owners] * _damped(counts)[owners])
    booster = _boosted(table, labels, weight, names, SEARCH_ROUNDS)
    for rounds in (SEARCH_ROUNDS, ROUNDS):
        margins = booster.predict(table, raw_score=True, num_threads=1)
        weight = np.where(labels > 0, share[owners] * _worst(margins, owners, len(rows)), weight)
        booster = _boosted(table, labels, weight, names, rounds)
    gains = dict(zip(names, map(float, booster.feature_importance("gain")), strict=True))
    trees = [_node(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    return _compact(Learned(tuple(names), trees, gains, _examples(booster, table, names)))


def _damped(counts: Any) -> Any:
    """How much each case of a benign sample counts: a large project is many chances to be wrong, but one project."""
    return 1 / np.sqrt(np.maximum(counts, 1))


def _worst(margins: Any, owners: Any, count: int) -> Any:
    """1 for the case with the greatest margin of each owner, the first of equals; 0 for the others."""
    best = np.full(count, -np.inf)
    np.maximum.at(best, owners, margins)
    chosen = np.zeros(len(owners))
    seen: set[int] = set()
    for position in np.flatnonzero(margins >= best[owners]):
        if int(owners[position]) not in seen:
            seen.add(int(owners[position]))
            chosen[position] = 1
    return chosen


def _boosted(table: Any, labels: Any, weight: Any, names: Sequence[str], rounds: int) -> Any:
    kept = weight > 0
    columns = [f"f{number}" for number in range(len(names))]
    dataset = lightgbm.Dataset(table[kept], labels[kept], weight=weight[kept], feature_name=columns)
    constraints = [0 if name.startswith(FREE) else 1 for name in names]
    return lightgbm.train({**PARAMETERS, "monotone_constraints": constraints}, dataset, num_boost_round=rounds)


def _examples(booster: Any, table: Any, names: Sequence[str]) -> list[dict[str, object]]:
    """Vectors of no sample: each feature drawn by itself from the values it has anywhere."""
    draw = np.random.default_rng(1)
    rows = np.stack([table[draw.integers(0, len(table), EXAMPLES), column] for column in range(len(names))], axis=1)
    rows *= draw.random(rows.shape) < np.linspace(0.2, 1, EXAMPLES)[:, None]
    logits = booster.predict(rows, raw_score=True, num_threads=1)
    return [
        {
            "values": {name: int(value) for name, value in zip(names, row, strict=True) if value},
            "logit": round(float(logit), 6),
        }
        for row, logit in zip(rows, logits, strict=True)
    ]


def _node(node: Mapping[str, Any]) -> Any:
    if "leaf_value" in node:
        return round(float(node["leaf_value"]) * UNITS)
    if node["decision_type"] != "<=":
        raise RuntimeError(f"expected splits by <=, got {node['decision_type']!r}")
    # Values are whole numbers, so the floor of a threshold splits them alike.
    threshold = math.floor(float(node["threshold"]))
    return [int(node["split_feature"]), threshold, _node(node["left_child"]), _node(node["right_child"])]


def _compact(learned: Learned) -> Learned:
    """Only the features that a tree asks for, numbered anew."""
    used = sorted({number for tree in learned.trees for number in _asked(tree)})
    numbers = {old: new for new, old in enumerate(used)}
    names = tuple(learned.features[old] for old in used)
    trees = [_renumbered(tree, numbers) for tree in learned.trees]
    return Learned(names, trees, {name: learned.gains[name] for name in names}, learned.examples)


def _asked(node: Any) -> list[int]:
    return [] if isinstance(node, int) else [node[0], *_asked(node[2]), *_asked(node[3])]


def _renumbered(node: Any, numbers: Mapping[int, int]) -> Any:
    if isinstance(node, int):
        return node
    return [numbers[node[0]], node[1], _renumbered(node[2], numbers), _renumbered(node[3], numbers)]


def margin_of(learned: Learned, row: Row) -> int:
    """What the scanner's own evaluator gives for the worst case, in millionths of a logit; `NO_CASE` without any."""
    model = Model(
        version="",
        features=learned.features,
        trees=tuple(learned.trees),
        calibration=(),
        suspicious=1,
        malicious=1,
        rules={},
        imprecise=frozenset(),
    )
    worst = model.worst({str(number): case for number, case in enumerate(row.cases)})
    return NO_CASE if worst is None else worst[1]


def platt(margins: Sequence[int], malicious: Sequence[bool], weights: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept of the logistic curve over margins in logits that fits the labels best (Newton)."""
    x = np.array(margins, dtype=np.float64) / UNITS
    y = np.array(malicious, dtype=np.float64)
    w = np.array(weights, dtype=np.float64)
    design = np.stack([x, np.ones_like(x)], axis=1)
    beta = np.array([1.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        gradient = design.T @ (w * (y - p)) - np.array([1e-3 * (beta[0] - 1), 0.0])
        hessian = (design * (w * p * (1 - p))[:, None]).T @ design + np.diag([1e-3, 1e-6])
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step
        if float(np.abs(step).max()) < 1e-9:
            break
    return float(beta[0]), float(beta[1])


def calibration_table(slope: float, intercept: float) -> list[list[int]]:
    """The curve as points that the scanner interpolates between: rising margins, rising scores."""
    centre = round(-intercept / slope * UNITS / CALIBRATION_STEP)
    points = []
    for number in range(centre - CALIBRATION_POINTS // 2, centre + CALIBRATION_POINTS // 2 + 1):
        margin = number * CALIBRATION_STEP
        score = 1 / (1 + math.exp(-(slope * margin / UNITS + intercept)))
        points.append([margin, round(score * SCORE_UNITS)])
    return points


def model_document(
    learned: Learned,
    *,
    calibration: list[list[int]],
    suspicious: float,
    malicious: float,
    rules: Mapping[str, int],
    imprecise: Sequence[str],
) -> dict[str, object]:
    """The document of `model.json`."""
    return {
        "format": FORMAT,
        "features": list(learned.features),
        "trees": learned.trees,
        "calibration": calibration,
        "suspicious": suspicious,
        "malicious": malicious,
        "rules": dict(sorted(rules.items())),
        "imprecise": sorted(imprecise),
    }


def write_model(document: Mapping[str, object], path: Path) -> Model:
    """Write a model to be reviewed: sorted keys, one tree or feature a line. Gives it back as the scanner reads it."""
    lines = []
    for key, value in sorted(document.items()):
        if key in {"features", "trees", "calibration"} and isinstance(value, list):
            items = ",\n".join(orjson.dumps(each).decode() for each in value)
            lines.append(f'"{key}": [\n{items}\n]')
        else:
            lines.append(f'"{key}": {orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()}')
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return load_model(path)


def write_examples(learned: Learned, path: Path) -> None:
    """Write the table of made-up features that a test holds the scanner's evaluator against, one example a line."""
    names = set(learned.features)
    lines = []
    for example in learned.examples:
        values = {name: value for name, value in dict(example["values"]).items() if name in names}  # type: ignore[call-overload]
        lines.append(orjson.dumps({"logit": example["logit"], "values": values}, option=orjson.OPT_SORT_KEYS).decode())
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
