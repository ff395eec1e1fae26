"""What a file is: names, versions, file names, core metadata, and reading hostile archives. Bytes in, values out."""

from wheelmark.dist.archive import archive_faults, walk_archive
from wheelmark.dist.bounds import DEFAULT_BOUNDS, ArchiveBroken, ArchiveTooLarge, Bounds
from wheelmark.dist.entries import Entry, EntryKind
from wheelmark.dist.faults import RULES, Rule
from wheelmark.dist.filenames import DistributionKind, Filename, parse_filename
from wheelmark.dist.form import form_faults
from wheelmark.dist.inspection import Inspection, inspect_distribution
from wheelmark.dist.metadata import CoreMetadata, parse_metadata
from wheelmark.dist.metadata_rules import metadata_faults
from wheelmark.dist.names import (
    NormalizedName,
    Sha256,
    is_normalized,
    name_faults,
    normalize,
    parse_sha256,
    ultra_normalize,
)

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
