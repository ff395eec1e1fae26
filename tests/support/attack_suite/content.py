"""Attacks on what is inside: other software, other dependencies, stripped warnings, and tricks with names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from support.attack_suite.metadata import HASH, MIRROR
from support.attack_suite.model import Attack, Scene
from support.attack_suite.transport import CORE_METADATA, FILE, PAGE
from support.client import a_wheel, core_metadata_of, source_that_fetches
from support.hostile_mirror import Ask, HostileMirror, do, say, signed_anew
from support.repository import Answer, SignedRepository

BOTH = "both online keys: what they sign is published"
ELSEWHERE = "another index, which has the name"
PRIVATE = "internal-tool"

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


def _signed_page(change: Change) -> Callable[[Scene], None]:
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


def _lists(**changes: Any) -> Change:
    def change(page: dict[str, Any]) -> None:
        page["files"][0] |= changes

    return change


def _another_index(scene: Scene, name: str) -> HostileMirror:
    """An index of the attacker's that has the name, served without signatures, as pip and uv would read it."""
    repository = SignedRepository()
    file = repository.add_wheel(name, "99.0")
    anchor = (
        f'<!DOCTYPE html><html><body><a href="/files/{file.sha256}/{file.filename}">{file.filename}</a></body></html>'
    )
    repository.objects[f"/simple/{name}/"] = anchor.encode()
    scene.elsewhere = HostileMirror(repository)
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
    path = repository.bin_path(PRIVATE)
    stranger = SignedRepository().signers["bin"]
    forged = signed_anew(repository.objects[path], stranger, change=lambda signed_part: None)
    scene.mirror.rules = [say(path, forged)]


def _withheld(scene: Scene) -> None:
    """The index has the private name; the mirror says that it has not, and another index offers it."""
    scene.repository.add_wheel(PRIVATE, "1.0")
    scene.repository.publish()
    scene.visit()
    _by_environment(scene)
    scene.mirror.rules = [say(f"/{PRIVATE}/", Answer(404)), say(r"/\d+\.bins-", Answer(404))]


def _build_that_fetches(scene: Scene) -> None:
    """A source distribution whose build asks another server for something."""
    scene.elsewhere = HostileMirror(SignedRepository())
    scene.repository.add_file("demo-3.0.tar.gz", source_that_fetches("demo", "3.0", f"{scene.elsewhere.origin}/two"))
    scene.repository.publish()


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
            arrange=_signed_page(change),
            advances=("timestamp.json", "snapshot.json", "bins-*.json"),
            outcome=f"refused: {outcome}",
            says=says,
        )
        for name, change, outcome, says in (
            ("file without sha256", _lists(hashes={}), "every file has its sha256", "sha256: expected a string"),
            ("file without size", _lists(size=None), "every file has its size", "size: expected an integer"),
            (
                "address elsewhere",
                _lists(url="https://elsewhere.example.invalid/demo-1.0-py3-none-any.whl"),
                "an address follows from the hash",
                r"url: expected \.\./\.\./files/",
            ),
            (
                "core metadata without hash",
                _lists(**{"core-metadata": True}),
                "core metadata is named by its hash",
                "core-metadata: expected an object",
            ),
            (
                "provenance without hash",
                _lists(provenance="https://index.example.org/provenance"),
                "provenance is named by its hash",
                "expected a hash beside the provenance",
            ),
        )
    ),
    *(
        Attack(
            name=f"names: {name}",
            attacker=BOTH,
            arrange=_signed_page(change),
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
                _lists(filename="d\u0435mo-1.0-py3-none-any.whl"),
                "not a file name of this project",
                "filename: expected",
            ),
            (
                "file that normalizes to a neighbour",
                _lists(filename="de.mo-1.0-py3-none-any.whl"),
                "a file name must parse to the project of the page",
                "filename: expected",
            ),
            (
                "file with a way out",
                _lists(filename="../../demo-1.0-py3-none-any.whl"),
                "not a file name",
                "filename: expected",
            ),
        )
    ),
    Attack(
        name="unknown project: other indexes in the environment",
        attacker=ELSEWHERE,
        arrange=_by_environment,
        words=(PRIVATE,),
        advances=("bins-*.json",),
        outcome="the name is proven absent: the installer fails, the other index is not asked",
        says=None,
    ),
    Attack(
        name="unknown project: an index in a requirements file",
        attacker=ELSEWHERE,
        arrange=_by_file("--extra-index-url {index}"),
        words=("-r", "{directory}/requirements.txt"),
        advances=("bins-*.json",),
        outcome="refused: the way to any other server is closed",
        says="expected requests to the verified index only",
    ),
    Attack(
        name="unknown project: links in a requirements file",
        attacker=ELSEWHERE,
        arrange=_by_file("--find-links {origin}/simple/internal-tool/"),
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
        words=(PRIVATE,),
        outcome="ends as unavailable: what is withheld is not absent, the other index is not asked",
        says="expected its metadata|status 200, got 404",
        unavailable=True,
        advances=("bins-*.json",),
    ),
    Attack(
        name="build that fetches",
        attacker="the author of a source distribution",
        arrange=_build_that_fetches,
        words=("demo==3.0",),
        advances=("timestamp.json", "snapshot.json", "bins-*.json"),
        outcome="refused: the way to any other server is closed",
        says="expected requests to the verified index only",
    ),
)
