"""The tables of `docs/explanation/attacks.md`, from the rows that are run.

PYTHONPATH=src:tests python -m support.attack_suite.document    # writes it into the page
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.attack_suite.lanes import ATTACKS, Lane, lanes
from support.attack_suite.model import Attack
from support.attack_suite.provenance import PROVENANCES, Means, means_of
from support.attack_suite.ways import Way

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "attacks.md"
BEGIN = "<!-- the tables below are written by tests/support/attack_suite/document.py -->"
END = "<!-- end of the tables -->"
_TITLES = {
    "metadata": "Old, mixed and forged metadata",
    "transport": "Too much, too slow, too little, and lies",
    "content": "Other software, other dependencies, stripped warnings",
    "names": "Tricks with names, and other indexes",
    "provenance": "Provenance, for a program that asks for it",
}
_HEADS = {
    Way.UV: "`uv`", Way.PIP: "`pip`", Way.RUN_UV: "`run`, uv", Way.RUN_PIP: "`run`, pip",
    Way.PROXY_UV: "`proxy`, uv", Way.PROXY_PIP: "`proxy`, pip",
}  # fmt: skip
_SIGNS = {Lane.TEST: "●", Lane.SERVICES: "○", None: ""}


def tables() -> str:
    """All tables, one for each family of attacks."""
    parts = [_table(family, list(_HEADS.values()), [(a, _signs(a)) for a in rows]) for family, rows in ATTACKS.items()]
    by_means = [(a, ["●" if means in means_of(a) else "" for means in Means]) for a in PROVENANCES]
    return "\n\n".join([*parts, _table("provenance", [means.value for means in Means], by_means)])


def _table(family: str, heads: Sequence[str], rows: Sequence[tuple[Attack, Sequence[str]]]) -> str:
    lines = [f"## {_TITLES[family]}", "", f"Run by `tests/attacks/test_mirror_{family}.py`.", ""]
    lines += [
        _line("attack", "the attacker has", "what the client does", *heads),
        f"|{'---|' * 3}{':-:|' * len(heads)}",
    ]
    return "\n".join(lines + [_line(a.name, a.attacker, a.outcome, *signs) for a, signs in rows])


def _signs(attack: Attack) -> list[str]:
    tried = lanes(attack)
    return ["–" if attack.needs_fence and not way.is_fence else _SIGNS[tried.get(way)] for way in _HEADS]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def written() -> str:
    """The tables as the page has them."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return after.partition(END)[0].strip()


def write() -> None:
    """Put the tables into the page."""
    before, _, after = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    write()
