"""The training card: what the model was trained with, how good it is on what it did not see, what it rests on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scan_learning import CALIBRATION_STEP, MIN_GROUPS, ROUNDS, Learned, Row, calibration_table
from scan_samples import FOLDS
from wheelmark.scan import load_ruleset
from wheelmark.scan.feature_words import describe
from wheelmark.scan.model import SCORE_UNITS, Model

SHOWN_FEATURES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How each row is judged by a model that did not see it, and the thresholds that follow."""

    rows: Sequence[Row]
    margins: Sequence[int]
    malicious: int  # margins
    suspicious: int
    slope: float
    intercept: float
    imprecise: frozenset[str]

    def score(self, margin: int) -> float:
        """The calibrated score of a margin, as the scanner computes it."""
        points = calibration_table(self.slope, self.intercept)
        below = [point for point in points if point[0] <= margin]
        if not below:
            return points[0][1] / SCORE_UNITS
        low, at_low = below[-1]
        at_high = points[min(len(below), len(points) - 1)][1]
        return (at_low + (at_high - at_low) * (margin - low) // CALIBRATION_STEP) / SCORE_UNITS

    def decides(self, row: Row) -> bool:
        """True when a rule that is precise on everything benign decides by itself."""
        return any(rule not in self.imprecise for rule in row.critical)

    def share(self, wanted: Callable[[Row], bool], margin: int) -> tuple[int, int]:
        """How many of the wanted rows reach a margin or are decided by a rule, and of how many."""
        found = [
            each >= margin or self.decides(row)
            for row, each in zip(self.rows, self.margins, strict=True)
            if wanted(row)
        ]
        return sum(found), len(found)


def wilson(count: int, total: int) -> str:
    """A share with its 95 % interval. Source: Wilson 1927."""
    if not total:
        return "none"
    z, share = 1.96, count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    reach = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return f"{count} of {total} = {100 * share:.1f} % [{100 * (centre - reach):.1f} to {100 * (centre + reach):.1f}]"


def card(judgement: Judgement, learned: Learned, model: Model, later: tuple[int, int]) -> str:
    """The page, in Markdown."""
    parts = [_head(model), _data(judgement.rows), _figures(judgement, later), _rests_on(learned), _TAIL]
    return "\n".join(parts)


def _head(model: Model) -> str:
    return f"""# The scanner's model: training card

<!-- Written by `make train`; edit bench/scan_card.py instead. -->

Model `{model.version}`: {len(model.trees)} boosted trees over {len(model.features)} features, in whole numbers, in
`src/wheelmark/scan/model.json`. A file is malicious from a score of {model.malicious:.4f} and suspicious from
{model.suspicious:.4f}; a critical finding of a rule that was critical of nothing benign decides by itself. Where no
rule finds anything and no code does anything that matters, the model is not asked.

Each module is weighed alone, with what the distribution says of itself, and the worst module counts. Harmless files
beside a payload therefore change next to nothing. The report's reasons say what each feature is worth: what the sum
of the trees loses without it.
"""


def _data(rows: Sequence[Row]) -> str:
    lines = ["## What it was trained with", "", "| kind | source | groups | files |", "|---|---|---:|---:|"]
    for kind, source in sorted({(row.kind, row.source) for row in rows}):
        chosen = [row for row in rows if (row.kind, row.source) == (kind, source)]
        lines.append(f"| {kind} | {source} | {len({row.group for row in chosen})} | {len(chosen)} |")
    lines += [
        "",
        "One archive stands for each malicious family. Every row is judged by models that saw none of its group.",
        f"{FOLDS} folds by family and by project (of a micro-distribution, the project its modules come from).",
        f"A feature counts when it occurs in {MIN_GROUPS} groups or more. {ROUNDS} trees, one thread, fixed seeds.",
        "",
    ]
    return "\n".join(lines)


def _figures(judgement: Judgement, later: tuple[int, int]) -> str:
    lines = [
        "## How good it is on what it did not see",
        "",
        "Out of fold, with Wilson's 95 % interval. Thresholds were chosen on the same margins, so the figures",
        "flatter them a little; `make bench scan` chooses them without the fold that they judge.",
        "",
        "| | malicious | suspicious or worse |",
        "|---|---|---|",
    ]

    def line(name: str, wanted: Callable[[Row], bool]) -> None:
        malicious = wilson(*judgement.share(wanted, judgement.malicious))
        suspicious = wilson(*judgement.share(wanted, judgement.suspicious))
        lines.append(f"| {name} | {malicious} | {suspicious} |")

    line("recall, families", lambda row: row.malicious)
    for years, first, last in (
        ("up to 2022", 0, 2022),
        ("2023", 2023, 2023),
        ("2024", 2024, 2024),
        ("2025 on", 2025, 9999),
    ):
        line(f"recall, {years}", lambda row, a=first, b=last: row.malicious and a <= (row.year or 0) <= b)  # type: ignore[misc]
    for kind in ("hard", "ordinary", "wide", "micro"):
        line(f"false alarms, {kind}", lambda row, k=kind: row.kind == k)  # type: ignore[misc]
    line("false alarms, `mirror` alone", lambda row: row.source == "mirror" and not row.malicious)
    alarms = [
        row.name
        for row, margin in zip(judgement.rows, judgement.margins, strict=True)
        if not row.malicious and (margin >= judgement.malicious or judgement.decides(row))
    ]
    lines += [
        "",
        f"Samples of 2025 and later by a model of samples up to 2023, its own thresholds: {wilson(*later)}.",
        "",
        f"False alarms by name: {', '.join(sorted(alarms)) or 'none'}.",
        "",
        f"Rules that do not decide by themselves: {', '.join(sorted(judgement.imprecise)) or 'none'}.",
        "",
    ]
    return "\n".join(lines)


def _rests_on(learned: Learned) -> str:
    rules = {rule.id: rule for rule in load_ruleset().rules}
    whole = sum(learned.gains.values()) or 1
    ordered = sorted(learned.gains.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_FEATURES]
    lines = ["## What it rests on", "", "| share of gain | feature | in words |", "|---:|---|---|"]
    for name, gain in ordered:
        said = describe(name, 5 if name.startswith("rule/") else 1, rules)
        lines.append(f"| {100 * gain / whole:.1f} % | `{name}` | {said} |")
    return "\n".join([*lines, ""])


_TAIL = """## What it cannot see

- What is not in the file: a payload that a server sends, a dependency that does the harm, a name that deceives.
- Archives of malware that hold no payload, 4 to 5 % of those in public collections.
- Native code: it knows that there is some, not what it does.
- Malware written like a library, that acts only when called: there the model has style and words, and is often silent.
- Style and what a distribution says of itself can be imitated. They tip a balance and make no case by themselves.

## How to train it again

`make train CACHE=DIR` writes `model.json`, this page and the examples that a test holds the evaluator against. It
needs the samples that `bench/scan_samples.py` describes; LightGBM is installed into `.venv-train` alone. The same
samples, code and versions give the same bytes. Train after any change of facts, rules or features: a rule that the
model does not know speaks for itself until then.
"""
