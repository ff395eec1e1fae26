"""What `wheelmark trust ceremony begin` and its short forms ask for: from options to a wish."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmark.errors import Refused

if TYPE_CHECKING:
    from wheelmark.server.config import Config
    from wheelmark.trust import Layout, PublicKey
    from wheelmark.trust.ceremony import Wish

NEW = "new"
ROLES = ("root", "targets", "bins")
ROLE_HELP = (
    "holders of this role only; may be given several times. Without it of all three; who leaves, leaves those they hold"
)


def add_out(parser: argparse.ArgumentParser) -> None:
    """The option that every command has which writes a ceremony's file."""
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the file for the holders; without it, ceremony-….json"
    )


def add_change(parser: argparse.ArgumentParser) -> None:
    """All options of `begin`."""
    parser.add_argument(
        "--holder",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="public key files of all who hold a key",
    )
    parser.add_argument("--add", action="append", default=[], type=Path, metavar="FILE", help="one more holder")
    parser.add_argument(
        "--remove",
        action="append",
        default=[],
        metavar="KEYID",
        help="one holder fewer: the first digits do, without the space; may be given several times",
    )
    parser.add_argument("--threshold", type=int, metavar="N", help="how many must sign; with --holder: more than half")
    parser.add_argument("--role", action="append", choices=ROLES, help=ROLE_HELP)
    parser.add_argument("--bins-key", metavar="URI", help=f"online key 1 from now on; `{NEW}` makes one")
    parser.add_argument("--timestamp-key", metavar="URI", help=f"online key 2 from now on; `{NEW}` makes one")
    parser.add_argument("--bins", type=int, metavar="N", help="number of bins, a power of two; needs new online keys")
    parser.add_argument("--renew", action="store_true", help="new versions of all three roles, for their expiry's sake")
    add_out(parser)


def wished(arguments: argparse.Namespace, config: Config, current: dict[str, bytes]) -> Wish:
    """What the options ask for."""
    from wheelmark.trust import Layout, RoleKeys, choose_bit_length
    from wheelmark.trust.ceremony import Wish
    from wheelmark.trust.holders import changed_holders, find_holder
    from wheelmark.trust.succession import terms_of

    def option(name: str, default: Any = None) -> Any:
        return getattr(arguments, name, default)

    roles: Sequence[str] = option("role") or ROLES
    threshold: int | None = option("threshold")
    everybody = tuple(_public_key(path) for path in option("holder", []))
    added = tuple(_public_key(path) for path in option("add", []))
    removed: list[str] = option("remove", [])
    layout = _layout(option("bins"))
    if everybody and (added or removed):
        raise Refused.because("ceremony-options", "--holder", "expected all holders, or who comes and goes, got both")
    if not current:
        if not everybody:
            raise Refused.because(
                "ceremony-options", "--holder", "expected the public keys of the holders of a new index, got none"
            )
        holders = dict.fromkeys(ROLES, RoleKeys(everybody, threshold or len(everybody) // 2 + 1))
        return Wish(
            holders=holders,
            bins_key=_online_key(option("bins_key"), config, "bins"),
            publish_key=_online_key(option("timestamp_key"), config, "timestamp"),
            layout=layout or Layout(choose_bit_length(config.expected_projects)),
        )
    before = terms_of(current)
    if everybody:
        holders = dict.fromkeys(roles, RoleKeys(everybody, threshold or len(everybody) // 2 + 1))
    elif added or removed or threshold:
        leaving = [find_holder(typed, before.offline_keys) for typed in removed]
        holders = changed_holders(before, add=added, remove=leaving, threshold=threshold, roles=option("role"))
    else:
        holders = {}
    return Wish(
        holders=holders,
        bins_key=_online_key(option("bins_key"), config, "bins") if option("bins_key") else None,
        publish_key=_online_key(option("timestamp_key"), config, "timestamp") if option("timestamp_key") else None,
        layout=layout,
        renew=frozenset(roles if option("renew") else ()),
    )


def _layout(bins: int | None) -> Layout | None:
    from wheelmark.trust import Layout

    if bins is None:
        return None
    if bins < 2 or bins & (bins - 1):
        raise Refused.because("bit-length", "--bins", f"expected a power of two from 2 to 65536, got {bins}")
    return Layout(bins.bit_length() - 1)


def _public_key(path: Path) -> PublicKey:
    from wheelmark.trust.holders import MAX_PUBLIC_KEY_BYTES, read_public_key

    try:
        with path.open("rb") as file:
            return read_public_key(file.read(MAX_PUBLIC_KEY_BYTES + 1))
    except OSError as error:
        raise Refused.because(
            "public-key-file", str(path), f"expected a readable public key file, got: {error.strerror}"
        ) from error


def _online_key(uri: str | None, config: Config, stem: str) -> PublicKey:
    """The public half of an online key: one that is there, a new file, or the first of a new index."""
    from wheelmark.server.founding import make_further_key, make_online_key
    from wheelmark.server.publishing.signing import bins_key_uris, passphrase_of, timestamp_key_uris
    from wheelmark.trust import open_signer

    known = bins_key_uris(config) if stem == "bins" else timestamp_key_uris(config)
    if uri is None:
        uri = known[0]
        make_online_key(uri, config)
    elif uri == NEW:
        setting = config.bins_key if stem == "bins" else config.timestamp_key
        if setting:
            raise Refused.because(
                "online-key-setting",
                stem,
                f"expected a URI, got {NEW!r}, while the setting {stem}_key names its keys: make the key, add it "
                "to the setting, and name it here",
            )
        uri = make_further_key(stem, config)
    elif uri not in known:
        raise Refused.because(
            "online-key-setting",
            stem,
            f"expected one of {', '.join(known)}, got {uri}: add it to the setting {stem}_key first",
        )
    return open_signer(uri, passphrase=passphrase_of(config)).public
