"""Attacks on what is inside: other software, other dependencies, stripped warnings, and pages that bind nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from support.attack_suite.metadata import HASH, MIRROR
from support.attack_suite.model import Attack, Scene
from support.attack_suite.transport import CORE_METADATA, FILE, PAGE
from support.client import a_wheel, core_metadata_of
from support.hostile_mirror import Ask, Rule, do, flip, say
from support.repository import Answer

BOTH = "both online keys: what they sign is published"

PAGE_OF_PART = "/simple/part/"

Change = Callable[[dict[str, Any]], None]


def _file(where: str, content: Callable[[Scene], bytes]) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        scene.mirror.rules = [say(where, content(scene))]

    return arrange


def _object(scene: Scene, ending: str) -> bytes:
    return next(raw for path, raw in scene.repository.objects.items() if path.endswith(ending))


def _longer_wheel(scene: Scene) -> bytes:
    return a_wheel("demo", "1.0", requires=["part>=1"], filler=200_032)


def _wheel_of_same_length(_: Scene) -> bytes:
    # `requires` is as long as the true one, and so is everything else: only the hash can tell.
    return a_wheel("demo", "1.0", requires=["part>=0"], filler=200_000)


def _page(change: Change, where: str = PAGE) -> Callable[[Scene], None]:
    """The mirror edits the page on its way."""

    def act(ask: Ask) -> bytes:
        page = orjson.loads(ask.body)
        change(page)
        return orjson.dumps(page)

    def arrange(scene: Scene) -> None:
        scene.mirror.rules = [do(where, act)]

    return arrange


def signed_page(change: Change) -> Callable[[Scene], None]:
    """The index publishes the page of `demo` after `change`, signed with both online keys."""

    def arrange(scene: Scene) -> None:
        scene.publish_page("demo", change)

    return arrange


def _own_file(page: dict[str, Any]) -> None:
    page["files"][0] |= {"hashes": {"sha256": "ab" * 32}, "url": f"../../files/{'ab' * 32}/demo-1.0-py3-none-any.whl"}


def _page_of_part(scene: Scene) -> None:
    scene.mirror.rules = [say(PAGE, scene.repository.pages["part"])]


def _signed_page_of_part(scene: Scene) -> None:
    scene.repository.pages["demo"] = scene.repository.pages["part"]
    scene.repository.publish()


def _signed_file_of_part(scene: Scene) -> None:
    foreign = orjson.loads(scene.repository.pages["part"])

    def change(page: dict[str, Any]) -> None:
        page["files"] += foreign["files"]
        page["versions"] += foreign["versions"]

    scene.publish_page("demo", change)


def _old_page(scene: Scene) -> None:
    old = scene.repository.pages["demo"]
    scene.publish_second_version()
    scene.visit()
    scene.mirror.rules = [say(PAGE, old)]


def _old_file(scene: Scene) -> None:
    old = _object(scene, "demo-1.0-py3-none-any.whl")
    scene.publish_second_version()
    scene.mirror.rules = [say(r"demo-2\.0.*\.whl$", old)]


def _older_version_that_needs_nothing(rule: Callable[[], Rule]) -> Callable[[Scene], None]:
    """What a resolver would go back to, if the page of the dependency had no files."""

    def arrange(scene: Scene) -> None:
        scene.repository.add_wheel("demo", "0.9")
        scene.repository.publish()
        scene.visit()
        scene.mirror.rules = [rule()]

    return arrange


def _truth_that_warns(change: Change, strip: Change) -> Callable[[Scene], None]:
    """The index says something on its page; the mirror takes it away."""

    def arrange(scene: Scene) -> None:
        scene.publish_page("demo", change)
        scene.visit()
        _page(strip)(scene)

    return arrange


def _yank(page: dict[str, Any]) -> None:
    page["files"][0]["yanked"] = "steals cookies"


def _unyank(page: dict[str, Any]) -> None:
    del page["files"][0]["yanked"]


def _quarantine(page: dict[str, Any]) -> None:
    page["project-status"] = {"status": "quarantined", "reason": "malware"}
    page["files"] = []


def _unquarantine(page: dict[str, Any]) -> None:
    page["project-status"] = {"status": "active"}


def _attest(page: dict[str, Any]) -> None:
    page["files"][0] |= {"provenance": "https://index.example.org/provenance", "_provenance-sha256": "cd" * 32}


def _unattest(page: dict[str, Any]) -> None:
    del page["files"][0]["provenance"], page["files"][0]["_provenance-sha256"]


def _without_core_metadata(page: dict[str, Any]) -> None:
    del page["files"][0]["core-metadata"]


def _needs_newer_python(page: dict[str, Any]) -> None:
    page["files"][0]["requires-python"] = ">=9"


def _any_python(page: dict[str, Any]) -> None:
    del page["files"][0]["requires-python"]


def lists(**changes: Any) -> Change:
    """The first file of the page gets these keys."""

    def change(page: dict[str, Any]) -> None:
        page["files"][0] |= changes

    return change


CHANGED = "its hash is not that in the bin"
SIGNED_BUT_WRONG = "the signature does not make it a page of this project"

CONTENT = (
    Attack(
        name="arbitrary software: another file",
        attacker=MIRROR,
        arrange=_file(FILE, _longer_wheel),
        outcome="refused: more bytes than the page says",
        says="bytes, got more",
    ),
    Attack(
        name="arbitrary software: another file of the same length",
        attacker=MIRROR,
        arrange=_file(FILE, _wheel_of_same_length),
        outcome="refused: its hash is not that in the page",
        says="expected sha256",
    ),
    Attack(
        name="arbitrary software: another page",
        attacker=MIRROR,
        arrange=_page(_own_file),
        outcome=f"refused: {CHANGED}",
        says=HASH,
    ),
    Attack(
        name="rollback: page",
        attacker=MIRROR,
        arrange=_old_page,
        outcome=f"refused: {CHANGED}",
        says=HASH,
    ),
    Attack(
        name="rollback: file",
        attacker=MIRROR,
        arrange=_old_file,
        advances=("timestamp.json", "snapshot.json", "bins-*.json"),
        outcome="refused: the bytes of an older file are not those of the newer one",
        says="expected [0-9]+ bytes|expected sha256",
    ),
    Attack(
        name="steered to an older version: a dependency's page withheld",
        attacker=MIRROR,
        arrange=_older_version_that_needs_nothing(lambda: say(PAGE_OF_PART, Answer(404))),
        outcome="ends as unavailable: a page that does not come is not a page without files",
        says="status 200, got 404",
        unavailable=True,
    ),
    Attack(
        name="steered to an older version: a dependency's page changed",
        attacker=MIRROR,
        arrange=_older_version_that_needs_nothing(lambda: flip(PAGE_OF_PART)),
        outcome=f"refused: {CHANGED}; the installer is stopped and cannot choose another version",
        says=HASH,
    ),
    Attack(
        name="wrong software: file of another project",
        attacker=MIRROR,
        arrange=_file(FILE, lambda scene: _object(scene, "part-1.5-py3-none-any.whl")),
        outcome="refused: neither size nor hash are those in the page",
        says=r"expected \d+ bytes",
    ),
    Attack(
        name="wrong software: page of another project",
        attacker=MIRROR,
        arrange=_page_of_part,
        outcome=f"refused: {CHANGED}",
        says=HASH,
    ),
    Attack(
        name="wrong software: signed page of another project",
        attacker=BOTH,
        arrange=_signed_page_of_part,
        advances=("timestamp.json", "snapshot.json", "bins-*.json"),
        outcome=f"refused: {SIGNED_BUT_WRONG}, for it names another",
        says="name: expected 'demo', got 'part'",
    ),
    Attack(
        name="wrong software: signed page with a file of another project",
        attacker=BOTH,
        arrange=_signed_file_of_part,
        advances=("timestamp.json", "snapshot.json", "bins-*.json"),
        outcome="refused: a file name must parse to the project of the page",
        says="expected files of demo, got 'part-1.5",
    ),
    Attack(
        name="extraneous dependencies: changed .metadata",
        attacker=MIRROR,
        arrange=_file(CORE_METADATA, lambda _: core_metadata_of("demo", "1.0", ["part>=1", "evil"])),
        outcome="refused: its hash is not that in the page",
        says="core metadata with sha256",
    ),
    Attack(
        name="extraneous dependencies: .metadata of another file",
        attacker=MIRROR,
        arrange=_file(CORE_METADATA, lambda scene: _object(scene, "part-1.5-py3-none-any.whl.metadata")),
        outcome="refused: its hash is not that in the page",
        says="core metadata with sha256",
    ),
    Attack(
        name="extraneous dependencies: the page is told to name no .metadata",
        attacker=MIRROR,
        arrange=_page(_without_core_metadata),
        outcome=f"refused: {CHANGED}",
        says=HASH,
    ),
    Attack(
        name="stripped yank",
        attacker=MIRROR,
        arrange=_truth_that_warns(_yank, _unyank),
        outcome=f"refused: {CHANGED}",
        says=HASH,
    ),
    Attack(
        name="stripped status",
        attacker=MIRROR,
        arrange=_truth_that_warns(_quarantine, _unquarantine),
        outcome=f"refused: {CHANGED}",
        says=HASH,
    ),
    Attack(
        name="stripped provenance",
        attacker=MIRROR,
        arrange=_truth_that_warns(_attest, _unattest),
        outcome=f"refused: {CHANGED}",
        says=HASH,
    ),
    Attack(
        name="stripped requires-python",
        attacker=MIRROR,
        arrange=_truth_that_warns(_needs_newer_python, _any_python),
        outcome=f"refused: {CHANGED}",
        says=HASH,
    ),
    *(
        Attack(
            name=f"signed page that binds nothing: {name}",
            attacker=BOTH,
            arrange=signed_page(change),
            advances=("timestamp.json", "snapshot.json", "bins-*.json"),
            outcome=f"refused: {outcome}",
            says=says,
        )
        for name, change, outcome, says in (
            ("file without sha256", lists(hashes={}), "every file has its sha256", "sha256: expected a string"),
            ("file without size", lists(size=None), "every file has its size", "size: expected an integer"),
            (
                "address elsewhere",
                lists(url="https://elsewhere.example.invalid/demo-1.0-py3-none-any.whl"),
                "an address follows from the hash",
                r"url: expected \.\./\.\./files/",
            ),
            (
                "core metadata without hash",
                lists(**{"core-metadata": True}),
                "core metadata is named by its hash",
                "core-metadata: expected an object",
            ),
            (
                "provenance without hash",
                lists(provenance="https://index.example.org/provenance"),
                "provenance is named by its hash",
                "expected a hash beside the provenance",
            ),
        )
    ),
)
