"""What a row of the table is, the scene in which it plays, and what every row must end in."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from tuf.api.metadata import Metadata

from support.client import installed_versions, run_wheelmark
from support.hostile_mirror import HostileMirror
from support.repository import SignedRepository
from wheelmark.client import Verifier

PATIENCE_SECONDS = 10.0  # WHEELMARK_TIMEOUT where time is not what the row is about
HURRY_SECONDS = 0.5  # and where it is
MAX_RUN_SECONDS = 60.0  # by far more than any row takes, and far less than any wait that has no bound
FIRST_STATE = ("root.json", "root_history/1.root.json")  # what a newcomer writes before anything has been verified


@dataclass
class Scene:
    """A user with one installer and an empty environment, an index that has `demo` and `part`, a mirror between."""

    tool: str
    repository: SignedRepository
    mirror: HostileMirror
    directory: Path
    interpreter: Path
    environment: dict[str, str] = field(default_factory=dict)
    elsewhere: HostileMirror | None = None  # another index of the attacker's, which nobody must ask

    @property
    def memory(self) -> Path:
        """Where the command keeps what it remembers of this index."""
        digest = hashlib.sha256(self.mirror.index_url.encode()).hexdigest()[:32]
        return self.directory / "state" / "indexes" / digest

    def visit(self) -> None:
        """The user has been here before: what is published now is the trusted state."""
        verifier = Verifier(self.mirror.index_url, self.repository.root_bytes, self.memory)
        assert verifier.page("demo") is not None
        assert verifier.page("part") is not None
        for path in self.memory.iterdir():  # the trusted state, and nothing that need not be asked for again
            if path.name != "metadata":
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def install(self, *words: str, patience: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
        """`wheelmark pip|uv … install`, as a user would type it."""
        root = self.directory / "root.json"
        root.write_bytes(self.repository.root_bytes)
        own = ["--index", self.mirror.index_url, "--root", str(root)]
        python = ["--python", str(self.interpreter)]
        command = [*python, "install"] if self.tool == "pip" else ["pip", "install", *python]
        environment = {"WHEELMARK_TIMEOUT": str(patience), **self.environment}
        state = self.directory / "state"
        run = run_wheelmark(self.tool, *own, *command, *words, state=state, cwd=None, **environment)
        memories = list((self.directory / "state" / "indexes").iterdir())
        assert memories == [self.memory], "the command remembers elsewhere than `visit` does"
        return run

    def trusted(self) -> dict[str, bytes]:
        """The trusted state: every file of the metadata directory."""
        folder = self.memory / "metadata"
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    def versions(self) -> dict[str, str]:
        """What can be imported, of what the index has."""
        return installed_versions(self.interpreter, "demo", "part")

    def publish_page(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Sign and publish a page after `change`, with both online keys: whatever it says is then signed."""
        page = orjson.loads(self.repository.pages[name])
        change(page)
        self.repository.pages[name] = orjson.dumps(page)
        self.repository.publish()

    def publish_second_version(self) -> dict[str, bytes]:
        """`demo` 2.0 is published; gives what was there before."""
        old = dict(self.repository.objects)
        self.repository.add_wheel("demo", "2.0", requires=["part>=1"])
        self.repository.publish()
        return old


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One row. `arrange` is called after the user's first visit, unless the row is about a newcomer."""

    name: str
    attacker: str  # what the attacker has in hands
    arrange: Callable[[Scene], None]
    outcome: str  # for the reader: what the client does, and why
    says: str | None  # expression found in the one line; None: the installer fails by itself, and we say nothing
    unavailable: bool = False  # exit status 1 and "unavailable", where nothing wrong came but something did not come
    newcomer: bool = False  # has the right root and nothing else
    advances: tuple[str, ...] = ()  # files of the trusted state that go forward, by what the attacker could truly sign
    words: tuple[str, ...] = ("demo",)
    patience: float = PATIENCE_SECONDS

    def __str__(self) -> str:
        return self.name.replace(": ", "-").replace(" ", "_")


def run_attack(attack: Attack, scene: Scene) -> None:
    """Nothing is installed, trusted state stays, one right line and exit status, in bounded time."""
    if not attack.newcomer:
        scene.visit()
    attack.arrange(scene)
    trusted, installed = scene.trusted(), files_of(scene.interpreter)
    started = time.monotonic()
    words = [word.format(directory=scene.directory) for word in attack.words]
    with scene.elsewhere or nullcontext():
        run = scene.install(*words, patience=attack.patience)
    elapsed = time.monotonic() - started
    assert files_of(scene.interpreter) == installed
    _assert_said(attack, run)
    _assert_stayed(attack, trusted, scene.trusted())
    assert elapsed < MAX_RUN_SECONDS
    assert scene.elsewhere is None or scene.elsewhere.requests == []


def _assert_said(attack: Attack, run: subprocess.CompletedProcess[str]) -> None:
    lines = [line for line in run.stderr.splitlines() if line.startswith("wheelmark: ")]
    if attack.says is None:
        assert (run.returncode, lines) == (1, []), run
        return
    kind = "unavailable" if attack.unavailable else "refused"
    assert (run.returncode, len(lines)) == (1 if attack.unavailable else 3, 1), run
    assert lines[0].startswith(f"wheelmark: {kind}: "), lines[0]
    assert re.search(attack.says, lines[0]), lines[0]
    assert lines[0].isprintable()
    assert not re.search(r'File "[^"]*/wheelmark/', run.stderr), run.stderr  # a traceback of ours


def _assert_stayed(attack: Attack, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    allowed = attack.advances + (FIRST_STATE if attack.newcomer else ())
    for name in before.keys() | after.keys():
        if before.get(name) == after.get(name):
            continue
        assert any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed), f"trusted state changed: {name}"
        if name in before:
            assert version_of(after[name]) > version_of(before[name])


def files_of(interpreter: Path) -> set[str]:
    """Every file in an environment but compiled ones, and the lock that uv leaves."""
    environment = interpreter.parent.parent
    files = (path for path in environment.rglob("*") if not path.is_dir() and path.name != ".lock")
    return {str(path.relative_to(environment)) for path in files if "__pycache__" not in path.parts}


def version_of(raw: bytes) -> int:
    """The version of a metadata file."""
    metadata: Metadata[Any] = Metadata.from_bytes(raw)
    return int(metadata.signed.version)


@contextmanager
def a_scene(tool: str, directory: Path, interpreter: Path) -> Iterator[Scene]:
    """`demo` 1.0, which needs `part`, and `part` 1.5 are published; the mirror is still honest."""
    repository = SignedRepository()
    repository.add_wheel("demo", requires=["part>=1"], filler=200_000)
    repository.add_wheel("part", "1.5")
    repository.publish()
    with HostileMirror(repository) as mirror:
        assert isinstance(mirror, HostileMirror)
        yield Scene(tool, repository, mirror, directory, interpreter)
