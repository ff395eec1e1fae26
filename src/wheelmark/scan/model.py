"""The model that weighs everything together: boosted trees, evaluated in integers, so that no machine rounds otherwise.

`model.json` beside this module is the reviewed model; `bench/train_scan.py` writes it. Nothing here learns.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias

import orjson

FORMAT = 1
SHIPPED = Path(__file__).with_name("model.json")
MAX_MODEL_BYTES = 300_000
MAX_DEPTH = 24  # of one tree; deeper ones nobody reviews
SCORE_UNITS = 10_000  # a score of 1 in a calibration table

# A leaf is its weight in millionths of a logit; a split is (feature, threshold, at most, above).
Tree: TypeAlias = "int | tuple[int, int, Tree, Tree]"


@dataclass(frozen=True, slots=True)
class Model:
    """A reviewed model. The value of a feature is a whole number; one that is not given counts 0."""

    version: str  # the first 12 hexadecimal digits of the sha256 of the file
    features: tuple[str, ...]
    trees: tuple[Tree, ...] = field(repr=False)
    calibration: tuple[tuple[int, int], ...] = field(repr=False)  # rising (margin, score in `SCORE_UNITS`)
    suspicious: float  # the score from which a file is suspicious
    malicious: float  # the score from which a file is malicious
    rules: Mapping[str, int]  # id -> version of each rule that it was trained with
    imprecise: frozenset[str]  # of those, the rules whose critical findings do not decide by themselves

    def worst(self, cases: Mapping[str, Mapping[str, int]]) -> tuple[str, int] | None:
        """The case with the greatest margin, the first of equals, by its name; None when there is no case."""
        found: tuple[str, int] | None = None
        for name in sorted(cases):
            margin = self.margin(self.vector(cases[name]))
            if found is None or margin > found[1]:
                found = name, margin
        return found

    def vector(self, values: Mapping[str, int]) -> list[int]:
        """The features in the order of the model."""
        return [values.get(name, 0) for name in self.features]

    def margin(self, vector: Sequence[int]) -> int:
        """The sum of the trees in millionths of a logit, exact."""
        total = 0
        for tree in self.trees:
            node = tree
            while not isinstance(node, int):
                node = node[2] if vector[node[0]] <= node[1] else node[3]
            total += node
        return total

    def score(self, margin: int) -> float:
        """The calibrated score of a margin, from 0 to 1, linear between the points of the table."""
        points = self.calibration
        position = bisect_right(points, margin, key=lambda point: point[0])
        if position == 0:
            return points[0][1] / SCORE_UNITS
        if position == len(points):
            return points[-1][1] / SCORE_UNITS
        (low, at_low), (high, at_high) = points[position - 1], points[position]
        return (at_low + (at_high - at_low) * (margin - low) // (high - low)) / SCORE_UNITS


@cache
def shipped_model() -> Model:
    """The model that is part of this version."""
    return load_model(SHIPPED)


def load_model(path: Path) -> Model:
    """The model in a file.

    Raises: OSError; RuntimeError when the file is no model: without one, nothing would be weighed.
    """
    raw = path.read_bytes()
    try:
        return _parsed(raw)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise RuntimeError(f"expected a model in {path.name}, got {type(error).__name__}: {error}") from error


def _parsed(raw: bytes) -> Model:
    if len(raw) > MAX_MODEL_BYTES:
        raise ValueError(f"expected at most {MAX_MODEL_BYTES} bytes, got {len(raw)}")
    document = orjson.loads(raw)
    if document["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}, got {document['format']!r}")
    features = tuple(str(name) for name in document["features"])
    if len(set(features)) != len(features):
        raise ValueError("expected each feature once")
    model = Model(
        version=hashlib.sha256(raw).hexdigest()[:12],
        features=features,
        trees=tuple(_tree(node, len(features), MAX_DEPTH) for node in document["trees"]),
        calibration=tuple((_whole(margin), _whole(score)) for margin, score in document["calibration"]),
        suspicious=float(document["suspicious"]),
        malicious=float(document["malicious"]),
        rules={str(rule): _whole(version) for rule, version in document["rules"].items()},
        imprecise=frozenset(document["imprecise"]),
    )
    _check(model)
    return model


def _tree(node: object, features: int, depth: int) -> Tree:
    if isinstance(node, list) and len(node) == 4 and depth:
        feature, threshold = _whole(node[0]), _whole(node[1])
        if not 0 <= feature < features:
            raise ValueError(f"expected one of {features} features, got number {feature}")
        return (feature, threshold, _tree(node[2], features, depth - 1), _tree(node[3], features, depth - 1))
    return _whole(node)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, got {value!r}")
    return value


def _check(model: Model) -> None:
    points = model.calibration
    margins, scores = [margin for margin, _ in points], [score for _, score in points]
    if not points or sorted(set(margins)) != margins or sorted(scores) != scores:
        raise ValueError("expected a calibration table that rises")
    if not 0 <= scores[0] <= scores[-1] <= SCORE_UNITS:
        raise ValueError(f"expected scores from 0 to {SCORE_UNITS}")
    if not 0 < model.suspicious <= model.malicious <= 1:
        raise ValueError("expected 0 < suspicious <= malicious <= 1")
    if not model.imprecise <= set(model.rules):
        raise ValueError("expected imprecise rules to be among the rules")
