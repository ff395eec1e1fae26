"""Signals: words and bytes that the model weighs and that mean nothing by themselves. `signals.yar` has them all."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yara_x

NAMESPACE = "signal"
PREFIX = f"{NAMESPACE}:"  # of the name that a hit of a signal has; no rule id has a colon
SOURCE = Path(__file__).with_name("signals.yar").read_text(encoding="utf-8")


@cache
def signal_words() -> dict[str, str]:
    """What each signal says, as a clause for people, by the name that its features have."""
    compiler = yara_x.Compiler()
    compiler.add_source(SOURCE)
    return {name_of(rule.identifier): dict(rule.metadata)["says"] for rule in compiler.build()}


def name_of(identifier: str) -> str:
    """The name that features have for a signal: YARA allows no hyphens."""
    return identifier.replace("_", "-")
