"""What a row of the table is, the scene in which it plays, and what every row must end in."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
from tuf.api.metadata import Metadata

from support.attack_suite.ways import Run, RunningProxy, Way, install, running_proxy
from support.client import installed_versions
from support.hostile_mirror import HostileMirror
from support.repository import SignedRepository
from support.tls import Identity
from wheelmark.client import Verifier
from wheelmark.client.service import PROBE_NAME

PATIENCE_SECONDS = 10.0  # WHEELMARK_TIMEOUT where time is not what the row is about
HURRY_SECONDS = 0.5  # and where it is
MAX_RUN_SECONDS = 60.0  # by far more than any row takes, and far less than any wait that has no bound
FIRST_STATE = ("root.json", "root_history/1.root.json")  # what a newcomer writes before anything has been verified


@dataclass
class Scene:
    """A user with one installer and an empty environment, an index that has `demo` and `part`, a mirror between."""

    way: Way
    repository: SignedRepository
    mirror: HostileMirror
    directory: Path
    interpreter: Path
    identity: Identity | None = None  # of the https servers, where the way has any
    environment: dict[str, str] = field(default_factory=dict)
    elsewhere: HostileMirror | None = None  # another index of the attacker's, which nobody must ask

    @property
    def memory(self) -> Path:
        """Where the command keeps what it remembers of this index."""
        digest = hashlib.sha256(self.mirror.index_url.encode()).hexdigest()[:32]
        return self.directory / "state" / "indexes" / digest

    def visit(self) -> None:
        """The user has been here before: what is published now is the trusted state."""
        with patch.dict(os.environ, self._trusting()):
            verifier = Verifier(self.mirror.index_url, self.repository.root_bytes, self.memory)
            if not self.way.is_fence:  # such a proxy looks at the index when it starts
                assert verifier.page(PROBE_NAME) is None
            assert verifier.page("demo") is not None
            assert verifier.page("part") is not None
        for path in self.memory.iterdir():  # the trusted state, and nothing that need not be asked for again
            if path.name != "metadata":
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def install(self, *words: str, patience: float = PATIENCE_SECONDS) -> Run:
        """As a user would type it, this way."""
        state = self.directory / "state"
        environment = self.own_environment(patience)
        run = install(self.way, self.own_options(), self.interpreter, words, state=state, environment=environment)
        memories = list((self.directory / "state" / "indexes").iterdir())
        assert memories == [self.memory], "the command remembers elsewhere than `visit` does"
        return run

    def proxy(self, patience: float = PATIENCE_SECONDS) -> AbstractContextManager[RunningProxy]:
        """A `wheelmark proxy` that stays, for as long as the block runs."""
        state = self.directory / "state"
        return running_proxy(self.own_options(), state=state, environment=self.own_environment(patience))

    def own_options(self) -> list[str]:
        """Index and root, as our commands take them."""
        root = self.directory / "root.json"
        root.write_bytes(self.repository.root_bytes)
        return ["--index", self.mirror.index_url, "--root", str(root)]

    def own_environment(self, patience: float) -> dict[str, str]:
        """The variables with which our commands are started."""
        return {"WHEELMARK_TIMEOUT": str(patience), **self._trusting(), **self.environment}

    def _trusting(self) -> dict[str, str]:
        return {} if self.identity is None else self.identity.trusting

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
    needs_fence: bool = False  # is about sources that the user's own settings name, beside a proxy that stays
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
    assert_said(attack, run, scene.way)
    assert_stayed(attack, trusted, scene)
    assert elapsed < MAX_RUN_SECONDS
    assert scene.elsewhere is None or scene.elsewhere.requests == []


def assert_said(attack: Attack, run: Run, way: Way) -> None:
    """One line, of the right kind and with the right words; and the exit status."""
    if attack.says is None:
        assert (run.status, run.lines) == (1, ()), run
        return
    kind = "unavailable" if attack.unavailable else "refused"
    assert run.status == (1 if attack.unavailable else 3), run
    # A proxy that stays says it for each thing that it is asked for.
    assert len(run.lines) == 1 or (run.lines and not way.is_fence), run
    for line in run.lines:
        assert line.startswith(f"wheelmark: {kind}: "), line
        assert line.isprintable()
    assert re.search(attack.says, run.lines[0]), run.lines[0]
    assert not re.search(r'File "[^"]*/wheelmark/', run.output), run.output  # a traceback of ours


def assert_stayed(attack: Attack, before: dict[str, bytes], scene: Scene) -> None:
    """The trusted state is as before, but for what the row says may go forward."""
    after = scene.trusted()
    allowed = attack.advances + (FIRST_STATE if attack.newcomer else ())
    for name in before.keys() | after.keys():
        if before.get(name) == after.get(name):
            continue
        if attack.newcomer and not scene.way.is_fence and after[name] in scene.repository.objects.values():
            continue  # the first look of a proxy that stays has verified more than the installer asked for
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
def a_scene(way: Way, directory: Path, interpreter: Path) -> Iterator[Scene]:
    """`demo` 1.0, which needs `part`, and `part` 1.5 are published; the mirror is still honest."""
    repository = SignedRepository()
    repository.add_wheel("demo", requires=["part>=1"], filler=200_000)
    repository.add_wheel("part", "1.5")
    repository.publish()
    identity = Identity(directory / "tls") if way.is_https else None
    with HostileMirror(repository, identity=identity) as mirror:
        assert isinstance(mirror, HostileMirror)
        yield Scene(way, repository, mirror, directory, interpreter, identity)
