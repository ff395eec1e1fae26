"""Why the model scores as it does: what each feature is worth, and what would have changed the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wheelmark.scan.feature_words import describe
from wheelmark.scan.features import Features
from wheelmark.scan.model import Model
from wheelmark.scan.report import Reason
from wheelmark.scan.rule import Rule

MAX_REASONS = 6
MAX_NEEDED = 12  # a longer list of what would have to be otherwise explains nothing


def reasons_for(
    model: Model, features: Features, member: str, threshold: float, rules: Mapping[str, Rule]
) -> tuple[Reason, ...]:
    """The weightiest reasons of a score, and all that are needed for it to reach `threshold`.

    They speak of one member, which is the worst. A feature is worth what the margin loses when it alone is set to 0. Of
    features that stand in for one another each is worth little by itself, so the needed ones are found greedily: the
    weightiest is taken away, then the weightiest of the rest, until the score falls below the threshold.
    """
    seen = features.case(member)
    vector = model.vector(features.cases[member])
    present = [position for position, value in enumerate(vector) if value]
    worth = _worth(model, vector, present)
    needed = _needed(model, vector, present, threshold)
    ordered = sorted(present, key=lambda position: (-worth[position], position))
    chosen = [position for position in ordered if worth[position] > 0][:MAX_REASONS]
    chosen += [position for position in needed if position not in chosen]
    whole = sum(gain for gain in worth.values() if gain > 0) or 1
    found = []
    for position in chosen:
        name = model.features[position]
        found.append(
            Reason(
                what=describe(name, vector[position], rules),
                effect=round(max(0, worth[position]) / whole, 3),
                member="" if name in features.whole else member,
                line=seen[name].line,
                needed=position in needed,
            )
        )
    return tuple(found)


def _worth(model: Model, vector: Sequence[int], present: Sequence[int]) -> dict[int, int]:
    whole = model.margin(vector)
    return {position: whole - model.margin(_without(vector, position)) for position in present}


def _without(vector: Sequence[int], position: int) -> list[int]:
    changed = list(vector)
    changed[position] = 0
    return changed


def _needed(model: Model, vector: Sequence[int], present: Sequence[int], threshold: float) -> list[int]:
    """Positions of the features whose absence brings the score below the threshold; empty when too many are needed."""
    current, left = list(vector), list(present)
    taken: list[int] = []
    while left and len(taken) < MAX_NEEDED:
        worth = _worth(model, current, left)
        best = max(left, key=lambda position: (worth[position], -position))
        taken.append(best)
        left.remove(best)
        current[best] = 0
        if model.score(model.margin(current)) < threshold:
            return taken
    return []
