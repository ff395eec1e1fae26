"""What an upload must satisfy beyond the file itself. Pure: rows come in as values, faults go out.

The rules about the file (name, archive, metadata) are `wheelmark.dist`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest

from wheelmark.dist import DistributionKind
from wheelmark.dist.faults import quoted
from wheelmark.errors import Fault
from wheelmark.server.intake.faults import fault

Form = Mapping[str, Sequence[str]]
"""The fields of a form that are text; each has one value or several."""

CONTENT = "content"
"""The part that holds the distribution."""

ACTION = "file_upload"
PROTOCOL_VERSION = "1"
KINDS = ("sdist", "bdist_wheel")
DIGESTS = {"md5_digest": "md5", "sha256_digest": "sha256", "blake2_256_digest": "blake2b_256"}
"""Form field of each digest that clients send, and our name for it."""

ONE_VALUE_FIELDS = (":action", "protocol_version", "filetype", "pyversion", *DIGESTS)
"""Fields of the protocol: two values would leave open which one was meant. Metadata is compared with the file's."""

NEW_PROJECTS_AN_HOUR = 20
"""Projects that one user may create in an hour: a person never needs more, a spammer always does."""

COLUMN_CHARS = {
    "name": 100,
    "version": 100,
    "pyversion": 100,
    "requires_python": 200,
    "description_content_type": 100,
}
"""The longest value that its column takes; a database that counts (SQLite does not) would refuse a longer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseState:
    """What the index holds of the release that a file wants to join."""

    opened_at: datetime | None  # None: the file would open it
    has_sdist: bool
    is_yanked: bool
    project_bytes: int  # all files of the project that are not removed or rejected


NO_RELEASE = ReleaseState(opened_at=None, has_sdist=False, is_yanked=False, project_bytes=0)
"""What a project that is yet to be created has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits that apply to this project. Bytes; days, 0 for never."""

    max_file: int
    max_project: int
    release_days: int


def form_shape_faults(form: Form, *, content_parts: int) -> list[Fault]:
    """What is wrong with the form as such. `content_parts`: how many of its file parts are called `content`.

    Source: the legacy upload API, as Warehouse documents it.
    """
    faults = [
        fault("form-field-twice", f"expected one value, got {len(form[field])}", field=field)
        for field in ONE_VALUE_FIELDS
        if len(form.get(field, ())) > 1
    ]
    action, protocol, kind, python = (first(form, field) for field in ONE_VALUE_FIELDS[:4])
    if action != ACTION:
        faults.append(fault("form-action", f"expected {ACTION!r}, got {_shown(action)}"))
    if protocol not in (None, PROTOCOL_VERSION):
        faults.append(fault("form-protocol", f"expected {PROTOCOL_VERSION!r}, got {_shown(protocol)}"))
    if kind not in KINDS:
        faults.append(fault("form-filetype", f"expected one of {', '.join(KINDS)}, got {_shown(kind)}"))
    if kind == "bdist_wheel" and not python:
        faults.append(fault("form-pyversion", "expected a Python tag for a wheel, got nothing"))
    elif kind == "sdist" and python not in (None, "", "source"):
        # Poetry and flit leave it out for an sdist, as Warehouse lets them.
        faults.append(fault("form-pyversion", f"expected 'source' for an sdist, got {_shown(python)}"))
    if not any(first(form, field) for field in DIGESTS):
        faults.append(fault("form-digest", f"expected at least one of {', '.join(DIGESTS)}, got none"))
    if CONTENT in form:
        faults.append(fault("form-content", "expected the distribution as a file with a name, got a text field"))
    elif content_parts != 1:
        faults.append(fault("form-content", f"expected the distribution as one file, got {content_parts or 'none'}"))
    return faults


def kind_faults(form: Form, kind: DistributionKind) -> list[Fault]:
    """Whether the form calls a wheel a wheel and an sdist an sdist."""
    claimed = first(form, "filetype")
    if claimed in KINDS and claimed != kind:
        return [fault("form-filetype", f"expected {kind!r} as the file's name says, got {claimed!r}")]
    return []


def digest_faults(form: Form, computed: Mapping[str, str]) -> list[Fault]:
    """Every digest that the client sent and that is not what arrived. `computed`: our name of the digest -> hex."""
    faults = []
    for field, name in DIGESTS.items():
        claimed = (first(form, field) or "").strip().lower()
        if claimed and not compare_digest(claimed.encode(), computed[name].encode()):
            faults.append(fault("digest-mismatch", f"expected {quoted(claimed)}, got {computed[name]!r}", field=field))
    return faults


def size_faults(size: int, release: ReleaseState, limits: Limits) -> list[Fault]:
    """Limits on the file and on the project."""
    faults = []
    if size > limits.max_file:
        faults.append(fault("file-too-large", f"expected at most {limits.max_file:,} bytes, got {size:,}"))
    together = release.project_bytes + size
    if together > limits.max_project:
        message = f"expected at most {limits.max_project:,} bytes in the project, got {together:,}"
        faults.append(fault("project-too-large", message))
    return faults


def release_faults(kind: DistributionKind, release: ReleaseState, limits: Limits, *, now: datetime) -> list[Fault]:
    """Rules on joining a release: one sdist, and only while it is open and not yanked.

    A release that is closed after some days cannot be turned into something else by a thief of a token long after
    its users have looked at it and pinned it.
    """
    faults = []
    if kind == "sdist" and release.has_sdist:
        faults.append(fault("second-sdist", "expected one sdist in a release, got a second"))
    if release.is_yanked:
        message = "expected a release that is not yanked, got a yanked one: take the yank back, or make a new version"
        faults.append(fault("release-yanked", message))
    if limits.release_days and release.opened_at is not None:
        closes_at = release.opened_at + timedelta(days=limits.release_days)
        if now > closes_at:
            faults.append(
                fault(
                    "release-closed",
                    f"expected files within {limits.release_days} days of the first, got one for a release of"
                    f" {release.opened_at:%Y-%m-%d}: make a new version",
                )
            )
    return faults


def column_faults(lengths: Mapping[str, str], texts: Mapping[str, str]) -> list[Fault]:
    """What the rows could not hold: a value longer than its column, or a NUL, which PostgreSQL has no text for.

    `lengths` has a value for each field of `COLUMN_CHARS`, `texts` every text that is kept, by field.
    """
    faults = []
    for field, value in lengths.items():
        if len(value) > COLUMN_CHARS[field]:
            message = f"expected at most {COLUMN_CHARS[field]} characters, got {len(value)}"
            faults.append(fault("metadata-too-long", message, field=field))
    for field, text in texts.items():
        if "\0" in text:
            faults.append(fault("metadata-nul", "expected text, got a NUL character in it", field=field))
    return faults


def first(form: Form, field: str) -> str | None:
    """The field's first value; None when it is not there."""
    values = form.get(field)
    return values[0] if values else None


def _shown(value: str | None) -> str:
    return "nothing" if value is None else quoted(value)
