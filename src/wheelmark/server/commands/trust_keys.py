"""What a key's holder does on their own machine: make a key, look at a ceremony, sign it.

None of this needs a data folder, a database or a network.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmark.errors import Refused, Untrusted
from wheelmark.trust.passphrases import add_passphrase_options, passphrase_of

if TYPE_CHECKING:
    from wheelmark.trust import PublicKey
    from wheelmark.trust.ceremony import Ceremony

WHAT = "passphrase of the key"
ALGORITHMS = ("ed25519", "ecdsa-p256")


def add_commands(commands: Any) -> None:
    """Add `trust key` and `trust sign`."""
    key = commands.add_parser("key", help="make a key of your own, and hand out its public half")
    verbs = key.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    new = verbs.add_parser("new", help="make a key pair: FILE, encrypted, and FILE.pub to hand out")
    new.add_argument("file", type=Path, metavar="FILE", help="the new key file; never written over")
    new.add_argument("--algorithm", choices=ALGORITHMS, default=ALGORITHMS[0])
    _add_passphrase(new)
    new.set_defaults(run=_new)
    public = verbs.add_parser("public", help="write the public half of a key that is there already")
    public.add_argument("key", metavar="URI", help="the key: pkcs8:FILE, or another scheme")
    public.add_argument("--out", type=Path, metavar="FILE", help="where to; without it, on the terminal")
    _add_passphrase(public)
    public.set_defaults(run=_public)

    sign = commands.add_parser("sign", help="sign a ceremony's file with your key, after you have compared it")
    sign.add_argument("file", type=Path, metavar="FILE", help="the ceremony's file, as it was sent to you")
    sign.add_argument("--key", required=True, metavar="URI", help="your key: pkcs8:FILE, or another scheme")
    sign.add_argument("--out", type=Path, metavar="FILE", help="write the signed copy here; without it, over FILE")
    sign.add_argument(
        "--fingerprint", metavar="HEX", help="for scripts: the ceremony's fingerprint, or its first 16 digits"
    )
    sign.add_argument(
        "--root", type=Path, metavar="FILE", help="your own copy of the current root: it must be this one"
    )
    _add_passphrase(sign)
    sign.set_defaults(run=_sign)


def _add_passphrase(parser: argparse.ArgumentParser) -> None:
    add_passphrase_options(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def _new(arguments: argparse.Namespace) -> int:
    from wheelmark.server.ceremonies import write_durably
    from wheelmark.trust import generate_key
    from wheelmark.trust.holders import format_public_key

    path: Path = arguments.file
    public_path = path.with_name(path.name + ".pub")
    if public_path.exists():
        raise Refused.because("key-exists", "file", f"expected no file yet, got one at {public_path}")
    public = generate_key(
        path, passphrase=passphrase_of(arguments, what=WHAT, confirm=True), algorithm=arguments.algorithm
    )
    write_durably(public_path, format_public_key(public))
    _say_key(public, private=f"pkcs8:{path}", public_path=public_path, as_json=arguments.json)
    return 0


def _public(arguments: argparse.Namespace) -> int:
    from wheelmark.server.ceremonies import write_durably
    from wheelmark.trust import open_signer
    from wheelmark.trust.holders import HOLDER_SCHEMES, check_key, format_public_key

    public = open_signer(arguments.key, passphrase=passphrase_of(arguments, what=WHAT)).public
    check_key(public, schemes=HOLDER_SCHEMES)
    if arguments.out is None:
        sys.stdout.write(format_public_key(public).decode())
        return 0
    write_durably(arguments.out, format_public_key(public))
    _say_key(public, private=arguments.key, public_path=arguments.out, as_json=arguments.json)
    return 0


def _say_key(public: PublicKey, *, private: str, public_path: Path, as_json: bool) -> None:
    from wheelmark.trust.holders import grouped

    if as_json:
        print(json.dumps({"keyid": public.keyid, "scheme": public.scheme, "key": private, "public": str(public_path)}))
        return
    print(f"Private key   {private}   (keep it offline; a second copy in another place)")
    print(f"Public key    {public_path}   (hand this one out)")
    print(f"Fingerprint   {grouped(public.keyid)}")
    print("Read the fingerprint to whoever prepares the ceremony, by telephone or face to face.")


def _sign(arguments: argparse.Namespace) -> int:
    from wheelmark.server.ceremonies import read_ceremony_file, write_durably
    from wheelmark.trust import open_signer
    from wheelmark.trust.ceremony import sign
    from wheelmark.trust.ceremony_file import format_ceremony
    from wheelmark.trust.ceremony_summary import summarize

    ceremony = read_ceremony_file(arguments.file)
    if arguments.root is not None:
        _check_root(arguments.root, ceremony)
    if not arguments.json:
        print(summarize(ceremony, now=datetime.now(UTC)).text(), flush=True)
    _confirm(arguments.fingerprint, ceremony)
    signed = sign(ceremony, open_signer(arguments.key, passphrase=passphrase_of(arguments, what=WHAT)))
    out: Path = arguments.out or arguments.file
    write_durably(out, format_ceremony(signed))
    summary = summarize(signed, now=datetime.now(UTC))
    if arguments.json:
        print(json.dumps({"file": str(out), **summary.as_json()}))
    else:
        print(f"\nSigned. Send {out} back to whoever began the ceremony. It needs")
        for line in summary.waits_for:
            print(f"  {line}")
    return 0


def _check_root(path: Path, ceremony: Ceremony) -> None:
    """A holder who keeps the root that they signed last can be told no other past."""
    try:
        mine = path.read_bytes()
    except OSError as error:
        raise Refused.because(
            "root-unreadable", "--root", f"expected a readable root, got: {error.strerror}"
        ) from error
    if ceremony.current.get("root") != mine:
        built_on = f"root {ceremony.before.root.version}" if ceremony.before else "nothing"
        raise Untrusted(
            f"expected a ceremony on top of {path}, got one on top of {built_on} of other bytes; sign nothing, and ask "
            "the other holders",
            code="ceremony-root",
        )


def _confirm(given: str | None, ceremony: Ceremony) -> None:
    """The holder says which ceremony they mean to sign, in digits that they have from somebody else."""
    from wheelmark.trust.holders import MIN_TYPED_DIGITS, fingerprint_matches

    if given is None:
        if not sys.stdin.isatty():
            raise Refused.because(
                "ceremony-fingerprint",
                "--fingerprint",
                "expected the ceremony's fingerprint, got none, and nobody to ask",
            )
        print("\nLet another holder read the fingerprint to you, from their own copy.")
        given = input("Type its first four groups: ")
    if not fingerprint_matches(given, ceremony.fingerprint):
        raise Untrusted(
            f"expected {MIN_TYPED_DIGITS} or more first digits of {ceremony.fingerprint}, got {given!r}: nothing was "
            "signed; compare the files",
            code="ceremony-fingerprint",
        )
