"""Real pip and real uv behind a mirror: what must succeed all the same, and what the standard cannot prevent."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools
import pytest
from filelock import FileLock
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so

from support.attack_suite import METADATA
from support.attack_suite.model import Scene, a_scene
from support.attack_suite.ways import Run, Way
from support.client import a_wheel, new_environment
from support.hostile_mirror import flip, once_asked_for, say, signed_anew
from support.repository import Answer, SignedRepository
from support.server import eventually
from wheelmark.client import Verifier

WAITED_SECONDS = 1.5
BOTH_INSTALLED = {"demo": "1.0", "part": "1.5"}


@pytest.fixture
def scene(way: Way, tmp_path: Path) -> Iterator[Scene]:
    """As for the attacks, with an environment of its own: here something is installed."""
    with a_scene(way, tmp_path, new_environment(tmp_path / "venv")) as made:
        yield made


def installs(scene: Scene, *words: str, versions: dict[str, str] | None = None) -> None:
    run = scene.install(*words or ("demo",))
    assert run.status == 0, run
    assert "wheelmark:" not in run.output
    assert scene.versions() == (versions or BOTH_INSTALLED)


def refuses(scene: Scene) -> str:
    run = scene.install("demo")
    assert run.status == 3, run
    assert scene.versions() == {}
    return run.output


def test_key_rotation_in_mid_flight_is_followed(scene: Scene) -> None:
    def rotate() -> None:
        before = set(scene.repository.objects)
        scene.repository.rotate_key("timestamp")
        scene.repository.rotate_key("snapshot")
        scene.repository.add_wheel("part", "1.6")
        scene.repository.publish()
        for path in before:  # and what the old snapshot named is collected at once
            if ".bins-" in path and path not in {scene.repository.bin_path("demo"), scene.repository.bin_path("part")}:
                del scene.repository.objects[path]

    scene.mirror.rules = [once_asked_for(r"demo-.*\.metadata$", rotate)]
    installs(scene, versions={"demo": "1.0", "part": "1.6"})


def test_project_published_again_during_the_install_is_installed(scene: Scene) -> None:
    def publish() -> None:
        before = [path for path in scene.repository.objects if "/simple/part/" in path]
        scene.repository.add_wheel("part", "1.6")
        scene.repository.publish()
        for path in before:
            del scene.repository.objects[path]

    scene.visit()
    scene.mirror.rules = [once_asked_for(r"demo-.*\.metadata$", publish)]
    installs(scene, versions={"demo": "1.0", "part": "1.6"})


def test_mirror_that_was_down_is_used_again_and_nothing_was_forgotten(scene: Scene) -> None:
    scene.visit()
    trusted = scene.trusted()
    with scene.mirror.away():
        run = scene.install("demo")
    assert run.status == 1, run
    assert "wheelmark: unavailable: " in run.output
    assert (scene.versions(), scene.trusted()) == ({}, trusted)
    installs(scene)


@pytest.mark.parametrize("where", ["/timestamp.json", "index.json", r"\.whl$"])
def test_mirror_that_stumbles_once_is_asked_again(scene: Scene, where: str) -> None:
    scene.mirror.rules = [say(where, Answer(503), times=1), say(where, Answer(raw=True), times=1)]
    installs(scene)
    assert [rule.used for rule in scene.mirror.rules] == [1, 1]


def test_lying_mirror_that_is_replaced_by_an_honest_one_leaves_no_trace(scene: Scene) -> None:
    scene.mirror.rules = [flip(r"\.whl$")]
    refuses(scene)
    scene.mirror.rules = []
    installs(scene)


def test_fifty_roots_are_walked(scene: Scene) -> None:
    for _ in range(50):
        scene.repository.rotate_key("timestamp")
    scene.repository.publish()
    installs(scene)


def test_replaced_root_key_is_followed(scene: Scene) -> None:
    old = scene.repository.signers["root"]
    scene.repository.root.revoke_key(old.public_key.keyid, "root")
    scene.repository.signers["root"] = CryptoSigner.generate_ed25519()
    scene.repository.root.add_key(scene.repository.signers["root"].public_key, "root")
    scene.repository.publish_root(also_signed_by=[old])
    scene.repository.publish()
    installs(scene)


def test_fast_forward_ends_with_a_new_timestamp_key(scene: Scene) -> None:
    attack = next(attack for attack in METADATA if attack.name == "fast-forward: with the timestamp key")
    scene.visit()
    attack.arrange(scene)
    refuses(scene)
    scene.mirror.rules = []
    scene.repository.publish()
    assert "New timestamp version" in refuses(scene)
    scene.repository.rotate_key("timestamp")
    scene.repository.rotate_key("snapshot")
    scene.repository.publish()
    installs(scene)


def test_two_signatures_of_two_are_enough(scene: Scene) -> None:
    scene.repository.require_two("timestamp")
    scene.repository.require_two("root")
    scene.repository.publish()
    installs(scene)


@pytest.mark.parametrize("word", ["DEMO", "demo[nothing]", "Demo==1.0"])
def test_name_in_another_spelling_is_the_same_project(scene: Scene, word: str) -> None:
    installs(scene, word)


def test_file_in_another_spelling_is_of_the_same_project(scene: Scene) -> None:
    [path] = [path for path in scene.repository.objects if path.endswith("part-1.5-py3-none-any.whl")]
    scene.repository.page_files["part"].clear()
    scene.repository.add_file("Part-1.5-py3-none-any.whl", scene.repository.objects[path])
    scene.repository.publish()
    installs(scene)


def test_true_yank_reaches_the_installer(scene: Scene) -> None:
    scene.repository.add_wheel("part", "1.6")
    scene.publish_page("part", lambda page: page["files"][1].update(yanked="broken"))
    installs(scene)


def test_true_quarantine_reaches_the_installer(scene: Scene) -> None:
    def quarantine(page: dict[str, Any]) -> None:
        page.update({"project-status": {"status": "quarantined", "reason": "malware"}, "files": []})

    scene.publish_page("part", quarantine)
    run = scene.install("demo")
    assert run.status == 1, run
    assert "wheelmark:" not in run.output
    assert scene.versions() == {}


def test_wrong_delta_costs_bytes_and_nothing_else(scene: Scene) -> None:
    scene.visit()
    scene.publish_second_version()
    scene.mirror.makes_deltas = True
    scene.mirror.rules = [flip("/tuf/deltas/")]
    installs(scene, versions={"demo": "2.0", "part": "1.5"})


def test_wrong_delta_before_a_wrong_file_is_refused(scene: Scene) -> None:
    scene.visit()
    scene.publish_second_version()
    scene.mirror.makes_deltas = True
    scene.mirror.rules = [flip("/tuf/deltas/"), flip(r"/3\.snapshot\.json")]
    refuses(scene)


def test_two_installs_at_once_share_one_trusted_state(scene: Scene, tmp_path: Path) -> None:
    other = replace(scene, interpreter=new_environment(tmp_path / "venv2"))
    runs: list[Run] = []
    threads = [threading.Thread(target=lambda one=one: runs.append(one.install("demo"))) for one in (scene, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.status for run in runs] == [0, 0], runs
    assert scene.versions() == other.versions() == BOTH_INSTALLED


def test_file_that_was_changed_in_the_cache_is_not_believed(scene: Scene, tmp_path: Path) -> None:
    installs(scene)
    [kept] = [path for path in scene.memory.glob("content/*/*") if path.stat().st_size > 100_000]
    other = a_wheel("demo", "1.0", requires=["part>=0"], filler=200_000)
    assert len(other) == kept.stat().st_size
    kept.write_bytes(other)
    again = replace(scene, interpreter=new_environment(tmp_path / "venv2"))
    installs(again)
    [metadata] = (tmp_path / "venv2").rglob("demo-1.0.dist-info/METADATA")
    assert "part>=1" in metadata.read_text()


def test_memory_that_strangers_wrote_is_not_believed(scene: Scene) -> None:
    usurper = SignedRepository()
    usurper.add_wheel("demo", "9.9")
    usurper.publish()
    scene.visit()
    for path, raw in usurper.objects.items():
        name = path.rpartition("/")[2]
        role = name.partition(".")[2] if name[0].isdigit() else name
        if (held := scene.memory / "metadata" / role).exists():
            held.write_bytes(raw)
    (scene.memory / "metadata" / "root_history" / "1.root.json").write_bytes(usurper.root_bytes)
    installs(scene)


def test_trusted_state_that_another_process_has_is_waited_for(scene: Scene) -> None:
    scene.visit()
    [lock] = scene.directory.glob("state/indexes/*/metadata/.lock")
    runs: list[Run] = []
    waiting = threading.Thread(target=lambda: runs.append(scene.install("demo")))
    scene.mirror.requests.clear()
    with FileLock(lock):
        waiting.start()
        since: list[float] = []

        def has_waited() -> bool:
            if not since and installer_is_connected():
                since.append(time.monotonic())
            return bool(runs or scene.mirror.requests or (since and time.monotonic() - since[0] > WAITED_SECONDS))

        eventually(has_waited, seconds=60, what="an installer that waits for its answer")
        assert (runs, scene.mirror.requests) == ([], [])
    waiting.join()
    assert runs[0].status == 0, runs
    assert scene.versions() == BOTH_INSTALLED


def installer_is_connected() -> bool:
    """True when a child of a child of ours holds a connection: the installer has asked the proxy for something."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.parent() != psutil.Process() and process.net_connections("tcp4"):
                return True
    return False


