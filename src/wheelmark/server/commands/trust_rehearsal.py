"""`wheelmark trust ceremony rehearse`: a whole ceremony with throw-away keys, through the real files and checks.

It shows people what they will see on the day, and proves on this machine that the tools work. Nothing of the index is
written; of a real index only what everybody can download is read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from wheelmark.errors import Refused, Untrusted
from wheelmark.trust import (
    ExpiryPolicy,
    Layout,
    OfflineMetadata,
    OnlineSigner,
    OnlineSigners,
    PublicKey,
    RoleKeys,
    check_metadata_set,
    found_on,
    generate_key,
    open_signer,
)
from wheelmark.trust.ceremony import Ceremony, Completed, Wish, complete, merge, propose, sign
from wheelmark.trust.ceremony_file import format_ceremony, read_ceremony
from wheelmark.trust.ceremony_summary import summarize
from wheelmark.trust.holders import grouped
from wheelmark.trust.terms import OFFLINE_ROLES

REHEARSAL_COST = 2**4
"""The passphrases of keys that live for a second need not be hard to guess."""

BITS = 3


def rehearse(arguments: argparse.Namespace, current: Mapping[str, bytes]) -> int:
    """Hold the rehearsal and say what was seen; `current` are the real index's offline roles, if there is one.

    Raises:
        Refused: a threshold that so many holders cannot have.
        WheelmarkError: something does not work on this machine, and would not on the day.
    """
    seen: list[str] = []
    with tempfile.TemporaryDirectory(prefix="wheelmark-rehearsal-") as folder:
        _hold(Path(folder), arguments.holders, arguments.threshold, seen)
    if current:
        _look_at(current, seen)
    if arguments.json:
        print(json.dumps({"rehearsed": True, "seen": seen}))
    else:
        print("\n".join([*seen, "", "The rehearsal went well. Every key of it is gone."]))
    return 0


def _hold(folder: Path, count: int, threshold: int, seen: list[str]) -> None:
    holders = [_a_holder(folder / f"holder-{number}.pem") for number in range(1, count + 1)]
    seen += [f"holder {number}: key {grouped(h.keyid)[:9]}" for number, h in enumerate(holders, start=1)]
    keys = RoleKeys(tuple(holder.public for holder in holders), threshold)
    online = OnlineSigners(*(open_signer("memory:ed25519", passphrase=bytes) for _ in range(2)))
    now, policy = datetime.now(UTC), ExpiryPolicy()
    wish = Wish(
        holders=dict.fromkeys(OFFLINE_ROLES, keys),
        bins_key=online.bins.public,
        publish_key=online.publish.public,
        layout=Layout(BITS),
    )
    founding = propose({}, wish, now=now, policy=policy)
    seen += ["", *summarize(founding, now=now).text().splitlines(), ""]
    completed = _gather(folder, founding, holders[:threshold], seen)
    files = dict(completed.objects)
    foundation = found_on(
        OfflineMetadata(completed.objects, completed.roles), layout=Layout(BITS), now=now, online=online, policy=policy
    )
    published = {**dict(foundation.objects), "timestamp.json": foundation.timestamp}
    if faults := check_metadata_set(published.get, foundation.root, now, policy=policy).faults:
        raise Untrusted(f"expected a repository that a client trusts, got {faults[0]}", code="rehearsal")
    seen.append("a client trusts the index that was founded")

    newcomer = _a_holder(folder / "newcomer.pem")
    current = {role: files[f"1.{role}.json"] for role in OFFLINE_ROLES}
    others = RoleKeys((newcomer.public, *keys.keys[1:]), threshold)
    change = propose(current, Wish(holders=dict.fromkeys(OFFLINE_ROLES, others)), now=now, policy=policy)
    seen += [
        "",
        "then the first holder leaves, and another comes:",
        *summarize(change, now=now).text().splitlines(),
        "",
    ]
    _gather(folder, change, [*holders[:threshold], *holders[1 : threshold + 1], newcomer], seen)


def _gather(folder: Path, ceremony: Ceremony, holders: list[OnlineSigner], seen: list[str]) -> Completed:
    """Send the file around, take the copies in, and complete it as the real commands do."""
    content = format_ceremony(ceremony)
    copies = []
    for number, holder in enumerate({holder.keyid: holder for holder in holders}.values()):
        copy = folder / f"copy-{number}.json"
        copy.write_bytes(content)
        signed = sign(read_ceremony(copy.read_bytes()), holder)
        copy.write_bytes(format_ceremony(signed))
        copies.append(copy)
        seen.append(f"signed by {grouped(holder.keyid)[:9]}")
    damaged = content.replace(b'"new"', b'"nev"', 1)
    _must_fail(lambda: read_ceremony(damaged), "a copy that was changed on its way", seen)
    gathered = merge([ceremony, *(read_ceremony(copy.read_bytes()) for copy in copies)])
    completed = complete(gathered, now=datetime.now(UTC))
    seen.append(f"completed: {', '.join(name for name, _ in completed.objects)}")
    return completed


def _look_at(current: Mapping[str, bytes], seen: list[str]) -> None:
    """What a renewal of the real index would ask for; no key of it is needed to see that."""
    now = datetime.now(UTC)
    renewal = propose(current, Wish(renew=frozenset(OFFLINE_ROLES)), now=now, policy=ExpiryPolicy())
    seen += ["", "a renewal of this index would be:", *summarize(renewal, now=now).text().splitlines()]
    stranger = open_signer("memory:ed25519", passphrase=bytes)
    _must_fail(lambda: sign(renewal, stranger), "a stranger's signature on it", seen)


def _must_fail(attempt: Callable[[], object], what: str, seen: list[str]) -> None:
    try:
        attempt()
    except (Untrusted, Refused):
        seen.append(f"refused: {what}")
        return
    raise Untrusted(f"expected {what} to be refused, and it was not", code="rehearsal")


def _a_holder(path: Path) -> OnlineSigner:
    public: PublicKey = generate_key(path, passphrase=lambda: b"rehearsal", scrypt_cost=REHEARSAL_COST)
    return open_signer(f"pkcs8:{path}", passphrase=lambda: b"rehearsal", public=public)
