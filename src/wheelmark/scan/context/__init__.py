"""Context checks: what is suspicious about an upload beside its bytes. Pure: the server loads the values, see `Upload`.

They are priors. No context finding is ever critical, and none makes a file malicious.
"""

from wheelmark.scan.context.check import Check, ContextFinding, Family, Sign, Subject
from wheelmark.scan.context.checkset import ENTRY_POINT_GROUP, CheckSet, load_checks
from wheelmark.scan.context.examine import CheckRun, ContextReport, examine_upload
from wheelmark.scan.context.level import Level, level_of
from wheelmark.scan.context.lists import Lists, read_lists, shipped_lists
from wheelmark.scan.context.sample import read_sample
from wheelmark.scan.context.upload import (
    Account,
    Claimant,
    Distribution,
    Earlier,
    Index,
    LocalProject,
    Metadata,
    Project,
    Release,
    Sibling,
    Upload,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "Account",
    "Check",
    "CheckRun",
    "CheckSet",
    "Claimant",
    "ContextFinding",
    "ContextReport",
    "Distribution",
    "Earlier",
    "Family",
    "Index",
    "Level",
    "Lists",
    "LocalProject",
    "Metadata",
    "Project",
    "Release",
    "Sibling",
    "Sign",
    "Subject",
    "Upload",
    "examine_upload",
    "level_of",
    "load_checks",
    "read_lists",
    "read_sample",
    "shipped_lists",
]
