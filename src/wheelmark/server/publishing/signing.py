"""The online keys of this index, opened by the URIs that the settings name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from wheelmark.errors import Unavailable, Untrusted, WheelmarkError
from wheelmark.server.config import Config
from wheelmark.server.publishing.keys import role_key
from wheelmark.server.publishing.models import RoleVersion
from wheelmark.server.publishing.passphrase import online_passphrase
from wheelmark.store import Missing, Store
from wheelmark.trust import BINS, ROOT, OnlineKeys, OnlineSigner, OnlineSigners, PublicKey, open_signer

MAX_OFFLINE_ROLE_BYTES = 512_000
"""Root and bins are signed by hand in a ceremony: some keys, and nothing that grows with the index."""

# White space ends a URI only where another begins: a path may have some.
_BETWEEN_URIS = re.compile(r"\s+(?=[a-z][a-z0-9+.-]*:)")


def bins_key_uris(config: Config) -> tuple[str, ...]:
    """Where online key 1 may lie: what the setting names, or every `bins*.pem` in the folder of the keys."""
    return _uris(config.bins_key, config.keys_folder, "bins")


def timestamp_key_uris(config: Config) -> tuple[str, ...]:
    """Where online key 2 may lie."""
    return _uris(config.timestamp_key, config.keys_folder, "timestamp")


def _uris(setting: str, folder: Path, stem: str) -> tuple[str, ...]:
    if setting.strip():
        return tuple(_BETWEEN_URIS.split(setting.strip()))
    first = folder / f"{stem}.pem"
    others = sorted(path for path in folder.glob(f"{stem}*.pem") if path != first)
    paths = [first, *others] if first.exists() or not others else others
    return tuple(f"pkcs8:{path}" for path in paths)


def online_signers(config: Config, named: OnlineKeys | None = None) -> OnlineSigners:
    """Both online signers: those that hold the keys that `named` says; without it, the first of each list.

    Only the publisher, the founding and a ceremony call this: no other process ever holds key bytes.

    Raises:
        Unavailable: a key or its passphrase is not there, or does not fit.
        Untrusted: no key is the one that the root names (`key-mismatch`): clients would refuse what they sign.
        Refused: a URI has an unknown scheme.
    """
    passphrase = passphrase_of(config)
    return OnlineSigners(
        bins=_open_one(bins_key_uris(config), passphrase, named.bins if named else None),
        publish=_open_one(timestamp_key_uris(config), passphrase, named.publish if named else None),
    )


def passphrase_of(config: Config) -> Callable[[], bytes]:
    """What opens the key files, read when it is first asked for."""

    return cache(online_passphrase(config))


def _open_one(uris: tuple[str, ...], passphrase: Callable[[], bytes], named: PublicKey | None) -> OnlineSigner:
    """The signer among these that holds the key. A key that does not open is in nobody's way while another fits."""
    if named is None or len(uris) == 1:
        return open_signer(uris[0], passphrase=passphrase, public=named)
    away: list[WheelmarkError] = []
    others: list[str] = []
    for uri in uris:
        try:
            signer = open_signer(uri, passphrase=passphrase)
        except WheelmarkError as error:
            away.append(error)
            continue
        if signer.public == named:
            return signer
        others.append(f"{signer.keyid[:8]} at {uri}")
    if away:
        raise away[0]
    raise Untrusted(f"expected key {named.keyid}, got {', '.join(others)}", code="key-mismatch")


def named_keys(store: Store) -> OnlineKeys:
    """The online keys that this index's current root and bins name.

    Raises:
        Unavailable: the index is not founded, or the store is away or has lost them (`offline-metadata-missing`).
    """
    files = current_files(store, (ROOT, BINS))
    return OnlineKeys.named_in(files[ROOT], files[BINS])


def current_files(store: Store, roles: tuple[str, ...]) -> dict[str, bytes]:
    """The signed files of these offline roles, as they are now.

    Raises:
        Unavailable: the index is not founded, or the store is away or has lost them (`offline-metadata-missing`).
    """
    versions = dict(RoleVersion.objects.filter(role__in=roles).values_list("role", "version"))
    try:
        return {
            role: store.read_all(role_key(versions[role], role), max_bytes=MAX_OFFLINE_ROLE_BYTES) for role in roles
        }
    except (KeyError, Missing) as error:
        raise Unavailable(
            f"the store {store.url} has lost signed root, targets or bins of this index: {error}; put it back from a "
            "backup, a mirror or a client's state folder (docs: recover, a lost object of the store)",
            code="offline-metadata-missing",
        ) from error


def has_later_offline_roles(store: Store) -> bool:
    """Whether the store has a newer root or bins than the database: perhaps that was restored from a backup, and does
    not know which keys are in force."""
    versions = RoleVersion.objects.filter(role__in=(ROOT, BINS)).values_list("role", "version")
    return any(store.head(role_key(version + 1, role)) for role, version in versions)
