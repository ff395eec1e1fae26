"""Attacks on the keys: too few signatures, keys that were replaced, kinds that nobody knows, and chains of roots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.attack_suite.metadata import MIRROR, OLD_KEY, ONE_OF_TWO, ROOT, SECOND_ROOT, forge_timestamp, next_version
from support.attack_suite.model import Attack, Scene
from support.hostile_mirror import Ask, do, say, signed, signed_anew

MAX_ROOT_PADDING = 20_000  # bytes; makes a chain of roots of some weight
ROOTS = ("root.json", "root_history/*")


def _one_signature_of_two(scene: Scene) -> None:
    scene.repository.require_two("timestamp")
    scene.repository.publish()
    scene.visit()
    forge_timestamp(scene, next_version)


def _one_signature_twice(scene: Scene) -> None:
    _one_signature_of_two(scene)

    def twice(ask: Ask) -> bytes:
        timestamp = orjson.loads(ask.body)
        timestamp["signatures"] *= 2
        return orjson.dumps(timestamp)

    scene.mirror.rules.append(do("/timestamp.json", twice))


def _one_signature_under_two_names(scene: Scene) -> None:
    _one_signature_of_two(scene)
    other = scene.repository.co_signers["timestamp"][0].public_key.keyid

    def renamed(ask: Ask) -> bytes:
        timestamp = orjson.loads(ask.body)
        timestamp["signatures"].append({**timestamp["signatures"][0], "keyid": other})
        return orjson.dumps(timestamp)

    scene.mirror.rules.append(do("/timestamp.json", renamed))


def _root_by_one_of_two(scene: Scene) -> None:
    scene.repository.require_two("root")
    scene.repository.publish()
    scene.visit()
    true = scene.repository.objects[SECOND_ROOT]
    forged = signed_anew(true, scene.repository.signers["root"], change=next_version)
    scene.mirror.rules = [say("/3.root.json", forged)]


def _replaced_timestamp_key(scene: Scene) -> None:
    stolen = scene.repository.signers["timestamp"]
    scene.repository.rotate_key("timestamp")
    scene.repository.publish()
    scene.visit()
    forge_timestamp(scene, next_version, stolen)


def _replaced_timestamp_key_for_newcomers(scene: Scene) -> None:
    stolen = scene.repository.signers["timestamp"]
    scene.repository.rotate_key("timestamp")
    scene.repository.publish()
    forge_timestamp(scene, next_version, stolen)


def _replaced_root_key(scene: Scene) -> None:
    stolen = scene.repository.signers["root"]
    scene.repository.root.revoke_key(stolen.public_key.keyid, "root")
    scene.repository.signers["root"] = CryptoSigner.generate_ed25519()
    scene.repository.root.add_key(scene.repository.signers["root"].public_key, "root")
    scene.repository.publish_root(also_signed_by=[stolen])
    scene.repository.publish()
    scene.visit()
    forged = signed_anew(scene.repository.objects[SECOND_ROOT], stolen, change=next_version)
    scene.mirror.rules = [say("/3.root.json", forged)]


def _replaced_bin_key(scene: Scene) -> None:
    """A bin of the version that the snapshot lists, under the key that signed bins until `bins` named another."""
    stolen = scene.repository.signers["bin"]
    scene.repository.rotate_bin_key()
    scene.repository.publish()
    path = scene.repository.bin_path("demo")

    def empty(bin_targets: Any) -> None:
        bin_targets.targets = {}

    scene.mirror.rules = [say(path, signed_anew(scene.repository.objects[path], stolen, change=empty))]


def _unknown_key_type(scene: Scene) -> None:
    """A root by the true key gives the timestamp to a key of a kind that nobody can check."""
    root = orjson.loads(scene.repository.root_bytes)["signed"]
    keyid = "ab" * 32
    root["version"] = 2
    root["keys"][keyid] = {"keytype": "rot13", "scheme": "rot13", "keyval": {"public": "abc"}}
    root["roles"]["timestamp"]["keyids"] = [keyid]
    # Signed as it stands: what a library makes of the strange key must not change the bytes under the signature.
    envelope = {"signed": root, "signatures": []}
    canonical = orjson.dumps(root, option=orjson.OPT_SORT_KEYS)
    signature = scene.repository.signers["root"].sign(canonical)
    envelope["signatures"] = [{"keyid": signature.keyid, "sig": signature.signature}]
    timestamp = orjson.loads(scene.repository.objects["/tuf/timestamp.json"])
    timestamp["signed"]["version"] += 1
    timestamp["signatures"] = [{"keyid": keyid, "sig": "00" * 64}]
    scene.mirror.rules = [
        say(SECOND_ROOT, orjson.dumps(envelope)),
        say("/timestamp.json", orjson.dumps(timestamp)),
    ]


def _expired(role: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        scene.repository.expires_in[role] = timedelta(seconds=-1)
        if role == "root":
            scene.repository.publish_root()
        if role in {"targets", "bins"}:
            scene.repository.publish_delegators()
        scene.publish_second_version()

    return arrange


def _endless_roots(scene: Scene) -> None:
    """Every next root is truly signed, and so there is always one more; the last word has an unknown key."""
    root = scene.repository.root
    stranger = CryptoSigner.generate_ed25519()
    root.revoke_key(scene.repository.signers["timestamp"].public_key.keyid, "timestamp")
    root.add_key(stranger.public_key, "timestamp")
    root.unrecognized_fields["x-padding"] = "x" * MAX_ROOT_PADDING

    def act(ask: Ask) -> bytes:
        number = int(ask.path.rpartition("/")[2].partition(".")[0])
        copy = Root.from_dict(root.to_dict())
        copy.version = number
        return signed(Metadata(copy), [scene.repository.signers["root"]])

    scene.mirror.rules = [do(r"/\d+\.root\.json", act)]


def _roots_in_a_circle(scene: Scene) -> None:
    scene.repository.publish_root()
    scene.repository.publish()
    scene.visit()
    scene.mirror.rules = [say(r"/[3-9]\d*\.root\.json", scene.repository.objects[SECOND_ROOT])]


def _root_without_end(scene: Scene) -> None:
    def padded(root: Any) -> None:
        root.version = 2
        root.unrecognized_fields["x-padding"] = "x" * 600_000

    forged = signed_anew(scene.repository.root_bytes, scene.repository.signers["root"], change=padded)
    scene.mirror.rules = [say(SECOND_ROOT, forged)]


KEYS = (
    Attack(
        name="threshold not met: one signature of two",
        attacker=ONE_OF_TWO,
        arrange=_one_signature_of_two,
        outcome="refused: one signature, and the root asks for two",
        says="timestamp was signed by 1/2",
    ),
    Attack(
        name="threshold not met: one signature twice",
        attacker=ONE_OF_TWO,
        arrange=_one_signature_twice,
        outcome="refused: a key counts once",
        says="[Mm]ultiple signatures|deserialize",
    ),
    Attack(
        name="threshold not met: one signature under two names",
        attacker=ONE_OF_TWO,
        arrange=_one_signature_under_two_names,
        outcome="refused: the signature is not the second key's",
        says="timestamp was signed by 1/2",
    ),
    Attack(
        name="threshold not met: root",
        attacker=ONE_OF_TWO,
        arrange=_root_by_one_of_two,
        outcome="refused: the next root needs as many signatures as the trusted one asks for",
        says="root was signed by 1/2",
    ),
    Attack(
        name="revoked key: timestamp",
        attacker=OLD_KEY,
        arrange=_replaced_timestamp_key,
        outcome="refused: the trusted root no longer names that key",
        says="timestamp was signed by 0/1",
    ),
    Attack(
        name="revoked key: timestamp, for a newcomer",
        attacker=OLD_KEY,
        arrange=_replaced_timestamp_key_for_newcomers,
        newcomer=True,
        advances=ROOTS,
        outcome="refused: the chain of roots is walked before anything else is asked",
        says="timestamp was signed by 0/1",
    ),
    Attack(
        name="revoked key: root",
        attacker=OLD_KEY,
        arrange=_replaced_root_key,
        outcome="refused: the trusted root no longer names that key",
        says="root was signed by 0/1",
    ),
    Attack(
        name="revoked key: bins",
        attacker=OLD_KEY,
        arrange=_replaced_bin_key,
        advances=("timestamp.json", "snapshot.json", "targets.json", "bins.json"),
        outcome="refused: `bins` no longer names that key, though the version is the one in the snapshot",
        says=r"bins-\w+ was signed by 0/1",
    ),
    Attack(
        name="unknown key type",
        attacker=ROOT,
        arrange=_unknown_key_type,
        advances=ROOTS,
        outcome="refused: a signature that cannot be checked does not count",
        says="signed by 0/1|deserialize",
    ),
    *(
        Attack(
            name=f"expired: {role}",
            attacker=f"the mirror, and time: the {role} was not signed again",
            arrange=_expired(role),
            advances=advances,
            outcome="refused: it has expired",
            says=r"expired.*clock",
        )
        for role, advances in (
            ("root", ROOTS),
            ("timestamp", ()),
            ("snapshot", ("timestamp.json",)),
            ("targets", ("timestamp.json", "snapshot.json")),
            ("bins", ("timestamp.json", "snapshot.json", "targets.json")),
            ("bin", ("timestamp.json", "snapshot.json")),
        )
    ),
    Attack(
        name="huge root chain: there is always one more",
        attacker=ROOT,
        arrange=_endless_roots,
        advances=ROOTS,
        outcome="refused after a bounded number of roots",
        says="timestamp was signed by 0/1",
    ),
    Attack(
        name="huge root chain: the same again",
        attacker=MIRROR,
        arrange=_roots_in_a_circle,
        outcome="refused at the first root whose version is not the next",
        says="Expected root version 3 instead got version 2",
    ),
    Attack(
        name="huge root chain: one of 600 kB",
        attacker=ROOT,
        arrange=_root_without_end,
        outcome="refused: longer than a root may be",
        says="at most 512000 bytes",
    ),
)
