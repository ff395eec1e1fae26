"""Attacks on the signed metadata: old, mixed and forged. What concerns the keys themselves is in `keys`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api.metadata import Metadata, MetaFile  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.attack_suite.model import Attack, Scene
from support.hostile_mirror import Ask, do, flip, say, signed_anew
from support.repository import SignedRepository

MIRROR = "the mirror"
TIMESTAMP = "the mirror and the timestamp key"
TIMESTAMP_AND_SNAPSHOT = "the mirror and online key 2 (snapshot and timestamp)"
BIN = "the mirror and online key 1 (bins)"
OLD_KEY = "the mirror and a key that was replaced"
ONE_OF_TWO = "the mirror and one of the two keys that must sign"
ROOT = "the mirror and the root key"

FAR_AHEAD = 2**31
SECOND_ROOT = "/tuf/2.root.json"


def _strangers_index(scene: Scene) -> None:
    usurper = SignedRepository()
    usurper.add_wheel("demo", "9.9")
    usurper.publish()
    usurper.publish()  # versions above those that the user has seen
    scene.mirror.objects = usurper.objects


def _strangers_root(scene: Scene) -> None:
    usurper = SignedRepository()
    usurper.publish_root()
    usurper.add_wheel("demo", "9.9")
    usurper.publish()
    usurper.publish()
    scene.mirror.objects = usurper.objects


def _unsigned(scene: Scene) -> None:
    def act(ask: Ask) -> bytes:
        timestamp = orjson.loads(ask.body)
        timestamp["signatures"] = []
        return orjson.dumps(timestamp)

    scene.publish_second_version()
    scene.mirror.rules = [do("/timestamp.json", act)]


def _forged_bin(scene: Scene) -> None:
    repository = scene.repository
    path = repository.bin_path("demo")

    def newer(bin_targets: Any) -> None:
        bin_targets.version += 1
        bin_targets.targets = {}

    scene.mirror.rules = [say(path, signed_anew(repository.objects[path], repository.signers["bin"], change=newer))]


def forge_timestamp(scene: Scene, change: Callable[[Any], None], *signers: CryptoSigner) -> None:
    """A timestamp after `change`, signed by these or by the stolen key, instead of the true one."""
    true = scene.repository.objects["/tuf/timestamp.json"]
    signers = signers or (scene.repository.signers["timestamp"],)
    scene.mirror.rules.append(say("/timestamp.json", signed_anew(true, *signers, change=change)))


def next_version(signed_part: Any) -> None:
    signed_part.version += 1


def _timestamp_of_forged_snapshot(scene: Scene) -> None:
    raw = signed_anew(
        scene.repository.objects["/tuf/2.snapshot.json"], CryptoSigner.generate_ed25519(), change=next_version
    )

    def change(timestamp: Any) -> None:
        timestamp.version += 1
        timestamp.snapshot_meta = MetaFile.from_data(3, raw, ["sha256"])

    forge_timestamp(scene, change)
    scene.mirror.rules.append(say("/3.snapshot.json", raw))


def _forged_snapshot(scene: Scene) -> None:
    scene.publish_second_version()
    stolen = scene.repository.signers["snapshot"]

    def change(snapshot: Any) -> None:
        snapshot.meta["bins.json"].version += 1

    raw = signed_anew(scene.repository.objects["/tuf/3.snapshot.json"], stolen, change=change)
    scene.mirror.rules = [say("/3.snapshot.json", raw)]


def _old_state(scene: Scene) -> None:
    old = scene.publish_second_version()
    scene.visit()
    scene.mirror.objects = old


def _old_snapshot(scene: Scene) -> None:
    old = scene.publish_second_version()
    scene.visit()
    raw = old["/tuf/2.snapshot.json"]

    def change(timestamp: Any) -> None:
        timestamp.version += 1
        timestamp.snapshot_meta = MetaFile.from_data(2, raw, ["sha256"])

    forge_timestamp(scene, change)


def _snapshot_that_lists(change: Callable[[Scene, dict[str, MetaFile]], None]) -> Callable[[Scene], None]:
    """After a second publication the thief of snapshot and timestamp lists something else."""

    def arrange(scene: Scene) -> None:
        scene.repository.publish_delegators()
        scene.publish_second_version()
        scene.visit()

        def other(snapshot: Any) -> None:
            snapshot.version += 1
            change(scene, snapshot.meta)

        stolen = scene.repository.signers["snapshot"]
        raw = signed_anew(scene.repository.objects["/tuf/3.snapshot.json"], stolen, change=other)

        def newer(timestamp: Any) -> None:
            timestamp.version += 1
            timestamp.snapshot_meta = MetaFile.from_data(4, raw, ["sha256"])

        forge_timestamp(scene, newer)
        scene.mirror.rules.append(say("/4.snapshot.json", raw))

    return arrange


def _bin_of_demo(scene: Scene) -> str:
    return scene.repository.bin_path("demo").partition(".")[2]


def _older_bin(scene: Scene, meta: dict[str, MetaFile]) -> None:
    meta[_bin_of_demo(scene)].version -= 1


def _older_targets(_: Scene, meta: dict[str, MetaFile]) -> None:
    meta["targets.json"].version -= 1


def _no_bin(scene: Scene, meta: dict[str, MetaFile]) -> None:
    del meta[_bin_of_demo(scene)]


def _old_root(scene: Scene) -> None:
    scene.repository.rotate_key("timestamp")
    scene.repository.publish()
    scene.mirror.rules = [say(SECOND_ROOT, scene.repository.root_bytes)]


def _frozen(scene: Scene) -> None:
    scene.repository.expires_in["timestamp"] = timedelta(seconds=2)
    scene.repository.publish()
    scene.visit()
    scene.mirror.objects = dict(scene.repository.objects)
    del scene.repository.expires_in["timestamp"]
    scene.publish_second_version()
    frozen: Metadata[Any] = Metadata.from_bytes(scene.mirror.objects["/tuf/timestamp.json"])
    while datetime.now(UTC) <= frozen.signed.expires:  # at most two seconds
        time.sleep(0.05)


def _far_ahead(scene: Scene) -> None:
    raw = scene.repository.objects["/tuf/2.snapshot.json"]

    def change(timestamp: Any) -> None:
        timestamp.version = FAR_AHEAD
        timestamp.snapshot_meta = MetaFile.from_data(FAR_AHEAD, raw, ["sha256"])

    forge_timestamp(scene, change)
    scene.mirror.rules.append(say(f"/{FAR_AHEAD}.snapshot.json", raw))


def _far_ahead_unsigned(scene: Scene) -> None:
    def act(ask: Ask) -> bytes:
        timestamp = orjson.loads(ask.body)
        timestamp["signed"]["version"] = FAR_AHEAD
        return orjson.dumps(timestamp)

    scene.mirror.rules = [do("/timestamp.json", act)]


def _old_under_new_name(role: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        if role != "snapshot":
            scene.repository.publish_delegators()
        before = scene.repository.bin_path("demo")
        old = scene.publish_second_version()
        now = scene.repository.bin_path("demo")
        was, new = {
            "snapshot": ("/tuf/2.snapshot.json", "/tuf/3.snapshot.json"),
            "targets": ("/tuf/1.targets.json", "/tuf/2.targets.json"),
            "bins": ("/tuf/1.bins.json", "/tuf/2.bins.json"),
            "bin": (before, now),
        }[role]
        scene.mirror.rules = [say(new, old[was])]

    return arrange


def _deep_nesting(scene: Scene) -> None:
    scene.mirror.rules = [say("/timestamp.json", b'{"signed":' + b"[" * 8000)]


def _bit(where: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        scene.publish_second_version()
        scene.mirror.rules = [flip(where)]

    return arrange


SIGNATURE = "sign|Signature|verif"
VERSION = "version"
HASH = r"[Hh]ash|length|at most"

HISTORY = (
    Attack(
        name="arbitrary software: an index of strangers",
        attacker=MIRROR,
        arrange=_strangers_index,
        outcome="refused: the timestamp is not signed by the key that the trusted root names",
        says="signed by 0/1",
    ),
    Attack(
        name="arbitrary software: a next root of strangers",
        attacker=MIRROR,
        arrange=_strangers_root,
        outcome="refused: the new root is not signed by the trusted one",
        says="root was signed by 0/1",
    ),
    Attack(
        name="arbitrary software: no signature at all",
        attacker=MIRROR,
        arrange=_unsigned,
        outcome="refused: one signature is asked for",
        says="timestamp was signed by 0/1",
    ),
    Attack(
        name="arbitrary software: a bin that no snapshot lists",
        attacker=BIN,
        arrange=_forged_bin,
        newcomer=True,
        advances=("timestamp.json", "snapshot.json", "targets.json", "bins.json"),
        outcome="refused: the bin's version is not the one in the snapshot",
        says="Expected bins-[0-9a-f]+ v",
    ),
    Attack(
        name="arbitrary software: a snapshot of strangers",
        attacker=TIMESTAMP,
        arrange=_timestamp_of_forged_snapshot,
        advances=("timestamp.json",),
        outcome="refused: the snapshot is not signed by its key",
        says="snapshot was signed by 0/1",
    ),
    Attack(
        name="arbitrary software: a snapshot that no timestamp lists",
        attacker="the mirror and the snapshot key",
        arrange=_forged_snapshot,
        advances=("timestamp.json",),
        outcome="refused: the snapshot's length and hash are not those in the timestamp",
        says=HASH,
    ),
    *(
        Attack(
            name=f"arbitrary software: one bit of the {name}",
            attacker=MIRROR,
            arrange=_bit(where),
            advances=advances,
            outcome="refused: signature or hash fails",
            says=f"{SIGNATURE}|{HASH}|JSON|deserialize",
        )
        for name, where, advances in (
            ("timestamp", "/timestamp.json", ()),
            ("snapshot", "/3.snapshot.json", ("timestamp.json",)),
            ("bin", r"/\d+\.bins-", ("timestamp.json", "snapshot.json")),
        )
    ),
    Attack(
        name="rollback: timestamp",
        attacker=MIRROR,
        arrange=_old_state,
        outcome="refused: an older version than was seen before",
        says="New timestamp version 2 must be >= 3.*older state",
    ),
    Attack(
        name="rollback: snapshot",
        attacker=TIMESTAMP,
        arrange=_old_snapshot,
        outcome="refused: the new timestamp names an older snapshot than was seen before",
        says="New snapshot version must be >= 3.*older state",
    ),
    *(
        Attack(
            name=f"rollback: {name}",
            attacker=TIMESTAMP_AND_SNAPSHOT,
            arrange=_snapshot_that_lists(change),
            advances=("timestamp.json",),
            outcome=f"refused: the new snapshot lists {outcome}",
            says=says,
        )
        for name, change, outcome, says in (
            ("bin", _older_bin, "an older bin than was seen before", "Expected bins-.* version .*older state"),
            (
                "targets",
                _older_targets,
                "older targets than were seen before",
                "Expected targets.* version .*older state",
            ),
            ("a bin that is gone", _no_bin, "a bin no longer", "snapshot is missing info for 'bins-"),
        )
    ),
    Attack(
        name="rollback: root",
        attacker=MIRROR,
        arrange=_old_root,
        outcome="refused: the root that comes as version 2 is version 1",
        says="Expected root version 2 instead got version 1",
    ),
    Attack(
        name="freeze",
        attacker=MIRROR,
        arrange=_frozen,
        outcome="refused as soon as the timestamp expires (one day or less after the last true one)",
        says="timestamp.json is expired.*clock",
    ),
    Attack(
        name="fast-forward: without a key",
        attacker=MIRROR,
        arrange=_far_ahead_unsigned,
        outcome="refused: the signature does not cover the high version",
        says="signed by 0/1",
    ),
    Attack(
        name="fast-forward: with the timestamp key",
        attacker=TIMESTAMP,
        arrange=_far_ahead,
        advances=("timestamp.json",),
        outcome="refused: there is no snapshot of that version; a root with a new timestamp key ends it",
        says=f"[Ee]xpected snapshot version {FAR_AHEAD}, got 2",
    ),
    Attack(
        name="mix-and-match: snapshot",
        attacker=MIRROR,
        arrange=_old_under_new_name("snapshot"),
        advances=("timestamp.json",),
        outcome="refused: its length and hash are not those in the timestamp",
        says=HASH,
    ),
    Attack(
        name="mix-and-match: targets",
        attacker=MIRROR,
        arrange=_old_under_new_name("targets"),
        advances=("timestamp.json", "snapshot.json"),
        outcome="refused: its version is not the one in the snapshot",
        says="Expected targets v2, got v1",
    ),
    Attack(
        name="mix-and-match: bins",
        attacker=MIRROR,
        arrange=_old_under_new_name("bins"),
        advances=("timestamp.json", "snapshot.json", "targets.json"),
        outcome="refused: its version is not the one in the snapshot",
        says="Expected bins v2, got v1",
    ),
    Attack(
        name="mix-and-match: bin",
        attacker=MIRROR,
        arrange=_old_under_new_name("bin"),
        advances=("timestamp.json", "snapshot.json", "targets.json", "bins.json"),
        outcome="refused: its version is not the one in the snapshot",
        says=r"Expected bins-\w+ v",
    ),
    Attack(
        name="endless data: nested brackets in the timestamp",
        attacker=MIRROR,
        arrange=_deep_nesting,
        outcome="refused: not metadata",
        says="deserialize",
    ),
)
