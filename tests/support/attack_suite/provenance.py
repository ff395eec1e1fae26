"""Attacks on provenance (PEP 740), which no installer asks for yet: a program of the user's does, in three ways."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from functools import partial

import orjson

from support.attack_suite.content import CHANGED
from support.attack_suite.metadata import HASH, MIRROR
from support.attack_suite.model import HURRY_SECONDS, Attack, Scene, assert_said, assert_stayed
from support.attack_suite.transport import MORE, PAGE, SLOW, TOO_MUCH, UNPACKED
from support.attack_suite.ways import RUN_SECONDS, Run, Way
from support.client import clean_environment, run_wheelmark
from support.hostile_mirror import Rule, bomb, break_off, do, flip, flood, redirect, say, trickle
from support.repository import Answer, SignedRepository
from wheelmark.client import Verifier
from wheelmark.client.http_fetcher import HttpFetcher
from wheelmark.client.incidents import Incident
from wheelmark.client.patience import limits_from
from wheelmark.errors import Untrusted, WheelmarkError

PROVENANCE = r"demo-.*\.provenance$"
FOUND = b'{"version":1,"attestation_bundles":[{"publisher":{"kind":"demo"},"attestations":[]}]}'
OF_PART = FOUND.replace(b"demo", b"part")

# What a verifier of attestations does: ask for the page, and for what it names.
_PROGRAM = """
import json, os, sys, urllib.parse, urllib.request
page_url = sys.argv[1] + "demo/"
asked = urllib.request.Request(page_url, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
for file in json.load(urllib.request.urlopen(asked))["files"]:
    named = urllib.parse.urljoin(page_url, file["provenance"])
    sys.stdout.write(urllib.request.urlopen(named).read().decode())
"""


class Means(Enum):
    """How the program gets at the provenance."""

    LIBRARY = "`Verifier`"
    RUN = "`run`, a program"
    PROXY = "`proxy`, a program"

    @property
    def way(self) -> Way:
        """The scene in which it plays."""
        return {Means.LIBRARY: Way.UV, Means.RUN: Way.RUN_UV, Means.PROXY: Way.PROXY_UV}[self]


def _rule(make: Callable[[], Rule]) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        scene.mirror.rules = [make()]

    return arrange


def _of_another_file(scene: Scene) -> None:
    [foreign] = [raw for path, raw in scene.repository.objects.items() if path.endswith("part-1.5.tar.gz.provenance")]
    scene.mirror.rules = [say(PROVENANCE, foreign)]


def _of_another_day(scene: Scene) -> None:
    """The index has new provenance for the same file; the mirror gives the old."""
    [old] = [raw for path, raw in scene.repository.objects.items() if path.endswith("whl.provenance")]
    add_provenance(scene.repository, FOUND.replace(b"demo", b"new1"))
    scene.visit()
    scene.mirror.rules = [say(PROVENANCE, old)]


def _page_without(scene: Scene) -> None:
    def strip(ask_body: bytes) -> bytes:
        page = orjson.loads(ask_body)
        for file in page["files"]:
            file.pop("provenance", None)
            file.pop("_provenance-sha256", None)
        return orjson.dumps(page)

    scene.mirror.rules = [do(PAGE, lambda ask: strip(ask.body))]


OTHER = "its hash is not that in the page"
_SAYS_OTHER = "expected provenance with sha256"


def _row(name: str, arrange: Callable[[Scene], None], outcome: str, says: str, *, unavailable: bool = False) -> Attack:
    return Attack(
        name=f"provenance: {name}",
        attacker=MIRROR,
        arrange=arrange,
        outcome=f"{'ends as unavailable' if unavailable else 'refused'}: {outcome}",
        says=says,
        unavailable=unavailable,
        patience=HURRY_SECONDS if says == SLOW else 10.0,
    )


PROVENANCES = (
    _row("stripped from the page", _page_without, CHANGED, HASH),
    _row("one bit", _rule(partial(flip, PROVENANCE)), OTHER, _SAYS_OTHER),
    _row("of another file", _of_another_file, OTHER, _SAYS_OTHER),
    _row("an older one of the same file", _of_another_day, OTHER, _SAYS_OTHER),
    _row("nothing", _rule(lambda: say(PROVENANCE, b"")), OTHER, _SAYS_OTHER),
    _row(
        "withheld",
        _rule(lambda: say(PROVENANCE, Answer(404))),
        "what the page names did not come; it is never taken for none",
        "status 200, got 404",
        unavailable=True,
    ),
    _row("endless", _rule(partial(flood, PROVENANCE)), TOO_MUCH, MORE),
    _row("a decompression bomb", _rule(partial(bomb, PROVENANCE, "gzip")), UNPACKED, MORE),
    _row(
        "slowly", _rule(partial(trickle, PROVENANCE)), "its time is over, though bytes keep coming", SLOW,
        unavailable=True,
    ),
    _row(
        "half of it, and the connection ends",
        _rule(partial(break_off, PROVENANCE)),
        "the end did not come",
        "expected the whole answer",
        unavailable=True,
    ),
    _row(
        "a redirect elsewhere",
        _rule(partial(redirect, PROVENANCE, "https://elsewhere.example.invalid/")),
        "it comes from the index itself",
        "got a redirect",
    ),
)  # fmt: skip

# The other means meet the same checks: what differs is how the answer is withheld.
BY_OTHER_MEANS = frozenset(f"provenance: {name}" for name in ("stripped from the page", "one bit", "withheld"))


def means_of(attack: Attack) -> tuple[Means, ...]:
    """The ways in which a row is tried, all of them in every test run."""
    return tuple(Means) if attack.name in BY_OTHER_MEANS else (Means.LIBRARY,)


def add_provenance(repository: SignedRepository, of_demo: bytes = FOUND) -> None:
    """Publish `demo` and `part` with provenance."""
    repository.add_wheel("demo", requires=["part>=1"], filler=200_000, provenance=of_demo)
    repository.add_file("part-1.5.tar.gz", b"part", provenance=OF_PART)
    repository.publish()


def ask(scene: Scene, means: Means, patience: float = 10.0) -> tuple[Run, str]:
    """Ask for the provenance of `demo`; how it ended, and what the program was given."""
    if means is Means.LIBRARY:
        return _ask_library(scene, patience)
    program = [sys.executable, "-c", _PROGRAM]
    if means is Means.PROXY:
        with scene.proxy(patience) as proxy:
            url = proxy.variables["PIP_INDEX_URL"]
            command = [*program, url]
            done = subprocess.run(
                command, env=clean_environment(), capture_output=True, text=True, timeout=RUN_SECONDS, check=False
            )
            said = proxy.stop()
        return Run(said.status or min(done.returncode, 1), said.lines, said.output + done.stderr), done.stdout
    own, environment = scene.own_options(), scene.own_environment(patience)
    command = ["run", *own, "--", *program, scene.mirror.index_url]
    ran = run_wheelmark(*command, state=scene.directory / "state", cwd=None, **environment)
    return Run.of(ran.returncode, ran.stderr), ran.stdout


def _ask_library(scene: Scene, patience: float) -> tuple[Run, str]:
    fetcher = HttpFetcher(limits_from({"WHEELMARK_TIMEOUT": str(patience)}))
    verifier = Verifier(scene.mirror.index_url, scene.repository.root_bytes, scene.memory, fetcher=fetcher)
    try:
        page = verifier.page("demo")
        assert page is not None
        given = "".join(verifier.provenance(file).decode() for file in page.files)
    except WheelmarkError as error:
        return Run.of(3 if isinstance(error, Untrusted) else 1, Incident(error).line()), ""
    return Run(0, (), ""), given


def run_provenance_attack(attack: Attack, scene: Scene, means: Means) -> None:
    """Nothing is given, trusted state stays, one right line and exit status."""
    scene.visit()
    attack.arrange(scene)
    trusted = scene.trusted()
    run, given = ask(scene, means, attack.patience)
    assert given == ""
    assert_said(attack, run, scene.way)
    assert_stayed(attack, trusted, scene)
