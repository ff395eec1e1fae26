"""Learns the scanner's model: boosted trees by LightGBM, turned into the whole numbers that the scanner evaluates.

LightGBM and NumPy live in the training environment alone (`make train`); the scanner needs neither.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import orjson

from wheelmark.scan.model import FORMAT, SCORE_UNITS, Model, load_model

FOLDS = 5
ROUNDS = 260
UNITS = 1_000_000  # of a leaf's weight in one logit
MIN_GROUPS = 4  # families or projects that a feature must occur in: a rarer one would name a sample, not a behaviour
PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.06,
    "num_leaves": 10,
    "min_data_in_leaf": 8,
    "feature_fraction": 0.35,
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
    malicious: bool
    year: int | None
    values: Mapping[str, int]
    critical: tuple[str, ...]
    name: str = ""  # the file name, for lists of false alarms

    @property
    def fold(self) -> int:
        """Which part of the cross-validation judges it: by its group alone, so that adding rows moves no other."""
        return int(hashlib.sha256(self.group.encode()).hexdigest()[:8], 16) % FOLDS


@dataclass(frozen=True, slots=True)
class Learned:
    """Trees in whole numbers over named features."""

    features: tuple[str, ...]
    trees: list[Any]  # nested lists, as in the model's file
    gains: dict[str, float]


def feature_names(rows: Sequence[Row]) -> tuple[str, ...]:
    """The features that occur in at least `MIN_GROUPS` groups, in the order of their names."""
    groups: dict[str, set[tuple[bool, str]]] = {}
    for row in rows:
        for name in row.values:
            groups.setdefault(name, set()).add((row.malicious, row.group))
    return tuple(sorted(name for name, found in groups.items() if len(found) >= MIN_GROUPS))


def learn(rows: Sequence[Row], names: Sequence[str], weights: Mapping[str, float]) -> Learned:
    """Boosted trees over these features. Every feature may only raise the score: absence is never suspicious."""
    table = np.array([[row.values.get(name, 0) for name in names] for row in rows], dtype=np.float64)
    labels = np.array([row.malicious for row in rows], dtype=np.float64)
    weight = np.array([weights.get(row.kind, 1.0) for row in rows], dtype=np.float64)
    dataset = lightgbm.Dataset(
        table, labels, weight=weight, feature_name=[f"f{number}" for number in range(len(names))], free_raw_data=False
    )
    parameters = {**PARAMETERS, "monotone_constraints": [1] * len(names)}
    booster = lightgbm.train(parameters, dataset, num_boost_round=ROUNDS)
    gains = dict(zip(names, map(float, booster.feature_importance("gain")), strict=True))
    trees = [_node(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    return _compact(Learned(tuple(names), trees, gains))


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
    return Learned(names, trees, {name: learned.gains[name] for name in names})


def _asked(node: Any) -> list[int]:
    return [] if isinstance(node, int) else [node[0], *_asked(node[2]), *_asked(node[3])]


def _renumbered(node: Any, numbers: Mapping[int, int]) -> Any:
    if isinstance(node, int):
        return node
    return [numbers[node[0]], node[1], _renumbered(node[2], numbers), _renumbered(node[3], numbers)]


def margin_of(learned: Learned, values: Mapping[str, int]) -> int:
    """What the scanner's own evaluator gives, in millionths of a logit."""
    vector = [values.get(name, 0) for name in learned.features]
    total = 0
    for tree in learned.trees:
        node = tree
        while not isinstance(node, int):
            node = node[2] if vector[node[0]] <= node[1] else node[3]
        total += node
    return total


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
