"""The client under the command line that the TUF project's conformance suite drives (`make conformance`).

What runs is what installs run on: `TrustedMetadata`, our fetcher, our bounds. Only the target names are free here, as
the suite has no project pages, and a workflow that fails is not begun again.

Source: tuf-conformance, CLIENT-CLI.md. Exit status 0 when all was trusted, 1 when anything was not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from wheelmark.client.lean import without_signing_backends
from wheelmark.errors import Untrusted, WheelmarkError

with without_signing_backends():
    from tuf.api.metadata import Metadata, Root, TargetFile  # type: ignore[attr-defined]  # tuf re-exports silently

    from wheelmark.client.fetching import Fetcher, download
    from wheelmark.client.http_fetcher import HttpFetcher
    from wheelmark.client.metadata import TrustedMetadata, converted_errors

# Not `*.json`: the suite reads every such file of the folder as trusted metadata.
TRUSTED_ROOT = "trusted_root"
EXIT_FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step of a test; return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except WheelmarkError as error:
        print(f"wheelmark: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wheelmark-conformance", description=__doc__, allow_abbrev=False)
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url", default="")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-base-url", default="")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    directory: Path = arguments.metadata_dir
    if arguments.command == "init":
        _begin(directory, arguments.trusted_root.read_bytes())
        return
    fetcher = HttpFetcher()
    metadata = _trusted_metadata(directory, arguments.metadata_url, fetcher)
    if arguments.command == "refresh":
        metadata.refresh()
        return
    for name in arguments.target_name:
        target = metadata.find(name)
        if target is None:
            raise Untrusted(f"{name}: expected a target, got proof that there is none", code="no-target")
        prefixed = bool(_root(directory).consistent_snapshot)
        download_target(target, arguments.target_base_url, arguments.target_dir, fetcher=fetcher, prefixed=prefixed)


def _begin(directory: Path, root: bytes) -> None:
    """Keeps the root that all later steps begin with, and shows it as trusted."""
    with converted_errors("root"):
        Metadata[Root].from_bytes(root)
        (directory / TRUSTED_ROOT).write_bytes(root)
        (directory / "root.json").write_bytes(root)


def _trusted_metadata(directory: Path, metadata_url: str, fetcher: Fetcher) -> TrustedMetadata:
    url = metadata_url if metadata_url.endswith("/") else f"{metadata_url}/"
    root = (directory / TRUSTED_ROOT).read_bytes()
    return TrustedMetadata(url, root, directory, fetcher=fetcher, now=lambda: datetime.now(UTC), strict=True)


def _root(directory: Path) -> Root:
    return Metadata[Root].from_bytes((directory / "root.json").read_bytes()).signed


def download_target(target: TargetFile, base_url: str, directory: Path, *, fetcher: Fetcher, prefixed: bool) -> Path:
    """The verified target as a file; one that is there already, and is right, is not fetched again.

    Raises:
        Untrusted: other bytes than the metadata says.
        Unavailable: they did not come.
    """
    path = directory / quote(target.path, safe="")
    if path.exists():
        held = path.read_bytes()
        if len(held) == target.length and _matches(target, held):
            return path
    folder, slash, name = target.path.rpartition("/")
    if prefixed:  # TUF specification § 5.7.3
        name = f"{next(iter(target.hashes.values()))}.{name}"
    base = base_url if base_url.endswith("/") else f"{base_url}/"
    raw = download(fetcher, f"{base}{folder}{slash}{name}", target.length)
    with converted_errors(target.path):
        target.verify_length_and_hashes(raw)
        path.write_bytes(raw)
    return path


def _matches(target: TargetFile, raw: bytes) -> bool:
    try:
        with converted_errors(target.path):
            target.verify_length_and_hashes(raw)
    except Untrusted:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
