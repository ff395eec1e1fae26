"""Whether the form of an upload says what the file says. The file is right; a form that disagrees is refused.

Clients spell the same thing in different ways (twine joins keywords with `, `, poetry puts specifiers in parentheses),
so values are compared by meaning. A field that the form leaves out, or leaves empty, disagrees with nothing.

Not compared are `metadata_version`, which says how a client wrote its form (flit always sends the same one), and
`provides`, `requires`, `obsoletes`, which nothing has read since PEP 314 (flit makes the first one up).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelmark.dist.faults import FaultLog, quoted
from wheelmark.dist.metadata import MAX_EXPRESSION_CHARS, CoreMetadata
from wheelmark.errors import Fault

Canonical = Callable[[str], object]


def _text(value: str) -> str:
    return " ".join(value.split())


def _requirement(value: str) -> object:
    parsed = Requirement(value)
    extras = frozenset(canonicalize_name(extra) for extra in parsed.extras)
    marker = None if parsed.marker is None else str(parsed.marker)
    return canonicalize_name(parsed.name), extras, _specifiers(str(parsed.specifier)), parsed.url, marker


def _specifiers(value: str) -> object:
    return frozenset(str(one) for one in SpecifierSet(value))


def _label_and_url(value: str) -> object:
    label, _, url = value.partition(",")
    return label.strip(), url.strip()


def _license(value: str) -> object:
    return canonicalize_license_expression(value)


_RECURSIVE = (_requirement, _specifiers, _license)

_SINGLE: dict[str, tuple[str, Canonical]] = {
    "name": ("name", canonicalize_name),
    "version": ("version", Version),
    "summary": ("summary", _text),
    "description": ("description", _text),
    "description_content_type": ("description_content_type", str.lower),
    "author": ("author", _text),
    "author_email": ("author_email", _text),
    "maintainer": ("maintainer", _text),
    "maintainer_email": ("maintainer_email", _text),
    "license": ("license", _text),
    "license_expression": ("license_expression", _license),
    "home_page": ("home_page", str.strip),
    "download_url": ("download_url", str.strip),
    "requires_python": ("requires_python", _specifiers),
}
"""Form field, attribute of the metadata, and what makes two spellings the same."""

_SEVERAL: dict[str, tuple[str, Canonical]] = {
    "classifiers": ("classifiers", str.strip),
    "platform": ("platforms", _text),
    "supported_platform": ("supported_platforms", _text),
    "requires_dist": ("requires_dist", _requirement),
    "requires_external": ("requires_external", _text),
    "provides_extra": ("provides_extra", canonicalize_name),
    "provides_dist": ("provides_dist", _text),
    "obsoletes_dist": ("obsoletes_dist", _text),
    "license_file": ("license_files", str.strip),
    "license_files": ("license_files", str.strip),
    "import_name": ("import_names", _text),
    "import_names": ("import_names", _text),
    "import_namespace": ("import_namespaces", _text),
    "import_namespaces": ("import_namespaces", _text),
    "dynamic": ("dynamic", str.lower),
}

_NOT_GIVEN = ("", "UNKNOWN")


def form_faults(metadata: CoreMetadata, form: Mapping[str, Sequence[str]]) -> list[Fault]:
    """Every metadata field of a form that says something else than the file. Fields of other kinds are passed over."""
    log = FaultLog()
    for name, sent in form.items():
        values = [value for value in sent if value.strip() not in _NOT_GIVEN]
        if not values:
            continue
        if name in _SINGLE:
            attribute, canonical = _SINGLE[name]
            held = getattr(metadata, attribute)
            in_file = [] if held is None else [str(held)]
        elif name in _SEVERAL:
            attribute, canonical = _SEVERAL[name]
            in_file = [str(value) for value in getattr(metadata, attribute) or ()]
        elif name == "keywords":
            values, in_file, canonical = _words(values), _words(metadata.keywords), _text
        elif name == "project_urls":
            in_file, canonical = [f"{label}, {url}" for label, url in metadata.project_urls], _label_and_url
        else:
            continue
        if _meanings(values, canonical) != _meanings(in_file, canonical):
            log.add(
                "form-disagrees",
                f"expected {_shown(in_file)} as in the file's metadata, got {_shown(values)}",
                field=name,
            )
    return log.found()


def _words(values: Sequence[str]) -> list[str]:
    return [word for value in values for word in value.replace(",", " ").split()]


def _meanings(values: Sequence[str], canonical: Canonical) -> set[object]:
    return {_meaning(value, canonical) for value in values}


def _meaning(value: str, canonical: Canonical) -> object:
    """The value in canonical form; the bare text when it has none, which then equals only itself."""
    if canonical in _RECURSIVE and len(value) > MAX_EXPRESSION_CHARS:
        return value
    try:
        return canonical(value)
    except (ValueError, RecursionError, MemoryError):
        return value


def _shown(values: Sequence[str]) -> str:
    if not values:
        return "nothing"
    first = ", ".join(quoted(value) for value in values[:3])
    return first if len(values) <= 3 else f"{first} and {len(values) - 3} more"
