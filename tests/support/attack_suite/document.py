"""The tables of `docs/explanation/attacks.md`, from the rows that are run.

PYTHONPATH=src:tests python -m support.attack_suite.document    # writes it into the page
"""

from __future__ import annotations

from pathlib import Path

from support.attack_suite.lanes import ATTACKS, Lane, lanes
from support.attack_suite.model import Attack
from support.attack_suite.ways import Way

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "attacks.md"
BEGIN = "<!-- the tables below are written by tests/support/attack_suite/document.py -->"
END = "<!-- end of the tables -->"
_TITLES = {
    "metadata": "Old, mixed and forged metadata",
    "transport": "Too much, too slow, too little, and lies",
    "content": "Other software, other dependencies, stripped warnings",
    "names": "Tricks with names, and other indexes",
}
_HEADS = {
    Way.UV: "`uv`", Way.PIP: "`pip`", Way.RUN_UV: "`run`, uv", Way.RUN_PIP: "`run`, pip",
    Way.PROXY_UV: "`proxy`, uv", Way.PROXY_PIP: "`proxy`, pip",
}  # fmt: skip
_SIGNS = {Lane.TEST: "●", Lane.SERVICES: "○", None: ""}


def tables() -> str:
    """All tables, one for each family of attacks."""
    parts = []
    for family, attacks in ATTACKS.items():
        lines = [f"## {_TITLES[family]}", "", f"Run by `tests/attacks/test_mirror_{family}.py`.", ""]
        heads = ["attack", "the attacker has", "what the client does", *_HEADS.values()]
        lines += [f"| {' | '.join(heads)} |", f"|{'---|' * 3}{':-:|' * len(_HEADS)}"]
        parts.append("\n".join([*lines, *map(_line, attacks)]))
    return "\n\n".join(parts)


def written() -> str:
    """The tables as the page has them."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return after.partition(END)[0].strip()


def write() -> None:
    """Put the tables into the page."""
    before, _, after = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after.partition(END)[2]}", encoding="utf-8")


def _line(attack: Attack) -> str:
    tried = lanes(attack)
    cells = [attack.name, attack.attacker, attack.outcome]
    if attack.needs_fence:
        signs = [_SIGNS[tried.get(way)] if way.is_fence else "–" for way in _HEADS]
    else:
        signs = [_SIGNS[tried.get(way)] for way in _HEADS]
    return f"| {' | '.join([*cells, *signs])} |"


if __name__ == "__main__":
    write()