@pytest.mark.parametrize("seen_before", [False, True], ids=["newcomer", "regular"])
def test_known_limit_thief_of_the_bins_key_on_the_way_makes_two_bins_of_one_version(
    tmp_path: Path, seen_before: bool
) -> None:
    # The snapshot lists bins by version only (`wheelmark.trust.metadata.snapshot_bytes` says why). So online key 1 is
    # enough for whoever also sits on the way, against clients that have not seen that bin. The threat model says so.
    interpreter = Path(sys.executable)
    with a_scene(Way.UV, tmp_path, interpreter) as scene:
        if seen_before:
            scene.visit()
        repository = scene.repository
        page = repository.pages["part"].replace(b'"_last-serial":1', b'"_last-serial":2')
        repository.objects[f"/tuf/targets/simple/part/{_sha256(page)}.index.json"] = page

        def change(bin_targets: Any) -> None:
            target = bin_targets.targets["simple/part/index.json"]
            target.hashes, target.length = {"sha256": _sha256(page)}, len(page)

        path = repository.bin_path("part")
        forged = signed_anew(repository.objects[path], repository.signers["bin"], change=change)
        scene.mirror.rules = [say(path, forged)]
        found = Verifier(scene.mirror.index_url, repository.root_bytes, scene.memory).page("part")
        assert found is not None
        assert found.serial == (1 if seen_before else 2)


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
