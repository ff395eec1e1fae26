"""The `setup.py` shapes that small, obscure and harmless projects have, as templates.

Each is a habit that is seen again and again: read the version without importing, read the requirements, a publish
shortcut, a test command, a version from git. What they do at installation is what a scanner must tell from malware.
"""

from __future__ import annotations

_PLAIN = """\
from setuptools import setup

setup({fields})
"""

_DISTUTILS = """\
#!/usr/bin/env python
try:
    from setuptools import setup
except ImportError:
    from distutils.core import setup

setup({fields})
"""

_README = """\
import os

from setuptools import setup


def read(name):
    return open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8").read()


setup(
    long_description=read("README.md"),
    long_description_content_type="text/markdown",{fields})
"""

_VERSION_BY_PATTERN = """\
import re
from pathlib import Path

from setuptools import setup

here = Path(__file__).parent.resolve()
text = "\\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(here.rglob("*.py")))
found = re.search(r"^__version__ = ['\\"]([^'\\"]*)['\\"]", text, re.M)
released = found.group(1) if found else "0.0.0"

setup({fields})
"""

_PUBLISH = """\
import os
import sys

from setuptools import setup

if sys.argv[-1] == "publish":
    os.system("python setup.py sdist bdist_wheel")
    os.system("twine upload dist/*")
    sys.exit()

setup({fields})
"""

_TEST_COMMAND = """\
import subprocess
import sys

from setuptools import Command, setup


class PyTest(Command):
    user_options = []

    def initialize_options(self):
        pass

    def finalize_options(self):
        pass

    def run(self):
        raise SystemExit(subprocess.call([sys.executable, "-m", "pytest", "tests"]))


setup(cmdclass={{"test": PyTest}},{fields})
"""

_REQUIREMENTS = """\
import io
import sys

from setuptools import setup

if sys.version_info < (3, 6):
    sys.exit("Python 3.6 or newer is needed")

try:
    with io.open("requirements.txt", encoding="utf-8") as listed:
        requirements = [line.strip() for line in listed if line.strip() and not line.startswith("#")]
except IOError:
    requirements = []

setup(install_requires=requirements,{fields})
"""

_GIT_VERSION = """\
import os
import subprocess

from setuptools import setup


def describe():
    try:
        out = subprocess.check_output(["git", "describe", "--tags"], cwd=os.path.dirname(os.path.abspath(__file__)))
    except (OSError, subprocess.CalledProcessError):
        return None
    return out.decode("ascii").strip().lstrip("v")


print("building", describe() or "a release without git")
setup({fields})
"""

_PLATFORM = """\
import platform
import sys

from setuptools import setup
from setuptools.command.develop import develop
from setuptools.command.install import install


class Install(install):
    def run(self):
        install.run(self)
        print("Installed on " + platform.system() + ". Thank you!")


class Develop(develop):
    def run(self):
        develop.run(self)
        sys.stdout.write("Remember to install the pre-commit hooks.\\n")


extra = ["colorama"] if platform.system() == "Windows" else []
setup(cmdclass={{"install": Install, "develop": Develop}}, install_requires=extra,{fields})
"""

_ABOUT = """\
import os

from setuptools import find_packages, setup

about = {{}}
here = os.path.abspath(os.path.dirname(__file__))
for folder in find_packages():
    path = os.path.join(here, folder, "__about__.py")
    if os.path.exists(path):
        with open(path) as source:
            exec(source.read(), about)

setup({fields})
"""

SETUPS: tuple[str, ...] = (
    _PLAIN,
    _DISTUTILS,
    _README,
    _VERSION_BY_PATTERN,
    _PUBLISH,
    _TEST_COMMAND,
    _REQUIREMENTS,
    _GIT_VERSION,
    _PLATFORM,
    _ABOUT,
)

PYPROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "{version}"
description = "{summary}"
"""


def setup_source(shape: int, fields: dict[str, object]) -> str:
    """A `setup.py` of one shape (a number of any size) that gives setuptools these fields."""
    written = "".join(f"\n    {key}={value!r}," for key, value in fields.items())
    return SETUPS[shape % len(SETUPS)].format(fields=f"{written}\n")
