"""Real pip and real uv behind the verifying proxy, against an index that lies: what is wrong is never installed.

Every refusal ends with exit status 3 and one line on standard error, and leaves the environment as it was.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from support.client import installed_versions, new_environment, run_wheelmark
from support.repository import Answer, Hostile, IndexServer, SignedRepository, endless, flipped


@dataclass
class Victim:
    """A user with one of the installers, an empty environment, and the true root of the index."""

    tool: str
    repository: SignedRepository
    server: IndexServer
    directory: Path
    interpreter: Path

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        root = self.directory / "root.json"
        root.write_bytes(self.repository.root_bytes)
        own = ["--index", self.server.index_url, "--root", str(root)]
        python = ["--python", str(self.interpreter)]
        words = [*python, "install"] if self.tool == "pip" else ["pip", "install", *python]
        return run_wheelmark(self.tool, *own, *words, *arguments, state=self.directory / "state")

    def installed(self) -> dict[str, str]:
        return installed_versions(self.interpreter, "demo", "part")

    def refused(self, *arguments: str) -> str:
        """Install, see that it was refused and nothing installed; the line that says why."""
        run = self.install(*arguments or ("demo",))
        lines = [line for line in run.stderr.splitlines() if line.startswith("wheelmark: ")]
        assert (run.returncode, len(lines)) == (3, 1), run
        assert lines[0].startswith("wheelmark: refused: ")
        assert self.installed() == {}
        return lines[0]


@pytest.fixture(params=["pip", "uv"])
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def victim(tool: str, tmp_path: Path) -> Iterator[Victim]:
    repository = SignedRepository()
    repository.add_wheel("demo", requires=["part>=1"], filler=300_000)
    repository.add_wheel("part", "1.5")
    repository.publish()
    with IndexServer(repository) as server:
        yield Victim(tool, repository, server, tmp_path, new_environment(tmp_path / "venv"))


def tampering(part: str, answer: Answer | None = None) -> Hostile:
    """One flipped bit, or another answer, wherever the expression `part` is found in the path."""
    return lambda path, true: None if true is None or not re.search(part, path) else (answer or flipped(true))


def test_project_and_its_dependency_are_installed_from_the_verified_index(victim: Victim) -> None:
    run = victim.install("demo")
    assert run.returncode == 0, run
    assert "wheelmark:" not in run.stderr
    assert victim.installed() == {"demo": "1.0", "part": "1.5"}


@pytest.mark.parametrize("part", [r"\.whl$", r"\.metadata$", "index.json", "timestamp.json"])
def test_flipped_bit_is_refused(victim: Victim, part: str) -> None:
    victim.server.hostile = tampering(part)
    assert "expected" in victim.refused()


def test_flipped_bit_in_a_dependency_leaves_nothing_installed(victim: Victim) -> None:
    victim.server.hostile = tampering(r"part-.*\.whl$")
    assert "part-1.5" in victim.refused()


def test_page_of_another_project_is_refused(victim: Victim) -> None:
    victim.repository.pages["demo"] = victim.repository.pages["part"]
    victim.repository.publish()
    assert "expected 'demo', got 'part'" in victim.refused()


def test_expired_timestamp_is_refused(victim: Victim) -> None:
    victim.repository.expires_in["timestamp"] = timedelta(seconds=-1)
    victim.repository.publish()
    assert "expired" in victim.refused()


def test_rollback_is_refused_in_a_later_run(victim: Victim) -> None:
    old = dict(victim.repository.objects)
    victim.repository.add_wheel("other")
    victim.repository.publish()
    assert victim.install("--dry-run", "other").returncode == 0
    victim.server.objects = old
    assert "expected" in victim.refused()


def test_endless_file_is_refused(victim: Victim) -> None:
    victim.server.hostile = tampering(r"demo-.*\.whl$", Answer(200, {}, endless()))
    assert "more" in victim.refused()


def test_project_that_is_not_there_is_the_installers_own_failure(victim: Victim) -> None:
    run = victim.install("demo-no-such")
    assert run.returncode == 1, run
    assert "wheelmark:" not in run.stderr
    assert victim.installed() == {}


def test_withheld_core_metadata_ends_the_run_and_installs_nothing(victim: Victim) -> None:
    victim.server.hostile = tampering(r"\.metadata$", Answer(404))
    run = victim.install("demo")
    assert run.returncode == 1, run
    assert "wheelmark: unavailable: " in run.stderr
    assert victim.installed() == {}


def test_withheld_page_of_a_dependency_does_not_steer_the_resolver(victim: Victim) -> None:
    victim.repository.add_wheel("demo", "0.9")  # needs nothing: what a resolver would go back to
    victim.repository.publish()
    victim.server.hostile = tampering("/simple/part/", Answer(404))
    run = victim.install("demo")
    assert run.returncode == 1, run
    assert "wheelmark: unavailable: " in run.stderr
    assert victim.installed() == {}


@pytest.mark.parametrize(
    "line",
    [
        "--extra-index-url https://elsewhere.example.invalid/simple/",
        "--find-links http://127.0.0.1:9/",  # this machine is no exception
        "demo @ https://elsewhere.example.invalid/demo-1.0-py3-none-any.whl",
    ],
)
def test_requirements_file_cannot_bring_another_source(victim: Victim, line: str) -> None:
    requirements = victim.directory / "requirements.txt"
    requirements.write_text(f"{line}\n" if line.startswith("demo") else f"{line}\ndemo\n")
    assert "verified index only" in victim.refused("-r", str(requirements))


def test_other_source_on_the_command_line_is_refused_before_anything_runs(victim: Victim) -> None:
    assert "on the command line" in victim.refused("--extra-index-url", "https://elsewhere.example.invalid/", "demo")
    assert victim.server.requests == []


def test_first_contact_without_a_person_is_refused_and_says_what_to_do(victim: Victim) -> None:
    own = ["--index", victim.server.index_url]
    state = victim.directory / "state"
    words = ["download", "demo"] if victim.tool == "pip" else ["pip", "compile", "-"]
    run = run_wheelmark(victim.tool, *own, *words, state=state)
    assert run.returncode == 3
    assert "--root-fingerprint" in run.stderr
    run = run_wheelmark(victim.tool, *own, "--root-fingerprint", "00" * 32, *words, state=state)
    assert run.returncode == 3
    assert "expected the root with sha256 0000" in run.stderr


def test_first_use_is_remembered_and_another_root_then_refused(victim: Victim) -> None:
    own = ["--index", victim.server.index_url]
    state = victim.directory / "state"
    python = ["--python", str(victim.interpreter)]
    words = (
        [*python, "install", "--dry-run", "demo"]
        if victim.tool == "pip"
        else ["pip", "install", *python, "--dry-run", "demo"]
    )
    assert run_wheelmark(victim.tool, *own, "--trust-on-first-use", *words, state=state).returncode == 0
    assert run_wheelmark(victim.tool, *own, *words, state=state).returncode == 0
    usurper = SignedRepository()
    usurper.add_wheel("demo")
    usurper.publish()
    victim.server.objects = usurper.objects
    run = run_wheelmark(victim.tool, *own, *words, state=state)
    assert run.returncode == 3, run
    assert "wheelmark: refused: " in run.stderr


def test_what_was_installed_once_is_installed_again_while_the_index_is_away(victim: Victim) -> None:
    assert victim.install("demo").returncode == 0
    victim.server.hostile = lambda *_: Answer(503)
    victim.interpreter = new_environment(victim.directory / "second")
    run = victim.install("demo")
    assert run.returncode == 0, run
    assert victim.installed() == {"demo": "1.0", "part": "1.5"}
    assert len(re.findall(r"^wheelmark: notice: the index does not answer; .* is good until ", run.stderr, re.M)) == 1


def test_lie_is_refused_though_the_memory_would_do(victim: Victim) -> None:
    assert victim.install("part").returncode == 0
    victim.server.hostile = tampering("timestamp")
    victim.interpreter = new_environment(victim.directory / "second")
    assert "expected trusted metadata" in victim.refused("part")
