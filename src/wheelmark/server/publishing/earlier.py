"""An earlier snapshot of this index, as the store still has it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from wheelmark.errors import Refused
from wheelmark.server.publishing.keys import role_key
from wheelmark.server.publishing.models import Snapshot
from wheelmark.store import Missing, Store
from wheelmark.trust import SNAPSHOT, TargetRow
from wheelmark.trust.audit import read_targets, read_versions

_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier snapshot listed, and how far the journal was published then."""

    store: Store
    version: int
    serial: int
    versions: Mapping[str, int]  # by role

    @classmethod
    def named(cls, store: Store, text: str) -> Self:
        """The snapshot of this version, or the one in force at this time (ISO 8601; UTC unless it says otherwise).

        Raises:
            Refused: there is none, or the store has it no longer, or not as it was.
        """
        row = _row(text)
        name = f"{row.version}.{SNAPSHOT}.json"
        try:
            content = store.read_all(role_key(row.version, SNAPSHOT), max_bytes=_MAX_BYTES)
        except Missing as error:
            raise Refused.because(
                "since-collected", "--since", f"expected a snapshot that the store still has, got {name}"
            ) from error
        if hashlib.sha256(content).hexdigest() != row.sha256:
            raise Refused.because("since-changed", "--since", f"expected {name} with sha256 {row.sha256}, got another")
        return cls(store, row.version, row.serial, read_versions(content, name))

    def targets(self, role: str) -> dict[str, TargetRow] | None:
        """What a bin listed then; None if the store has it no longer.

        Raises:
            Untrusted: it is no such file.
        """
        version = self.versions.get(role)
        if version is None:
            return {}
        try:
            content = self.store.read_all(role_key(version, role), max_bytes=_MAX_BYTES)
        except Missing:
            return None
        return read_targets(content, f"{version}.{role}.json")


def _row(text: str) -> Snapshot:
    rows = Snapshot.objects.order_by("-timestamp_version")
    if text.isascii() and text.isdigit() and len(text) < 19:
        found = rows.filter(version=int(text)).first()
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise Refused.because(
                "since-form", "--since", f"expected a version or a time such as 2026-11-25T14:30, got {text!r}"
            ) from error
        found = rows.filter(at__lte=moment if moment.tzinfo else moment.replace(tzinfo=UTC)).first()
    if found is None:
        oldest = rows.last()
        known = f"{oldest.version} of {oldest.at:%Y-%m-%d %H:%M} UTC or later" if oldest else "one"
        raise Refused.because("since-unknown", "--since", f"expected a snapshot of this index ({known}), got {text!r}")
    return found
