"""What an upload must satisfy beyond the file itself. Pure: rows come in as values, faults go out.

The rules about the file (name, archive, metadata) are `wheelmark.dist`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest

from wheelmark.errors import Fault

ACTION = "file_upload"
PROTOCOL_VERSION = "1"
KINDS = ("sdist", "bdist_wheel")
DIGESTS = {"md5_digest": "md5", "sha256_digest": "sha256", "blake2_256_digest": "blake2b_256"}
"""Form field of each digest that clients send, and our name for it."""

NEW_PROJECTS_AN_HOUR = 20
"""Projects that one user may create in an hour: a person never needs more, a spammer always does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseState:
    """What the index holds of the release that a file wants to join."""

    opened_at: datetime | None  # None: the file would open it
    has_sdist: bool
    project_bytes: int  # all files of the project that are not removed or rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits that apply to this project. Bytes; days, 0 for never."""

    max_file: int
    max_project: int
    release_days: int


def form_shape_faults(form: Mapping[str, str], *, has_content: bool) -> list[Fault]:
    """What is wrong with the form as such (legacy upload API)."""
    faults = []
    if form.get(":action") != ACTION:
        faults.append(Fault("form-action", ":action", f"expected {ACTION!r}, got {form.get(':action')!r}"))
    if form.get("protocol_version", PROTOCOL_VERSION) != PROTOCOL_VERSION:
        got = form.get("protocol_version")
        faults.append(Fault("form-protocol", "protocol_version", f"expected {PROTOCOL_VERSION!r}, got {got!r}"))
    if form.get("filetype") not in KINDS:
        got = form.get("filetype")
        faults.append(Fault("form-filetype", "filetype", f"expected one of {', '.join(KINDS)}, got {got!r}"))
    if not form.get("pyversion"):
        faults.append(Fault("form-pyversion", "pyversion", "expected a Python tag or `source`, got nothing"))
    elif form.get("filetype") == "sdist" and form["pyversion"] != "source":
        faults.append(
            Fault("form-pyversion", "pyversion", f"expected 'source' for an sdist, got {form['pyversion']!r}")
        )
    if not any(form.get(field) for field in DIGESTS):
        faults.append(Fault("form-digest", "sha256_digest", f"expected at least one of {', '.join(DIGESTS)}, got none"))
    if not has_content:
        faults.append(Fault("form-content", "content", "expected the distribution as a file part, got none"))
    return faults


def digest_faults(form: Mapping[str, str], computed: Mapping[str, str]) -> list[Fault]:
    """Every digest that the client sent and that is not what arrived. `computed`: our name of the digest -> hex."""
    faults = []
    for field, name in DIGESTS.items():
        claimed = form.get(field, "").strip().lower()
        if claimed and not compare_digest(claimed.encode(), computed[name].encode()):
            faults.append(Fault("digest-mismatch", field, f"expected {claimed}, got {computed[name]}"))
    return faults


def size_faults(size: int, release: ReleaseState, limits: Limits) -> list[Fault]:
    """Limits on the file and on the project."""
    faults = []
    if size > limits.max_file:
        faults.append(Fault("file-too-large", "content", f"expected at most {limits.max_file:,} bytes, got {size:,}"))
    if release.project_bytes + size > limits.max_project:
        faults.append(
            Fault(
                "project-too-large",
                "content",
                f"expected at most {limits.max_project:,} bytes in the project, got {release.project_bytes + size:,}",
            )
        )
    return faults


def release_faults(kind: str, release: ReleaseState, limits: Limits, *, now: datetime) -> list[Fault]:
    """Rules on joining a release: one sdist, and only while it is open.

    A release that is closed after some days cannot be turned into something else by a thief of a token long after
    its users have looked at it and pinned it.
    """
    faults = []
    if kind == "sdist" and release.has_sdist:
        faults.append(Fault("second-sdist", "content", "expected one sdist in a release, got a second"))
    if limits.release_days and release.opened_at is not None:
        closes_at = release.opened_at + timedelta(days=limits.release_days)
        if now > closes_at:
            faults.append(
                Fault(
                    "release-closed",
                    "version",
                    f"expected files within {limits.release_days} days of the first, which was on "
                    f"{release.opened_at:%Y-%m-%d}; make a new version",
                )
            )
    return faults
