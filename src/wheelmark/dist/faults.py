"""The reference table of every rule a distribution can break: stable code, field, rule and source.

The documentation is generated from `RULES`. A code, once published, is never reused for another rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wheelmark.errors import Fault

MAX_FAULTS = 100
"""More faults than this are counted, not listed: an archive may hold a hundred thousand of them."""

MAX_QUOTED_CHARS = 120


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its code, the field that breaks it, what must hold, and where that is written."""

    code: str
    field: str
    rule: str
    source: str


def fault(code: str, message: str, *, field: str | None = None) -> Fault:
    """The fault for a rule of the table, in the rule's own field unless another is named."""
    return Fault(code, RULES[code].field if field is None else field, message)


def quoted(text: str) -> str:
    """Hostile text made safe to show: ASCII, in quotation marks, of bounded length."""
    if len(text) <= MAX_QUOTED_CHARS:
        return ascii(text)
    return f"{text[:MAX_QUOTED_CHARS]!a}..."


class FaultLog:
    """Collects faults without repeating one, and without growing beyond `MAX_FAULTS`."""

    __slots__ = ("_dropped", "_seen")

    def __init__(self) -> None:
        self._seen: dict[Fault, None] = {}
        self._dropped = 0

    def __bool__(self) -> bool:
        return bool(self._seen)

    def add(self, code: str, message: str, *, field: str | None = None) -> None:
        """Note one fault of the table."""
        self.extend([fault(code, message, field=field)])

    def extend(self, faults: Iterable[Fault]) -> None:
        """Note several."""
        for one in faults:
            if one in self._seen:
                continue
            if len(self._seen) < MAX_FAULTS:
                self._seen[one] = None
            else:
                self._dropped += 1

    def found(self) -> list[Fault]:
        """All faults in the order found; the last one says how many more there were."""
        faults = list(self._seen)
        if self._dropped:
            faults.append(
                fault("too-many-faults", f"expected none, got {self._dropped} faults more than are listed here")
            )
        return faults


_APPNOTE = "PKWARE APPNOTE.TXT 6.3.10"
_PAX = "POSIX.1-2017 § pax"

