"""What a ceremony would change, for people: read from the bytes that are signed, never from anything beside them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from wheelmark.trust.ceremony import Ceremony, Demand
from wheelmark.trust.holders import grouped
from wheelmark.trust.keys import PublicKey, RoleKeys
from wheelmark.trust.layout import BINS, ROOT
from wheelmark.trust.terms import OFFLINE_ROLES, OfflineTerms

_WHAT = {
    "root": "root: names all other keys",
    "targets": "targets: names who signs bins",
    "bins": "bins: names online key 1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One ceremony in words. Two people who see the same fingerprint see the same words."""

    fingerprint: str
    built_on: str | None  # sha256 of the current root's file; None: a new index
    changes: tuple[str, ...]
    warnings: tuple[str, ...]
    demands: tuple[Demand, ...]

    @property
    def waits_for(self) -> tuple[str, ...]:
        """One line for each threshold: what it asks for, and what it has."""
        return tuple(_demand_line(demand) for demand in self.demands)

    def as_json(self) -> dict[str, object]:
        """The same for scripts."""
        return {
            "fingerprint": self.fingerprint,
            "built_on": self.built_on,
            "changes": list(self.changes),
            "warnings": list(self.warnings),
            "ready": all(demand.missing == 0 for demand in self.demands),
            "demands": [
                {
                    "role": demand.role,
                    "because": demand.because,
                    "threshold": demand.keys.threshold,
                    "signed": list(demand.signed),
                    "absent": [key.keyid for key in demand.absent],
                }
                for demand in self.demands
            ],
        }

    def text(self) -> str:
        """The page that is compared aloud, printed and kept."""
        built_on = f"root     {grouped(self.built_on)}" if self.built_on else "nothing: this founds a new index"
        lines = [
            "Ceremony",
            f"  {_halves(self.fingerprint)}",
            "Built on",
            f"  {built_on}",
            "It changes",
            *(f"  {line}" for line in self.changes),
        ]
        lines += ["Think twice", *(f"  ! {line}" for line in self.warnings)] if self.warnings else []
        return "\n".join([*lines, "It needs", *(f"  {line}" for line in self.waits_for)])


def summarize(ceremony: Ceremony, *, now: datetime) -> Summary:
    """Say what a ceremony would change, and what speaks against it."""
    before, after = ceremony.before, ceremony.after
    changes: list[str] = []
    for role in OFFLINE_ROLES:
        if role in ceremony.new:
            changes += [_version_line(role, before, after), *_role_lines(role, before, after)]
    return Summary(
        fingerprint=ceremony.fingerprint,
        built_on=hashlib.sha256(ceremony.current[ROOT]).hexdigest() if before else None,
        changes=tuple(changes),
        warnings=tuple(_warnings(ceremony, now)),
        demands=ceremony.demands,
    )


def waits_for(ceremony: Ceremony) -> tuple[str, ...]:
    """One line for each threshold that is not met; none: it can be finished."""
    return tuple(_demand_line(demand) for demand in ceremony.demands if demand.missing)


def short(key: PublicKey) -> str:
    """A key as people see it: eight digits are enough to tell the holders of one index apart."""
    return f"{key.keyid[:4]} {key.keyid[4:8]} ({key.scheme})"


def _halves(sha256: str) -> str:
    return f"{grouped(sha256[:32])}\n  {grouped(sha256[32:])}"


def _demand_line(demand: Demand) -> str:
    have = f"{len(demand.signed)} of {demand.keys.threshold}"
    state = (
        "met"
        if not demand.missing
        else f"{have}, waits for {demand.missing} of: "
        + ", ".join(f"{key.keyid[:4]} {key.keyid[4:8]}" for key in demand.absent)
    )
    return f"{demand.role:<8} {demand.keys.threshold} of the {len(demand.keys.keys)} keys of {demand.because}: {state}"


def _version_line(role: str, before: OfflineTerms | None, after: OfflineTerms) -> str:
    new = after.of(role)
    until = f"{new.expires_at:%Y-%m-%d}"
    if before is None:
        return f"{_WHAT[role]}: version 1, until {until}"
    old = before.of(role)
    return f"{_WHAT[role]}: version {old.version} -> {new.version}, until {old.expires_at:%Y-%m-%d} -> {until}"


def _role_lines(role: str, before: OfflineTerms | None, after: OfflineTerms) -> list[str]:
    """What one role's new version says otherwise than the old one."""
    lines: list[str] = []
    if role == ROOT:
        lines += _holder_lines("root", before.root.root if before else None, after.root.root)
        lines += _holder_lines("targets", before.root.targets if before else None, after.root.targets)
        lines += _key_lines(
            "online key 2 (snapshot, timestamp)", before.root.publish if before else None, after.root.publish
        )
    elif role == BINS:
        lines += _key_lines("online key 1 (bins)", before.bins.online if before else None, after.bins.online)
        old, new = before.bins.layout if before else None, after.bins.layout
        if old is None:
            lines.append(f"  {new.bin_count:,} bins")
        elif old != new:
            lines.append(f"  {old.bin_count:,} -> {new.bin_count:,} bins: every client fetches all of them anew")
    else:
        lines += _holder_lines("bins", before.targets.bins if before else None, after.targets.bins)
    return lines or ["  nothing but version and expiry"]


def _holder_lines(role: str, old: RoleKeys | None, new: RoleKeys) -> list[str]:
    of_new = f"{new.threshold} of {len(new.keys)}"
    if old is None:
        return [f"  signers of {role}: {of_new}", *(f"    + {short(key)}" for key in new.keys)]
    if old == new:
        return []
    of_old = f"{old.threshold} of {len(old.keys)}"
    marks = [("-", key) for key in old.keys if key not in new.keys]
    marks += [("+" if key not in old.keys else " ", key) for key in new.keys]
    return [f"  signers of {role}: {of_old} -> {of_new}", *(f"    {mark} {short(key)}" for mark, key in marks)]


def _key_lines(what: str, old: PublicKey | None, new: PublicKey) -> list[str]:
    if old is None:
        return [f"  {what}: {short(new)}"]
    return [] if old == new else [f"  {what}: {short(old)} -> {short(new)}"]


def _warnings(ceremony: Ceremony, now: datetime) -> list[str]:
    """What people regret: one key that does everything, no key to spare, an expiry that is near."""
    found = []
    for role in OFFLINE_ROLES:
        keys = ceremony.after.holders(role)
        if keys.threshold == 1:
            found.append(f"{role}: one key alone signs it, and whoever steals it")
        if keys.threshold == len(keys.keys):
            found.append(f"{role}: every key is needed; if one is lost, nobody can sign it again")
        if ceremony.after.of(role).expires_at <= now:
            found.append(f"{role}: has expired; begin a new ceremony")
    return found
