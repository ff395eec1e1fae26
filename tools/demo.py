"""`make demo`: the main job in two minutes, on a throw-away index, step by step in the terminal.

Builds two small distributions, uploads them with twine; the scanner holds one and says why; pip and uv install the
other, verified; then one byte of it is flipped in the index's store, and the install is refused.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

BIN = Path(sys.executable).parent
WAIT_SECONDS = 60
REFUSED = 3
BALLAST_BYTES = 300_000

console = Console(highlight=False)

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "demo-greeting"
version = "1.0"
description = "Says hello"
requires-python = ">=3.11"

[project.scripts]
demo-greeting = "demo_greeting:main"
"""

GREETING = '''\
"""Says hello."""


def main() -> None:
    """Print the greeting."""
    print("hello from a verified wheel")
'''

# What the scanner must not let through: code that hides itself and runs while it is installed. The hidden code is
# harmless (a print), and it never runs here: the file is only ever read.
TROUBLE_SETUP = """\
import base64
from setuptools import setup

exec(base64.b64decode("cHJpbnQoJ3RoaXMgY291bGQgaGF2ZSBiZWVuIGFueXRoaW5nJyk=").decode())
setup(name="demo-trouble", version="1.0")
"""
TROUBLE_METADATA = "Metadata-Version: 2.1\nName: demo-trouble\nVersion: 1.0\nSummary: Looks harmless\n"


class DemoFailed(Exception):
    """A step did not do what it should; the message says which."""


def main() -> int:
    """Run the demonstration; return 0 only if every step came out as it should."""
    console.print("[bold]Wheelmark, from an upload to a refused install[/bold]\n")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wheelmark-demo-") as folder:
        try:
            Demo(Path(folder)).run()
        except DemoFailed as error:
            console.print(f"\n[bold red]The demonstration failed:[/bold red] {escape(str(error))}")
            return 1
    console.print(f"\n[bold]Done in {time.monotonic() - began:.0f} s.[/bold] Nothing of it is left on this machine.")
    console.print("Your own index: [bold]make run[/bold]")
    return 0


