"""Core metadata, read from the file that carries it: `METADATA` of a wheel, `PKG-INFO` of a source distribution.

Source: the core metadata specification (PEP 241, 314, 345, 566, 621, 639, 643, 685, 753, 794, 808).
"""

from __future__ import annotations

import email.parser
import email.policy
from dataclasses import dataclass, field

from packaging.licenses import canonicalize_license_expression
from packaging.metadata import InvalidMetadata, Metadata, RawMetadata, parse_email
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from wheelmark.dist.bounds import MIB
from wheelmark.dist.faults import FaultLog
from wheelmark.dist.names import normalize
from wheelmark.errors import Refused

MAX_METADATA_BYTES = 4 * MIB
MAX_EXPRESSION_CHARS = 16 * 1024
"""One requirement, specifier or license expression: `packaging` parses them recursively."""
MAX_VALUES = 4096
"""Values of one field that may stand several times."""
MAX_MESSAGE_CHARS = 400

# An old setuptools wrote this word for "not given".
_NOT_GIVEN = "UNKNOWN"
# Fields of mail that core metadata does not know: some readers obey them, and see another description.
_MAIL_FIELDS = ("content-", "mime-version")
_EXPRESSIONS = ("requires_dist", "requires_python", "license_expression")
_LICENSE_FIELDS_SINCE = Version("2.4")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreMetadata:
    """The core metadata of one distribution; what is absent is None or empty."""

    metadata_version: str
    name: str
    """As written; `normalized_name` is the project."""
    normalized_name: NormalizedName
    version: Version
    summary: str | None = None
    description: str | None = field(default=None, repr=False)
    description_content_type: str | None = None
    keywords: tuple[str, ...] = ()
    author: str | None = None
    author_email: str | None = None
    maintainer: str | None = None
    maintainer_email: str | None = None
    license: str | None = None
    license_expression: str | None = None
    """An SPDX expression in its canonical form."""
    license_files: tuple[str, ...] = ()
    """Paths. Before metadata 2.4 nothing defined them: then they are as written, and unchecked."""
    classifiers: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    supported_platforms: tuple[str, ...] = ()
    home_page: str | None = None
    download_url: str | None = None
    project_urls: tuple[tuple[str, str], ...] = ()
    """Label and URL."""
    requires_python: SpecifierSet | None = None
    requires_dist: tuple[Requirement, ...] = ()
    requires_external: tuple[str, ...] = ()
    provides_extra: tuple[NormalizedName, ...] = ()
    provides_dist: tuple[str, ...] = ()
    obsoletes_dist: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    obsoletes: tuple[str, ...] = ()
    import_names: tuple[str, ...] | None = None
    """None when not given; empty when the distribution declares that it has none (PEP 794)."""
    import_namespaces: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    raw: bytes = field(repr=False)
    """The bytes as they stand in the file."""

    @property
    def license_files_are_defined(self) -> bool:
        """Whether the metadata version defines where the licence files lie (PEP 639)."""
        return Version(self.metadata_version) >= _LICENSE_FIELDS_SINCE


def parse_metadata(raw: bytes) -> CoreMetadata:
    """Core metadata from its bytes. Unknown fields are left out, as the specification asks.

    Raises:
        Refused: with every fault of form. What an index wants beyond the form is in `metadata_faults`.
    """
    log = FaultLog()
    if len(raw) > MAX_METADATA_BYTES:
        log.add("metadata-size", f"expected at most {MAX_METADATA_BYTES} bytes, got {len(raw)}")
        raise Refused(log.found())
    values = _raw_values(raw, log)
    early_license, early_files = _take_early_license_fields(values, log)
    try:
        parsed = Metadata.from_raw(values)
    except ExceptionGroup as group:
        for error in group.exceptions:
            _add_invalid(error, log)
    except (RecursionError, MemoryError, ValueError) as error:
        # Expressions nested deeper than their parsers go; which field it was is not told.
        log.add("metadata-form", f"expected values that can be parsed, got {type(error).__name__}")
    if log:
        raise Refused(log.found())
    return _from_packaging(parsed, raw, early_license, early_files)