_TABLE = (
    Rule("too-many-faults", "content", f"At most {MAX_FAULTS} faults are listed for one file.", "Wheelmark"),
    # Any archive
    Rule("archive-broken", "content", "The archive can be read to its end.", "PEP 427, PEP 625"),
    Rule(
        "archive-format",
        "content",
        "A wheel is a zip file, a source distribution a gzip-compressed tar.",
        "PEP 427, PEP 625",
    ),
    Rule("archive-members", "content", "The number of members is bounded.", "Wheelmark bounds"),
    Rule("archive-size", "content", "The total of the unpacked bytes is bounded.", "Wheelmark bounds"),
    Rule(
        "archive-ratio", "content", "Above 64 MiB, an archive unpacks to at most 50 times its size.", "Wheelmark bounds"
    ),
    Rule("member-size", "content", "The unpacked bytes of one member are bounded.", "Wheelmark bounds"),
    Rule("member-path-length", "content", "The length of a member's path is bounded.", "Wheelmark bounds"),
    Rule("member-path-depth", "content", "The number of parts of a member's path is bounded.", "Wheelmark bounds"),
    Rule("member-path-empty", "content", "No part of a member's path is empty or a single dot.", "Wheelmark"),
    Rule("member-path-absolute", "content", "A member's path is relative.", "PEP 721"),
    Rule("member-path-traversal", "content", "A member's path has no `..`.", "PEP 721"),
    Rule("member-path-backslash", "content", "A member's path has no backslash.", f"{_APPNOTE} § 4.4.17.1"),
    Rule("member-path-drive", "content", "A member's path names no drive.", f"{_APPNOTE} § 4.4.17.1"),
    Rule("member-path-unprintable", "content", "A member's path has no control or invisible characters.", "Wheelmark"),
    Rule(
        "member-path-encoding",
        "content",
        "A member's path is UTF-8, and marked as UTF-8 where it is not ASCII.",
        "PEP 427",
    ),
    Rule("member-duplicate", "content", "No two members have the same path.", "Wheelmark"),
    Rule(
        "member-collision",
        "content",
        "No two members' paths are equal after case folding and Unicode normalization.",
        "Wheelmark",
    ),
    Rule("member-under-file", "content", "No member lies below a path that is a file or a link.", "Wheelmark"),
    # zip
    Rule("zip-end-record", "content", "The end record agrees with what is there.", f"{_APPNOTE} § 4.3.16"),
    Rule("zip-comment", "content", "The archive has no comment.", "Wheelmark"),
    Rule("zip-prefix", "content", "Nothing stands before the first member.", "Wheelmark"),
    Rule(
        "zip-gap", "content", "Nothing stands between members, or between them and the central directory.", "Wheelmark"
    ),
    Rule("zip-overlap", "content", "No two members share bytes.", "Wheelmark"),
    Rule("zip-trailing", "content", "Nothing follows the end record.", "Wheelmark"),
    Rule(
        "zip64-record",
        "content",
        "A zip64 end record and its locator stand in order before the end record.",
        f"{_APPNOTE} § 4.3.14",
    ),
    Rule("zip-also-tar", "content", "The file cannot be read as a tar archive too.", "Wheelmark"),
    Rule(
        "zip-local-header",
        "content",
        "Each member has a local header where the central directory says.",
        f"{_APPNOTE} § 4.3.7",
    ),
    Rule(
        "zip-header-mismatch",
        "content",
        "The local header says what the central directory says.",
        f"{_APPNOTE} § 4.3.7",
    ),
    Rule(
        "zip-extra",
        "content",
        "Extra fields are whole, and zip64 and Unicode path fields stand at most once.",
        f"{_APPNOTE} § 4.5",
    ),
    Rule("zip-unicode-path", "content", "A Unicode path field says the same as the name.", f"{_APPNOTE} § 4.6.9"),
    Rule("zip-method", "content", "Members are stored or deflated.", "PEP 427"),
    Rule("zip-encrypted", "content", "No member is encrypted.", "PEP 427"),
    Rule(
        "zip-flags",
        "content",
        "Only the flags for deflate options, data descriptor and UTF-8 are set.",
        f"{_APPNOTE} § 4.4.4",
    ),
    Rule("zip-descriptor", "content", "A data descriptor agrees with the central directory.", f"{_APPNOTE} § 4.3.9"),
    Rule(
        "zip-member-data",
        "content",
        "A member's bytes decode to the size and CRC-32 that its headers say.",
        f"{_APPNOTE} § 4.4.7",
    ),
    Rule("zip-special-member", "content", "Members are files and directories; a directory holds no bytes.", "PEP 427"),
    # tar
    Rule("tar-compression", "content", "A source distribution is compressed with gzip.", "PEP 625"),
    Rule("gzip-second-stream", "content", "There is one gzip stream.", "Wheelmark"),
    Rule("gzip-trailing", "content", "Nothing follows the gzip stream.", "Wheelmark"),
    Rule("tar-also-zip", "content", "The file cannot be read as a zip archive too.", "Wheelmark"),
    Rule(
        "tar-end",
        "content",
        "Two zero blocks end the archive, and only zeros follow.",
        f"{_PAX} § ustar Interchange Format",
    ),
    Rule("tar-member-type", "content", "Members are files, directories and links.", "PEP 721"),
    Rule(
        "tar-member-size",
        "content",
        "Only files hold bytes, and a pax size agrees with the header's.",
        f"{_PAX} § pax Header Block",
    ),
    Rule("tar-sparse", "content", "No member is sparse.", "Wheelmark"),
    Rule(
        "tar-extended-header",
        "content",
        "Extended headers are plain: each keyword once, one source for a name, global ones hold comments.",
        f"{_PAX}",
    ),
    Rule("tar-link-escape", "content", "A link points to a path inside the archive's tree.", "PEP 721"),
    Rule("tar-link-target", "content", "A hard link points to a file that stands before it.", "PEP 721"),
)

RULES: dict[str, Rule] = {rule.code: rule for rule in _TABLE}
