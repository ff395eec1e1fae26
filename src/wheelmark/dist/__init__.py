"""What a file is: names, versions, file names, core metadata, and reading hostile archives. Bytes in, values out.

What reads archives and metadata is imported when first used: the client needs the names, and starts with each install.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from wheelmark.dist.filenames import DistributionKind, Filename, parse_filename
from wheelmark.dist.names import (
    NormalizedName,
    Sha256,
    is_normalized,
    name_faults,
    normalize,
    parse_sha256,
    ultra_normalize,
)

if TYPE_CHECKING:
    from wheelmark.dist.archive import archive_faults, walk_archive
    from wheelmark.dist.bounds import DEFAULT_BOUNDS, ArchiveBroken, ArchiveTooLarge, Bounds
    from wheelmark.dist.entries import Entry, EntryKind
    from wheelmark.dist.faults import RULES, Rule
    from wheelmark.dist.form import form_faults
    from wheelmark.dist.inspection import Inspection, inspect_distribution
    from wheelmark.dist.metadata import CoreMetadata, parse_metadata
    from wheelmark.dist.metadata_rules import metadata_faults

__all__ = [
    "DEFAULT_BOUNDS",
    "RULES",
    "ArchiveBroken",
    "ArchiveTooLarge",
    "Bounds",
    "CoreMetadata",
    "DistributionKind",
    "Entry",
    "EntryKind",
    "Filename",
    "Inspection",
    "NormalizedName",
    "Rule",
    "Sha256",
    "archive_faults",
    "form_faults",
    "inspect_distribution",
    "is_normalized",
    "metadata_faults",
    "name_faults",
    "normalize",
    "parse_filename",
    "parse_metadata",
    "parse_sha256",
    "ultra_normalize",
    "walk_archive",
]

_HOMES = {
    "DEFAULT_BOUNDS": "bounds",
    "RULES": "faults",
    "ArchiveBroken": "bounds",
    "ArchiveTooLarge": "bounds",
    "Bounds": "bounds",
    "CoreMetadata": "metadata",
    "Entry": "entries",
    "EntryKind": "entries",
    "Inspection": "inspection",
    "Rule": "faults",
    "archive_faults": "archive",
    "form_faults": "form",
    "inspect_distribution": "inspection",
    "metadata_faults": "metadata_rules",
    "parse_metadata": "metadata",
    "walk_archive": "archive",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
