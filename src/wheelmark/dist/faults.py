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
    # Names
    Rule(
        "name-form",
        "name",
        "A name has ASCII letters, digits, `.`, `-` and `_`, a letter or digit at each end.",
        "PEP 508",
    ),
    Rule("name-length", "name", "A name's length is bounded.", "Wheelmark bounds"),
    Rule("name-standard-library", "name", "A new project is not called like a standard library module.", "Wheelmark"),
    Rule("name-prohibited", "name", "A new project's name is not prohibited.", "Wheelmark"),
    Rule("digest-form", "sha256_digest", "A SHA-256 digest is 64 lower-case hexadecimal characters.", "FIPS 180-4"),
    # File names
    Rule("filename-length", "content", "A file's name has at most 255 characters.", "Wheelmark bounds"),
    Rule(
        "filename-characters",
        "content",
        "A file's name has ASCII letters, digits and `._+!-` only.",
        "PEP 427, PEP 625",
    ),
    Rule("filename-extension", "content", "A file's name ends in `.whl` or `.tar.gz`.", "PEP 427, PEP 625"),
    Rule("filename-form", "content", "A file's name has the parts that its kind asks for.", "PEP 427, PEP 625"),
    Rule("filename-tags", "content", "The compressed tags of a wheel's name expand to a bounded number.", "PEP 425"),
    Rule(
        "filename-name",
        "content",
        "The project's part of a file's name is normalized, with `_` for `-`.",
        "PEP 427, PEP 625",
    ),
    Rule("filename-version", "content", "The version's part of a file's name is normalized.", "PEP 440, PEP 625"),
    Rule(
        "filename-platform",
        "content",
        "A wheel's platform tags are ones that an index may carry.",
        "PEP 600, 656, 730, 738, 783",
    ),
    Rule("too-many-faults", "content", f"At most {MAX_FAULTS} faults are listed for one file.", "Wheelmark"),
    # Core metadata
    Rule(
        "metadata-missing", "content", "A wheel has `METADATA`, a source distribution `PKG-INFO`.", "PEP 427, PEP 625"
    ),
    Rule(
        "metadata-size", "metadata", "Core metadata, the values in it and their number are bounded.", "Wheelmark bounds"
    ),
    Rule(
        "metadata-form",
        "metadata",
        "Core metadata is well-formed, each value as the specification says.",
        "Core metadata",
    ),
    Rule(
        "metadata-version",
        "metadata-version",
        "The metadata version is a known one.",
        "Core metadata § Metadata-Version",
    ),
    Rule("metadata-name", "name", "The name is a valid one, and the file is named after it.", "Core metadata § Name"),
    Rule(
        "metadata-release-version", "version", "The version is a valid one, and the file is named after it.", "PEP 440"
    ),
    Rule(
        "metadata-local-version",
        "version",
        "The version is public, without a local part.",
        "PEP 440 § Local version identifiers",
    ),
    Rule("metadata-summary", "summary", "The summary has at most 512 characters.", "Core metadata § Summary"),
    Rule("metadata-classifier-unknown", "classifier", "Each classifier is a known one.", "trove-classifiers"),
    Rule("metadata-classifier-deprecated", "classifier", "No classifier is deprecated.", "trove-classifiers"),
    Rule("metadata-license-twice", "license", "License and License-Expression do not stand together.", "PEP 639"),
    Rule(
        "metadata-url", "project-url", "URLs are absolute and begin with http or https.", "Core metadata § Project-URL"
    ),
    Rule(
        "metadata-url-label", "project-url", "The label of a URL has 1 to 32 characters.", "Core metadata § Project-URL"
    ),
    Rule("metadata-email", "author-email", "E-mail fields hold e-mail addresses.", "Core metadata § Author-email"),
    Rule(
        "metadata-direct-url",
        "requires-dist",
        "Dependencies are names and versions, not URLs.",
        "PEP 440 § Direct references",
    ),
    Rule("form-disagrees", "form", "The form says what the file's metadata says.", "Wheelmark"),
    # Contents
    Rule("wheel-dist-info", "content", "A wheel has one folder `{name}-{version}.dist-info`.", "PEP 427"),
    Rule(
        "wheel-data-folder",
        "content",
        "Files to spread lie below a scheme of `{name}-{version}.data`, without metadata.",
        "PEP 427",
    ),
    Rule("wheel-file", "content", "`WHEEL` says version 1.x, and whether the root is pure.", "PEP 427"),
    Rule("wheel-record-missing", "content", "A wheel has `RECORD`.", "PEP 427"),
    Rule("wheel-record-form", "content", "`RECORD` has rows of path, digest and size, each path once.", "PEP 376"),
    Rule("wheel-record-extra", "content", "`RECORD` lists no file that is not there.", "PEP 427"),
    Rule("wheel-record-unlisted", "content", "`RECORD` lists every file.", "PEP 427"),
    Rule("wheel-record-digest", "content", "`RECORD` has the right SHA-256 of every file.", "PEP 427"),
    Rule("wheel-record-size", "content", "`RECORD` has the right size of every file.", "PEP 376"),
    Rule("wheel-record-signature", "content", "There is no `RECORD.jws` and no `RECORD.p7s`.", "PEP 815"),
    Rule(
        "entry-points", "content", "Entry points have valid names and refer to objects.", "Entry points specification"
    ),
    Rule("sdist-top-folder", "content", "A source distribution has one top folder `{name}-{version}`.", "PEP 625"),
    Rule("sdist-build-file", "content", "A source distribution has `pyproject.toml` or `setup.py`.", "PEP 518"),
    Rule("license-file-missing", "content", "Each licence file that the metadata names is there.", "PEP 639"),
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
    Rule("zip-version", "content", "A member needs no newer format than 6.3.", f"{_APPNOTE} § 4.4.3"),
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
