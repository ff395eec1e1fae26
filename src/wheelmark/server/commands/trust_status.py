"""`wheelmark trust status`: who speaks for which role, until when, and what should be done, in which order."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmark.errors import WheelmarkError

if TYPE_CHECKING:
    from wheelmark.server.config import Config
    from wheelmark.server.publishing.outlook import Outlook
    from wheelmark.store import Store
    from wheelmark.trust import RoleState

EXIT_FAULTS = 1
_KEYID_DIGITS = 16


def add_parser(commands: Any) -> None:
    """The subcommand and its options."""
    parser = commands.add_parser(
        "status",
        help="roles, versions, expiries, keys, and what should be done",
        description="Shows every role with its version, expiry, threshold and keys, and what should be done, the most "
        "urgent first. Ends with 1 when something should be done.",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
    parser.add_argument(
        "--without-keys", action="store_true", help="do not open the online keys: another machine signs"
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    """Show it; the exit status says whether something should be done."""
    from wheelmark.server.bootstrap import bootstrap_existing

    config = bootstrap_existing(arguments.data)

    from django.utils import timezone

    from wheelmark.server.publishing.outlook import read_outlook
    from wheelmark.server.publishing.signing import named_keys, online_signers
    from wheelmark.server.stores import current_store
    from wheelmark.trust.outlook import Urgency

    store, now = current_store(), timezone.now()
    outlook = read_outlook(
        store,
        config,
        now=now,
        try_keys=None if arguments.without_keys else lambda: online_signers(config, named_keys(store)),
    )
    places = _key_places(config, outlook, store, open_them=not arguments.without_keys)
    if arguments.json:
        print(json.dumps(_as_json(outlook, config, places), default=str))
    else:
        _print(outlook, config, places, now)
    return EXIT_FAULTS if any(advice.urgency < Urgency.NOTE for advice in outlook.advice) else 0


def _roles(outlook: Outlook) -> dict[str, RoleState]:
    from wheelmark.trust import SNAPSHOT, TIMESTAMP, RoleState

    state = outlook.committed.state
    snapshot = RoleState(state.snapshot.version, state.snapshot.expires_at)
    return {**state.offline, SNAPSHOT: snapshot, TIMESTAMP: state.timestamp}


def _as_json(outlook: Outlook, config: Config, places: Sequence[KeyPlace]) -> dict[str, Any]:
    state = outlook.committed.state
    roles: dict[str, Any] = {}
    for name, role in _roles(outlook).items():
        ring = outlook.rings.get(name)
        roles[name] = {"version": role.version, "expires_at": role.expires_at.isoformat()}
        roles[name] |= {"threshold": ring.threshold, "keyids": list(ring.keyids)} if ring else {}
    bins = outlook.rings.get("bins-*")
    tail = outlook.log
    return {
        "roles": roles,
        "bins": {
            "count": state.layout.bin_count,
            "changed": sum(version > 1 for version in state.bin_versions),
            "first_expires": min(state.bin_expires_at).isoformat(),
            "keyids": list(bins.keyids) if bins else [],
        },
        "serial": outlook.committed.serial,
        "signed_at": outlook.signed_at.isoformat() if outlook.signed_at else None,
        "signers": [dataclasses.asdict(place) for place in places],
        "signing_log": {
            "path": str(config.signing_log_path),
            "bytes": tail.size if tail else None,
            "last_at": tail.last.at.isoformat() if tail and tail.last else None,
        },
        "advice": [
            {"code": one.code, "urgency": one.urgency.name.lower(), "text": one.text, "command": one.command}
            for one in outlook.advice
        ],
    }


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """A place where an online key may lie. The publisher takes the one that root and bins name."""

    signs: str
    uri: str
    keyid: str | None  # None: not looked at, or it does not open
    state: str


def _key_places(config: Config, outlook: Outlook, store: Store, *, open_them: bool) -> list[KeyPlace]:
    """All of them, and which may be deleted: who rotates has the old key and the new one beside each other."""
    from wheelmark.server.publishing.signing import (
        bins_key_uris,
        has_later_offline_roles,
        passphrase_of,
        timestamp_key_uris,
    )
    from wheelmark.trust import TIMESTAMP, open_signer

    passphrase, coming = passphrase_of(config), _keyids_to_come(config)
    unsure = not outlook.rings or has_later_offline_roles(store)
    other = "not named" if unsure else "not named, may be deleted"
    places = []
    for signs, role, uris in (
        ("bins", "bins-*", bins_key_uris(config)),
        ("snapshot and timestamp", TIMESTAMP, timestamp_key_uris(config)),
    ):
        ring = outlook.rings.get(role)
        for uri in uris:
            if not open_them:
                places.append(KeyPlace(signs, uri, None, "not looked at"))
                continue
            try:
                keyid = open_signer(uri, passphrase=passphrase).keyid
            except WheelmarkError:
                places.append(KeyPlace(signs, uri, None, "does not open"))
                continue
            state = "named by the open ceremony" if keyid in coming else other
            places.append(KeyPlace(signs, uri, keyid, "in force" if ring and keyid in ring.keyids else state))
    return places


def _keyids_to_come(config: Config) -> set[str]:
    """The online keys that a ceremony names which is open, or finished and waits."""
    from wheelmark.server.ceremonies import read_open
    from wheelmark.server.publishing.offline import waiting_completed

    terms = []
    with suppress(WheelmarkError):  # there is none, or its file is damaged: it will not come
        terms.append(read_open(config).after)
    if waiting := waiting_completed():
        terms.append(waiting.after)
    return {key.keyid for after in terms for key in after.online_keys}


def _print(outlook: Outlook, config: Config, places: Sequence[KeyPlace], now: datetime) -> None:
    state = outlook.committed.state
    print(f"{'role':<12}{'version':>9}   {'signatures':<12}{'expires':<38}keys")
    for name, role in _roles(outlook).items():
        ring = outlook.rings.get(name)
        signatures = f"{ring.threshold} of {len(ring.keyids)}" if ring else "?"
        keys = " ".join(keyid[:_KEYID_DIGITS] for keyid in ring.keyids) if ring else ""
        print(f"{name:<12}{role.version:>9,}   {signatures:<12}{_expiry(role.expires_at, now):<38}{keys}")
    bins = outlook.rings.get("bins-*")
    changed = sum(version > 1 for version in state.bin_versions)
    print(
        f"{state.layout.bin_count:,} bins, {changed:,} of them changed since the founding; the first expires "
        f"{_expiry(min(state.bin_expires_at), now)}; key {bins.keyids[0][:_KEYID_DIGITS] if bins else '?'}"
    )
    for place in places:
        keyid = place.keyid[:_KEYID_DIGITS] if place.keyid else "?"
        print(f"{f'online key ({place.signs})':<37}{keyid:<18}{place.state:<28}{place.uri}")
    tail = outlook.log
    last = f"{tail.size:,} bytes, last line {tail.last.at:%Y-%m-%d %H:%M} UTC" if tail and tail.last else "none here"
    print(f"{'signing log':<37}{config.signing_log_path} ({last})")
    print(f"published up to journal serial {outlook.committed.serial:,}")
    for number, advice in enumerate(outlook.advice, start=1):
        print(f"{number}. {advice}")
    if not outlook.advice:
        print("Nothing has to be done.")


def _expiry(at: datetime, now: datetime) -> str:
    hours = (at - now).total_seconds() / 3600
    when = f"in {hours / 24:.0f} days" if hours >= 48 else f"in {hours:.0f} hours" if hours >= 0 else "EXPIRED"
    return f"{at:%Y-%m-%d %H:%M} UTC ({when})"
