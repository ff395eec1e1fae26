"""What a file is: names, versions, file names, core metadata, and reading hostile archives. Bytes in, values out."""

from wheelmark.dist.archive import archive_faults, walk_archive
from wheelmark.dist.bounds import DEFAULT_BOUNDS, ArchiveBroken, ArchiveTooLarge, Bounds
from wheelmark.dist.entries import Entry, EntryKind

__all__ = [
    "DEFAULT_BOUNDS",
    "ArchiveBroken",
    "ArchiveTooLarge",
    "Bounds",
    "Entry",
    "EntryKind",
    "archive_faults",
    "walk_archive",
]
