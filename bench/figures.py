"""What a benchmark gives back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure, and the bound that it should keep (`holds` is None where there is none)."""

    name: str
    value: str
    bound: str = ""
    holds: bool | None = None
