"""The facts of a scan in short: what it holds, and that it is the same after a way through JSON."""

from __future__ import annotations

import pytest

from support.scan import scan_sdist, scan_wheel
from wheelmark.scan.facts_summary import NOTHING_KNOWN, FactsSummary
from wheelmark.scan.report import Report

ELF = b"\x7fELF" + bytes(60)


def test_summary_says_what_is_done_when_and_with_whom() -> None:
    report = scan_wheel(
        {
            "widget/__init__.py": "import requests\nrequests.get('https://Api.Example.invalid/x')\n",
            "widget/_speed.so": ELF,
            "widget.pth": "import widget\n",
            "gadget.py": "x = 1\n",
            "shelf/inner.py": "x = 1\n",
            "tests/test_widget.py": "import requests\nrequests.get('https://unreached.invalid')\n",
        }
    )
    facts = report.facts
    assert "send over the network/startup" in facts.acts
    assert facts.hosts == ("api.example.invalid",)
    assert facts.modules == ("gadget", "widget")
    assert facts.natives == ("widget/_speed.so",)
    assert "widget.pth" in facts.startup_files
    assert facts.python_files == 3
    assert facts.total_bytes > len(ELF)


def test_modules_of_an_sdist_are_those_that_it_would_install() -> None:
    report = scan_sdist(
        {"setup.py": "x = 1\n", "src/widget/__init__.py": "x = 1\n", "tests/__init__.py": "x = 1\n", "conftest.py": ""}
    )
    assert report.facts.modules == ("widget",)


def test_summary_survives_json() -> None:
    report = scan_wheel({"widget/__init__.py": "import os\nos.system('true')\n"})
    assert report.facts != NOTHING_KNOWN
    assert Report.from_json(report.to_json(with_context=True)) == report
    assert FactsSummary.from_mapping({**report.facts.to_mapping(), "of a later version": 1}) == report.facts


@pytest.mark.parametrize("document", [{"acts": "x"}, {"acts": [1]}, {"python_files": "3"}, {"python_files": True}])
def test_summary_of_another_form_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        FactsSummary.from_mapping(document)
