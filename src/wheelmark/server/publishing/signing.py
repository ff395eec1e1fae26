"""The online keys of this index, opened by the URIs that the settings name."""

from __future__ import annotations

from functools import cache

from wheelmark.errors import Unavailable
from wheelmark.server.config import Config
from wheelmark.server.publishing.keys import role_key
from wheelmark.server.publishing.models import RoleVersion
from wheelmark.server.publishing.passphrase import online_passphrase
from wheelmark.store import Missing, Store
from wheelmark.trust import BINS, ROOT, OnlineKeys, OnlineSigners, open_signer

MAX_OFFLINE_ROLE_BYTES = 512_000
"""Root and bins are signed by hand in a ceremony: some keys, and nothing that grows with the index."""


def online_signers(config: Config, named: OnlineKeys | None = None) -> OnlineSigners:
    """Both online signers; with `named`, they must hold exactly these keys.

    Only the publisher (and the founding) calls this: no other process ever holds key bytes.

    Raises:
        Unavailable: a key or its passphrase is not there, or does not fit.
        Untrusted: a key is another one than the root names (`key-mismatch`): clients would refuse what it signs.
        Refused: a URI has an unknown scheme.
    """

    passphrase = cache(online_passphrase(config))
    return OnlineSigners(
        bins=open_signer(config.bins_key_uri, passphrase=passphrase, public=named.bins if named else None),
        publish=open_signer(config.timestamp_key_uri, passphrase=passphrase, public=named.publish if named else None),
    )


def named_keys(store: Store) -> OnlineKeys:
    """The online keys that this index's current root and bins name.

    Raises:
        Unavailable: the index is not founded, or the store is away or has lost them (`offline-metadata-missing`).
    """
    versions = dict(RoleVersion.objects.filter(role__in=[ROOT, BINS]).values_list("role", "version"))
    try:
        root, bins = (
            store.read_all(role_key(versions[role], role), max_bytes=MAX_OFFLINE_ROLE_BYTES) for role in (ROOT, BINS)
        )
    except (KeyError, Missing) as error:
        raise Unavailable(
            f"the store {store.url} has lost the signed root or bins of this index: {error}; restore it from a backup",
            code="offline-metadata-missing",
        ) from error
    return OnlineKeys.named_in(root, bins)
