"""The table of `docs/explanation/attacks.md`, from the rows that are run.

PYTHONPATH=src:tests python -m support.attack_suite.document    # writes it into the page
"""

from __future__ import annotations

from pathlib import Path

from support.attack_suite import ATTACKS
from support.attack_suite.model import Attack

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "attacks.md"
BEGIN = "<!-- the tables below are written by tests/support/attack_suite/document.py -->"
END = "<!-- end of the tables -->"
_TITLES = {
    "metadata": "Old, mixed and forged metadata",
    "transport": "Too much, too slow, too little, and lies",
    "content": "Other software, stripped warnings, tricks with names",
}


def tables() -> str:
    """All tables, one for each family of attacks."""
    parts = []
    for family, attacks in ATTACKS.items():
        lines = [f"## {_TITLES[family]}", "", f"Run by `tests/attacks/test_mirror_{family}.py`.", ""]
        lines += ["| attack | the attacker has | what the client does |", "|---|---|---|"]
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
    return f"| {attack.name} | {attack.attacker} | {attack.outcome} |"


if __name__ == "__main__":
    write()