class Demo:
    """One run, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # The user's own settings of pip, uv and twine have no say here.
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PIP_", "UV_", "TWINE_", "WHEELMARK_"))
        } | {
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_DATA_HOME": str(folder / "share"),
            "XDG_STATE_HOME": str(folder / "state"),
            "NO_COLOR": "1",
        }

    def run(self) -> None:
        """All steps."""
        self.step("Start an index: web, scan worker and publisher, keys of its own")
        self.show([*self.wheelmark("serve"), "--data", "data", "--port", str(self.port)])
        with self.serving():
            self.steps()

    def steps(self) -> None:
        """The steps with the index running."""
        root = self.folder / "root.json"
        root.write_bytes(fetch(f"{self.url}/tuf/1.root.json"))
        token = self.token()

        self.step("Build two small distributions")
        greeting, trouble = self.build_greeting(), self.build_trouble()
        console.print(f"  {greeting.name}   a harmless wheel")
        console.print(f"  {trouble.name}   its setup.py unpacks hidden code and runs it")

        self.step("Upload both with twine")
        upload = [str(BIN / "twine"), "upload", "--non-interactive", "--disable-progress-bar"]
        credentials = {
            "TWINE_REPOSITORY_URL": f"{self.url}/legacy/",
            "TWINE_USERNAME": "__token__",
            "TWINE_PASSWORD": token,
        }
        self.command([*upload, str(greeting), str(trouble)], extra=credentials)

        self.step("The index inspects them")
        took = self.wait_published("demo-greeting")
        console.print(f"  demo-greeting is in a signed snapshot, {took:.1f} s after the upload")
        held = self.wait_held(trouble.name)
        console.print(f"  {trouble.name} is [bold]held[/bold]: {escape(held)}")
        if status(f"{self.url}/simple/demo-trouble/") != 404:
            raise DemoFailed("the held file is listed")
        console.print("  To installers it does not exist: /simple/demo-trouble/ answers 404")

        self.step("Install with pip and with uv, every byte verified against the signed snapshot")
        for tool in ("pip", "uv"):
            python = self.make_venv(tool)
            self.install(tool, python, root)
            self.command([str(python.parent / "demo-greeting")])

        self.step("Somebody flips one byte of the wheel in the index's store")
        self.flip_byte(greeting)
        for tool in ("pip", "uv"):
            python = self.make_venv(f"{tool}-again")
            code = self.install(tool, python, root, expected=REFUSED, state="another-machine")
            if code != REFUSED:
                raise DemoFailed(f"{tool} ended with {code}, and should have been refused with {REFUSED}")
        console.print("  [bold]Refused[/bold], and nothing was installed.")

    # -- the pieces ------------------------------------------------------------------------------------------------

    def wheelmark(self, *words: str) -> list[str]:
        """The command line of ours."""
        return [str(BIN / "wheelmark"), *words]

    def serving(self) -> Serving:
        """The index as a process, for the time of a `with` block."""
        command = [*self.wheelmark("serve"), "--data", str(self.data), "--port", str(self.port)]
        return Serving(command, self.environment, self.folder / "serve.log", f"{self.url}/readyz")

    def token(self) -> str:
        """A user with a token, as an administrator makes them."""
        make_user = self.wheelmark("admin", "user", "create", "ada", "--email", "ada@example.org", "--password-stdin")
        self.command([*make_user, "--data", str(self.data)], stdin="correct horse battery staple", quiet=True)
        make_token = self.wheelmark("admin", "token", "create", "--user", "ada", "--json", "--data", str(self.data))
        return str(json.loads(self.command(make_token, quiet=True))["token"])

    def build_greeting(self) -> Path:
        """A wheel, by a real build backend."""
        source = self.folder / "greeting"
        (source / "demo_greeting").mkdir(parents=True)
        (source / "pyproject.toml").write_text(PYPROJECT)
        (source / "demo_greeting" / "__init__.py").write_text(GREETING)
        # Small files the index keeps in memory, verified: the flipped byte of the last step would not be read.
        (source / "demo_greeting" / "ballast.bin").write_bytes(os.urandom(BALLAST_BYTES))
        self.command(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(self.folder / "dist")],
            cwd=source,
            quiet=True,
        )
        return next((self.folder / "dist").glob("demo_greeting-*.whl"))

    def build_trouble(self) -> Path:
        """A source distribution, packed by hand: its setup.py must not run even here."""
        path = self.folder / "dist" / "demo_trouble-1.0.tar.gz"
        members = {"PKG-INFO": TROUBLE_METADATA, "setup.py": TROUBLE_SETUP, "demo_trouble.py": "ANSWER = 42\n"}
        with tarfile.open(path, "w:gz") as archive:
            for name, text in members.items():
                member = tarfile.TarInfo(f"demo_trouble-1.0/{name}")
                member.size, member.mode, member.mtime = len(text.encode()), 0o644, int(time.time())
                archive.addfile(member, io.BytesIO(text.encode()))
        return path

    def wait_published(self, name: str) -> float:
        """Wait until a project is in the index; return how long it took."""
        began = time.monotonic()
        while status(f"{self.url}/simple/{name}/") != 200:
            if time.monotonic() - began > WAIT_SECONDS:
                raise DemoFailed(f"{name} was not published within {WAIT_SECONDS} s; see {self.folder / 'serve.log'}")
            time.sleep(0.05)
        return time.monotonic() - began

    def wait_held(self, filename: str) -> str:
        """Wait until a file is held; return the reason as the moderators see it."""
        ask = self.wheelmark("admin", "file", "list", "--state", "held", "--json", "--data", str(self.data))
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            for row in json.loads(self.command(ask, quiet=True)):
                if row["filename"] == filename:
                    return str(row["reason"])
            time.sleep(0.2)
        raise DemoFailed(f"{filename} was not held within {WAIT_SECONDS} s")

    def make_venv(self, name: str) -> Path:
        """An empty environment; gives its interpreter."""
        path = self.folder / f"venv-{name}"
        self.command([str(BIN / "uv"), "venv", "--quiet", "--seed", "--offline", str(path)], quiet=True, fail=False)
        if not (path / "bin" / "pip").exists():
            self.command([sys.executable, "-m", "venv", "--clear", str(path)], quiet=True)
        return path / "bin" / "python"

    def install(self, tool: str, python: Path, root: Path, *, expected: int = 0, state: str = "") -> int:
        """Install the greeting into an environment, through the verifying client; `state` is a memory of its own.

        A client that has verified the wheel before keeps it, and would install the right bytes without asking.
        """
        options = ["--index", f"{self.url}/simple/", "--root", str(root)]
        options += ["--state", str(self.folder / state)] if state else []
        if tool == "pip":
            words = ["pip", *options, "--python", str(python), "install", "--quiet", "demo-greeting"]
        else:
            words = ["uv", *options, "pip", "install", "--python", str(python), "demo-greeting"]
        self.show([Path(word).name if word.startswith(str(self.folder)) else word for word in ["wheelmark", *words]])
        done = subprocess.run(
            [*self.wheelmark(), *words],
            env=self.environment,
            cwd=self.folder,
            text=True,
            capture_output=True,
            check=False,
        )
        for line in (done.stdout + done.stderr).strip().splitlines()[-6:]:
            console.print(f"    {escape(line)}")
        if expected == 0 and done.returncode:
            raise DemoFailed(f"{tool} ended with {done.returncode}")
        return done.returncode

    def flip_byte(self, wheel: Path) -> None:
        """Change one byte of the wheel where the index keeps it."""
        for path in (self.data / "store").rglob("*"):
            if (
                path.is_file()
                and path.stat().st_size == wheel.stat().st_size
                and path.read_bytes() == wheel.read_bytes()
            ):
                body = bytearray(path.read_bytes())
                body[len(body) // 2] ^= 1
                path.chmod(0o600)
                path.write_bytes(bytes(body))
                console.print(f"  byte {len(body) // 2:,} of {len(body):,}", soft_wrap=True)
                return
        raise DemoFailed("the wheel was not found in the store")

    # -- the terminal ----------------------------------------------------------------------------------------------

    _count = 0

    def step(self, title: str) -> None:
        """Say what comes next."""
        self._count += 1
        console.print(f"\n[bold]{self._count}. {title}[/bold]")

    def show(self, command: Sequence[str]) -> None:
        """Print a command line as one would type it."""
        console.print(f"  [dim]$ {escape(shlex.join([Path(command[0]).name, *command[1:]]))}[/dim]", soft_wrap=True)

    def command(
        self,
        command: Sequence[str],
        *,
        extra: dict[str, str] | None = None,
        stdin: str | None = None,
        cwd: Path | None = None,
        quiet: bool = False,
        fail: bool = True,
    ) -> str:
        """Run a command, show it unless it is quiet, and give what it printed."""
        if not quiet:
            self.show([Path(word).name if word.startswith(str(self.folder)) else word for word in command])
        done = subprocess.run(
            command,
            env=self.environment | (extra or {}),
            cwd=cwd or self.folder,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode and fail:
            raise DemoFailed(f"{shlex.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        if not quiet:
            for line in done.stdout.strip().splitlines():
                console.print(f"    {escape(line)}")
        return done.stdout


class Serving:
    """`wheelmark serve` for the time of a `with` block."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path, ready_url: str) -> None:
        self._command, self._environment, self._log, self._ready_url = command, environment, log, ready_url

    def __enter__(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        until = time.monotonic() + WAIT_SECONDS
        while status(self._ready_url) != 200:
            if self._process.poll() is not None or time.monotonic() > until:
                raise DemoFailed(f"the index did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(url: str) -> bytes:
    """The body that an address answers."""
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310  (our own index on loopback)
        return bytes(response.read())


def status(url: str) -> int:
    """The status that an address answers; 0 if nobody does."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  (our own index on loopback)
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