def _raw_values(raw: bytes, log: FaultLog) -> RawMetadata:
    """The fields as `packaging` splits them; what it could not make sense of is noted."""
    try:
        values, unparsed = parse_email(raw)
        message = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(raw)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # The parser of mail raises these on some malformed headers.
        log.add("metadata-form", f"expected headers that can be parsed, got {type(error).__name__}")
        raise Refused(log.found()) from error
    for defect in message.defects:
        log.add("metadata-form", f"expected well-formed headers, got {type(defect).__name__}")
    if message.is_multipart():
        log.add("metadata-form", "expected plain text, got a multipart message")
    known = {name.replace("_", "-") for name in RawMetadata.__annotations__} | _SINGULAR
    for name in unparsed:
        if name in known:
            log.add("metadata-form", "expected the field once and in UTF-8, got something else", field=name)
        elif name.startswith(_MAIL_FIELDS):
            log.add("metadata-form", "expected fields of core metadata, got one of mail", field=name[:40])
    for key, value in list(values.items()):
        name = key.replace("_", "-")
        if value == _NOT_GIVEN and key not in ("name", "version"):
            del values[key]  # type: ignore[misc]  # a key of a TypedDict that is not a literal
            continue
        several = [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]  # a list or a dict
        if len(several) > MAX_VALUES:
            log.add("metadata-size", f"expected at most {MAX_VALUES} values, got {len(several)}", field=name)
        if key in _EXPRESSIONS and any(len(one) > MAX_EXPRESSION_CHARS for one in several):
            log.add("metadata-size", f"expected at most {MAX_EXPRESSION_CHARS} characters, got more", field=name)
    if any(fault.code == "metadata-size" for fault in log.found()):
        raise Refused(log.found())
    return values


# Fields whose name in the file differs from the plural under which `packaging` keeps them.
_SINGULAR = frozenset(
    """
    classifier import-name import-namespace license-file platform project-url supported-platform
    """.split()  # noqa: SIM905  # a list of literals says no more
)


def _take_early_license_fields(values: RawMetadata, log: FaultLog) -> tuple[str | None, tuple[str, ...]]:
    """Take the fields of PEP 639 out of metadata older than 2.4.

    Setuptools, hatchling and poetry wrote them for years before there was a metadata version that has them. The
    expression is checked as if there had been one; the files are not, since their meaning was not defined.
    """
    try:
        if Version(values.get("metadata_version", "")) >= _LICENSE_FIELDS_SINCE:
            return None, ()
    except ValueError:
        return None, ()
    files = tuple(values.pop("license_files", []))
    expression = values.pop("license_expression", None)
    if expression is None:
        return None, files
    try:
        return canonicalize_license_expression(expression), files
    except (ValueError, RecursionError, MemoryError):
        log.add("metadata-form", "expected an SPDX license expression, got something else", field="license-expression")
        return None, files


def _add_invalid(error: Exception, log: FaultLog) -> None:
    if not isinstance(error, InvalidMetadata):
        log.add("metadata-form", f"expected values that can be parsed, got {type(error).__name__}")
        return
    message = ascii(str(error))[1:-1][:MAX_MESSAGE_CHARS]
    name = error.field.replace("_", "-")
    code = {"metadata-version": "metadata-version", "name": "metadata-name", "version": "metadata-release-version"}
    log.add(code.get(name, "metadata-form"), f"expected what the specification defines, got {message}", field=name)


def _from_packaging(
    parsed: Metadata, raw: bytes, early_license: str | None, early_files: tuple[str, ...]
) -> CoreMetadata:
    return CoreMetadata(
        metadata_version=parsed.metadata_version,
        name=parsed.name,
        normalized_name=normalize(parsed.name),
        version=parsed.version,
        summary=parsed.summary,
        description=parsed.description,
        description_content_type=parsed.description_content_type,
        keywords=tuple(parsed.keywords or ()),
        author=parsed.author,
        author_email=parsed.author_email,
        maintainer=parsed.maintainer,
        maintainer_email=parsed.maintainer_email,
        license=parsed.license,
        license_expression=parsed.license_expression or early_license,
        license_files=tuple(parsed.license_files or ()) or early_files,
        classifiers=tuple(parsed.classifiers or ()),
        platforms=tuple(parsed.platforms or ()),
        supported_platforms=tuple(parsed.supported_platforms or ()),
        home_page=parsed.home_page,
        download_url=parsed.download_url,
        project_urls=tuple((parsed.project_urls or {}).items()),
        requires_python=parsed.requires_python,
        requires_dist=tuple(parsed.requires_dist or ()),
        requires_external=tuple(parsed.requires_external or ()),
        provides_extra=tuple(parsed.provides_extra or ()),
        provides_dist=tuple(parsed.provides_dist or ()),
        obsoletes_dist=tuple(parsed.obsoletes_dist or ()),
        requires=tuple(parsed.requires or ()),
        provides=tuple(parsed.provides or ()),
        obsoletes=tuple(parsed.obsoletes or ()),
        import_names=None if parsed.import_names is None else tuple(parsed.import_names),
        import_namespaces=tuple(parsed.import_namespaces or ()),
        dynamic=tuple(parsed.dynamic or ()),
        raw=raw,
    )
