"""Where things lie inside the sandbox. Fixed, so that what is observed reads the same on every machine."""

from __future__ import annotations

HOME = "/home/dev"
WORK = "/work"
SCRATCH = "/tmp"  # noqa: S108 - inside the sandbox, where it is the look's own
PYTHON = "/opt/python"
BASE_INTERPRETER = f"{PYTHON}/bin/python3"
# Distributions are installed into a virtual environment: there every interpreter looks in `site-packages`.
VENV = "/opt/venv"
INTERPRETER = f"{VENV}/bin/python3"
TOOLS = "/opt/look"  # the driver, the probe, setuptools
LIBRARIES = f"{TOOLS}/lib"
DRIVER = f"{TOOLS}/driver.py"
PROBE = f"{TOOLS}/probe.py"
STANDINS = f"{TOOLS}/standins.py"
# Below here nothing is. A stand-in names its calls by asking for the removal of a file of that name, which strace sees.
CALLS = f"{TOOLS}/calls/"
HOST_NAME = "build"
USER = "dev"
USER_ID = 1000
# An interpreter may be built so that its own library lies beside it; the system's of the same name is another.
LOADER = {"LD_LIBRARY_PATH": f"{PYTHON}/lib"}
