"""The lane with PostgreSQL leaves out what touches no row, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services import ROOT, WITHOUT_ROWS

_ROWS = re.compile(r"django_db|RunningIndex")


def _modules(path: Path) -> list[Path]:
    return [path] if path.suffix == ".py" else sorted([*path.rglob("test_*.py"), *path.rglob("conftest.py")])


@pytest.mark.parametrize("path", [path for path in WITHOUT_ROWS if path != "tests/unit/test_lanes.py"])
def test_what_the_lane_leaves_out_uses_no_database(path: str) -> None:
    modules = _modules(ROOT / path)
    assert modules
    assert not [str(module) for module in modules if _ROWS.search(module.read_text())]


def test_contract_suites_use_no_database() -> None:
    assert not [str(module) for module in _modules(ROOT / "tests/contract") if _ROWS.search(module.read_text())]
