"""The TUF repository: its layout, its keys and signers, its founding, its daily publications, and their audit.

Pure functions and values; only signers touch the disk. The caller owns rows, locks and writes (`server/publishing`).
"""

import importlib
from typing import TYPE_CHECKING

from wheelmark.trust.contents import BinContent
from wheelmark.trust.expiry import ExpiryPolicy
from wheelmark.trust.founding import (
    Foundation,
    OfflineMetadata,
    OfflineRole,
    OfflineRoles,
    OnlineKeys,
    found_on,
    found_repository,
    sign_offline_roles,
)
from wheelmark.trust.keyfile import SCRYPT_COST, generate_key
from wheelmark.trust.keys import PublicKey, RoleKeys
from wheelmark.trust.layout import (
    BINS,
    CLAIMS,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    Layout,
    choose_bit_length,
    file_target_path,
    page_target_path,
)
from wheelmark.trust.metadata import (
    Delegation,
    TargetRow,
    bin_bytes,
    bins_bytes,
    bins_delegation,
    envelope,
    root_bytes,
    snapshot_bytes,
    targets_bytes,
    timestamp_bytes,
)
from wheelmark.trust.passphrases import Passphrase, add_passphrase_options, passphrase_from, passphrase_of
from wheelmark.trust.publication import (
    ChangedBin,
    Due,
    OnlineSigners,
    Publication,
    due_for_resigning,
    sign_publication,
)
from wheelmark.trust.signers import SCHEMES, OnlineSigner, open_signer
from wheelmark.trust.signing_log import (
    FIRST_LINE,
    MAX_LINE_BYTES,
    LogEntry,
    chained,
    entries_of,
    format_entries,
    format_entry,
    parse_line,
    read_log,
)
from wheelmark.trust.state import RepositoryState, RoleState, SnapshotState

if TYPE_CHECKING:
    from wheelmark.trust.verify import MetadataReport, check_metadata_set

__all__ = [
    "BINS",
    "CLAIMS",
    "FIRST_LINE",
    "MAX_LINE_BYTES",
    "ROOT",
    "SCHEMES",
    "SCRYPT_COST",
    "SNAPSHOT",
    "TARGETS",
    "TIMESTAMP",
    "BinContent",
    "ChangedBin",
    "Delegation",
    "Due",
    "ExpiryPolicy",
    "Foundation",
    "Layout",
    "LogEntry",
    "MetadataReport",
    "OfflineMetadata",
    "OfflineRole",
    "OfflineRoles",
    "OnlineKeys",
    "OnlineSigner",
    "OnlineSigners",
    "Passphrase",
    "PublicKey",
    "Publication",
    "RepositoryState",
    "RoleKeys",
    "RoleState",
    "SnapshotState",
    "TargetRow",
    "add_passphrase_options",
    "bin_bytes",
    "bins_bytes",
    "bins_delegation",
    "chained",
    "check_metadata_set",
    "choose_bit_length",
    "due_for_resigning",
    "entries_of",
    "envelope",
    "file_target_path",
    "format_entries",
    "format_entry",
    "found_on",
    "found_repository",
    "generate_key",
    "open_signer",
    "page_target_path",
    "parse_line",
    "passphrase_from",
    "passphrase_of",
    "read_log",
    "root_bytes",
    "sign_offline_roles",
    "sign_publication",
    "snapshot_bytes",
    "targets_bytes",
    "timestamp_bytes",
]


def __getattr__(name: str) -> object:
    """The audit is imported when it is first used: python-tuf takes as long to import as all the rest of a start."""
    if name not in {"MetadataReport", "check_metadata_set"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("wheelmark.trust.verify"), name)
