"""Attacks on names: what a name means, whose it is, and who else might answer for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.attack_suite.content import BOTH, lists, signed_page
from support.attack_suite.metadata import MIRROR
from support.attack_suite.model import Attack, Scene
from support.client import source_that_fetches
from support.hostile_mirror import HostileMirror, say, signed_anew
from support.repository import Answer, SignedRepository

ELSEWHERE = "another index, which has the name"
PRIVATE = "internal-tool"


def _another_index(scene: Scene, name: str) -> HostileMirror:
    """An index of the attacker's that has the name, served without signatures, as pip and uv would read it."""
    repository = SignedRepository()
    file = repository.add_wheel(name, "99.0")
    anchor = (
        f'<!DOCTYPE html><html><body><a href="/files/{file.sha256}/{file.filename}">{file.filename}</a></body></html>'
    )
    repository.objects[f"/simple/{name}/"] = anchor.encode()
    scene.elsewhere = HostileMirror(repository, identity=scene.identity)
    return scene.elsewhere


def _by_environment(scene: Scene) -> None:
    other = _another_index(scene, PRIVATE).index_url
    scene.environment = {
        "PIP_EXTRA_INDEX_URL": other,
        "PIP_FIND_LINKS": other,
        "UV_INDEX": other,
        "UV_FIND_LINKS": other,
    }
    scene.environment["UV_EXTRA_INDEX_URL"] = other


