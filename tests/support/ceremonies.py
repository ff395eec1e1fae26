"""Ceremonies for tests: who holds what, held in one line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from support.publishing import FoundedIndex
from support.trust import NOON, POLICY, a_foundation, a_signer, online_signers
from wheelmark.server.publishing.models import OfflineChange
from wheelmark.server.publishing.offline import hand_over
from wheelmark.server.publishing.signing import current_files
from wheelmark.trust import Layout, OnlineSigner, RoleKeys
from wheelmark.trust.ceremony import Ceremony, Completed, Wish, complete, merge, propose, sign
from wheelmark.trust.ceremony_file import format_ceremony, read_ceremony
from wheelmark.trust.terms import OFFLINE_ROLES


def holders_of(*signers: OnlineSigner, threshold: int) -> dict[str, RoleKeys]:
    """These hold root, targets and bins alike."""
    return dict.fromkeys(OFFLINE_ROLES, RoleKeys(tuple(signer.public for signer in signers), threshold))


def founded_files(*, layout: Layout | None = None, now: datetime = NOON) -> dict[str, bytes]:
    """Root, targets and bins as the quick start makes them: held by the key "offline" alone."""
    objects = dict(a_foundation(layout=layout, now=now).objects)
    return {role: objects[f"1.{role}.json"] for role in OFFLINE_ROLES}


def two_of_three() -> Wish:
    """From whatever there is to ann, bo and cy, any two of them."""
    return Wish(holders=holders_of(ann(), bo(), cy(), threshold=2))


def ann() -> OnlineSigner:
    return a_signer("ann")


def bo() -> OnlineSigner:
    return a_signer("bo", "ecdsa-p256")


def cy() -> OnlineSigner:
    return a_signer("cy")


def founding(*signers: OnlineSigner, threshold: int, now: datetime = NOON) -> Ceremony:
    """The ceremony that founds an index with these holders; nobody has signed yet."""
    online = online_signers()
    wish = Wish(
        holders=holders_of(*signers, threshold=threshold),
        bins_key=online.bins.public,
        publish_key=online.publish.public,
        layout=Layout(3),
    )
    return propose({}, wish, now=now, policy=POLICY)


def hold(ceremony: Ceremony, *signers: OnlineSigner, now: datetime = NOON) -> Completed:
    """Send copies to these holders as files, take them in again, and complete."""
    content = format_ceremony(ceremony)
    copies = [read_ceremony(format_ceremony(sign(read_ceremony(content), signer))) for signer in signers]
    return complete(merge([ceremony, *copies]), now=now)


def after(current: Mapping[str, bytes], completed: Completed) -> dict[str, bytes]:
    """Root, targets and bins after a completed ceremony."""
    new = {name.split(".")[1]: body for name, body in completed.objects}
    return {role: new.get(role) or current[role] for role in OFFLINE_ROLES}


def change(index: FoundedIndex, wish: Wish, *signers: OnlineSigner) -> OfflineChange:
    """Hold a ceremony on a founded index and hand it over; the publisher has not applied it yet."""
    ceremony = propose(current_files(index.store, OFFLINE_ROLES), wish, now=index.now, policy=POLICY)
    signed = merge([sign(ceremony, signer) for signer in signers])
    return hand_over(complete(signed, now=index.now), format_ceremony(signed), now=index.now)


RENEWAL = Wish(renew=frozenset(OFFLINE_ROLES))
DAY = timedelta(days=1)