def _by_file(line: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        other = _another_index(scene, PRIVATE)
        text = line.format(index=other.index_url, origin=other.origin)
        (scene.directory / "requirements.txt").write_text(f"{text}\n{PRIVATE}\n")

    return arrange


def _pretend_it_exists(scene: Scene) -> None:
    repository = scene.repository
    file = repository.add_wheel(PRIVATE, "99.0")  # the bytes are there; nothing is published
    page = orjson.loads(repository.pages[PRIVATE])
    page["files"][0]["url"] = f"../../files/{file.sha256}/{file.filename}"
    scene.mirror.rules = [
        say(f"/simple/{PRIVATE}/", Answer(200, {"Content-Type": "application/json"}, orjson.dumps(page)))
    ]


def _forged_proof(scene: Scene) -> None:
    """The bin as the mirror would like it: with the private name in it, under the key of strangers."""
    repository = scene.repository
    path, stranger = repository.bin_path(PRIVATE), SignedRepository().signers["bin"]
    repository.add_wheel(PRIVATE, "99.0")
    page = repository.pages.pop(PRIVATE)
    sha256, where = hashlib.sha256(page).hexdigest(), f"simple/{PRIVATE}/index.json"
    repository.objects[f"/tuf/targets/simple/{PRIVATE}/{sha256}.index.json"] = page

    def change(bin_targets: Any) -> None:
        bin_targets.targets[where] = TargetFile(len(page), {"sha256": sha256}, where)

    scene.mirror.rules = [say(path, signed_anew(repository.objects[path], stranger, change=change))]


def _seems_absent(*, empty: bool) -> Callable[[Scene], None]:
    """The mirror answers for the bin of the private name with another of the same version, and another index has it."""

    def arrange(scene: Scene) -> None:
        scene.repository.add_wheel(PRIVATE, "1.0")
        scene.repository.publish()
        twin = scene.repository.twin_of_bin(PRIVATE, empty=empty)
        _by_environment(scene)
        scene.mirror.rules = [say(scene.repository.bin_path(PRIVATE), twin)]

    return arrange


def _withheld(scene: Scene) -> None:
    """The index has the private name; the mirror says that it has not, and another index offers it."""
    scene.repository.add_wheel(PRIVATE, "1.0")
    scene.repository.publish()
    scene.visit()
    _by_environment(scene)
    scene.mirror.rules = [say(f"/{PRIVATE}/", Answer(404)), say(r"/\d+\.bins-", Answer(404))]


def _build_that_fetches(scene: Scene) -> None:
    """A source distribution whose build asks another server for something."""
    scene.elsewhere = HostileMirror(SignedRepository(), identity=scene.identity)
    scene.repository.add_file("demo-3.0.tar.gz", source_that_fetches("demo", "3.0", f"{scene.elsewhere.origin}/two"))
    scene.repository.publish()


def _removed_file(scene: Scene) -> None:
    """A requirements file, made while `demo` 1.0 was listed, names it by its address; its bytes are still there."""
    [path] = [path for path in scene.repository.objects if path.endswith("demo-1.0-py3-none-any.whl")]
    scene.publish_second_version()
    scene.repository.page_files["demo"].pop("demo-1.0-py3-none-any.whl")
    scene.repository.render("demo")
    scene.repository.publish()
    (scene.directory / "requirements.txt").write_text(f"demo @ {scene.mirror.origin}{path}\n")


NAMES = (
    *(
        Attack(
            name=f"names: {name}",
            attacker=BOTH,
            arrange=signed_page(change),
            advances=("timestamp.json", "snapshot.json", "bins-*.json"),
            outcome=f"refused: {outcome}",
            says=says,
        )
        for name, change, outcome, says in (
            (
                "page in capitals",
                lambda page: page.update(name="Demo"),
                "not the normalized name",
                "'demo', got 'Demo'",
            ),
            (
                "page with a letter that looks the same",
                lambda page: page.update(name="d\u0435mo"),
                "not the normalized name",
                "expected 'demo', got",
            ),
            (
                "file with a letter that looks the same",
                lists(filename="d\u0435mo-1.0-py3-none-any.whl"),
                "not a file name of this project",
                "filename: expected",
            ),
            (
                "file that normalizes to a neighbour",
                lists(filename="de.mo-1.0-py3-none-any.whl"),
                "a file name must parse to the project of the page",
                "filename: expected",
            ),
            (
                "file with a way out",
                lists(filename="../../demo-1.0-py3-none-any.whl"),
                "not a file name",
                "filename: expected",
            ),
        )
    ),
    Attack(
        name="unknown project: other indexes in the environment",
        attacker=ELSEWHERE,
        arrange=_by_environment,
        needs_fence=True,
        words=(PRIVATE,),
        advances=("bins-*.json",),
        outcome="the name is proven absent: the installer fails, the other index is not asked",
        says=None,
    ),
    Attack(
        name="unknown project: an index in a requirements file",
        attacker=ELSEWHERE,
        arrange=_by_file("--extra-index-url {index}"),
        needs_fence=True,
        words=("-r", "{directory}/requirements.txt"),
        advances=("bins-*.json",),
        outcome="refused: the way to any other server is closed",
        says="expected requests to the verified index only",
    ),
    Attack(
        name="unknown project: links in a requirements file",
        attacker=ELSEWHERE,
        arrange=_by_file("--find-links {origin}/simple/internal-tool/"),
        needs_fence=True,
        words=("-r", "{directory}/requirements.txt"),
        advances=("bins-*.json",),
        outcome="refused: the way to any other server is closed",
        says="expected requests to the verified index only",
    ),
    Attack(
        name="unknown project: the mirror has a page",
        attacker=MIRROR,
        arrange=_pretend_it_exists,
        words=(PRIVATE,),
        outcome="the name is proven absent: the mirror's page is never asked for",
        advances=("bins-*.json",),
        says=None,
    ),
    Attack(
        name="unknown project: a bin of strangers",
        attacker=MIRROR,
        arrange=_forged_proof,
        words=(PRIVATE,),
        newcomer=True,
        advances=("timestamp.json", "snapshot.json", "targets.json", "bins.json"),
        outcome="refused: the bin is not signed by its key",
        says=r"bins-\w+ was signed by 0/1",
    ),
    Attack(
        name="unknown project: known here, withheld, and offered elsewhere",
        attacker=f"the mirror, and {ELSEWHERE}",
        arrange=_withheld,
        needs_fence=True,
        words=(PRIVATE,),
        outcome="ends as unavailable: what is withheld is not absent, the other index is not asked",
        says="expected its metadata|status 200, got 404",
        unavailable=True,
        advances=("bins-*.json",),
    ),
    *(
        Attack(
            name=f"unknown project: known here, and {bin_of} in the place of its own",
            attacker=f"the mirror, and {ELSEWHERE}",
            arrange=_seems_absent(empty=empty),
            needs_fence=True,
            words=(PRIVATE,),
            advances=("timestamp.json", "snapshot.json"),
            outcome="refused: each bin says in its signed part which it is, so another proves nothing",
            says="expected this bin, got one that calls itself",
        )
        for bin_of, empty in (("another bin", False), ("an empty bin", True))
    ),
    Attack(
        name="build that fetches",
        attacker="the author of a source distribution",
        arrange=_build_that_fetches,
        needs_fence=True,
        words=("demo==3.0",),
        advances=("timestamp.json", "snapshot.json", "bins-*.json"),
        outcome="refused: the way to any other server is closed",
        says="expected requests to the verified index only",
    ),
    Attack(
        name="removed file: asked for by its address, as from a lock file",
        attacker="nobody; or the mirror, which has kept it",
        arrange=_removed_file,
        needs_fence=True,
        words=("-r", "{directory}/requirements.txt"),
        advances=("timestamp.json", "snapshot.json", "bins-*.json"),
        outcome="refused: its project's page no longer lists it",
        says="expected a file that its project's verified page lists",
    ),
)
