"""How safe an account is, and what its owner can do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

STALE_AFTER = timedelta(days=180)
"""A token unused for so long is more likely forgotten than needed."""

FEW_RECOVERY_CODES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about an account."""

    has_second_factor: bool
    needs_second_factor: bool  # the role on this index counts only with one
    recovery_codes_left: int
    has_email: bool
    has_verified_email: bool
    failed_logins: int  # since the last log-in but one
    stale_tokens: int  # live, and unused for `STALE_AFTER`
    endless_tokens: int  # live, and without expiry


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do: how pressing (`stop`, `warn`, `wait`), what is the case, and where to mend it."""

    kind: str
    text: str
    url_name: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer to "am I safe?" in one line, and all advice, most pressing first."""

    kind: str
    headline: str
    advice: tuple[Advice, ...]


_ORDER = ("stop", "warn", "wait")


def standing(facts: Facts) -> Standing:
    """Say how an account stands."""
    advice = tuple(sorted(_advice(facts), key=lambda item: _ORDER.index(item.kind)))
    if not facts.has_second_factor:
        return Standing("warn", "Only a password protects this account.", advice)
    if any(item.kind != "wait" for item in advice):
        return Standing("warn", "A second factor protects this account; something needs a look.", advice)
    return Standing("good", "A second factor protects this account.", advice)


def _advice(facts: Facts) -> list[Advice]:
    found = []
    if facts.needs_second_factor and not facts.has_second_factor:
        text = "Your role on this index does not count before you have a second factor."
        found.append(Advice("stop", text, "mfa_index", "Add a second factor"))
    elif not facts.has_second_factor:
        text = "Whoever learns your password can upload in your name."
        found.append(Advice("warn", text, "mfa_index", "Add a second factor"))
    elif facts.recovery_codes_left < FEW_RECOVERY_CODES:
        text = f"{_count(facts.recovery_codes_left, 'recovery code')} left for the day you lose your second factor."
        found.append(Advice("warn", text, "mfa_generate_recovery_codes", "Make new codes"))
    if facts.failed_logins:
        text = f"{_count(facts.failed_logins, 'log-in')} failed lately. Was it you?"
        found.append(Advice("warn", text, "account_events", "See when, and from where"))
    if not facts.has_email:
        text = "There is no e-mail address to tell you when something happens."
        found.append(Advice("warn", text, "account_email", "Add an address"))
    elif not facts.has_verified_email:
        text = "Your e-mail address is not confirmed."
        found.append(Advice("wait", text, "account_email", "Confirm it"))
    if facts.stale_tokens:
        text = f"{_count(facts.stale_tokens, 'token')} unused for half a year could still upload."
        found.append(Advice("warn", text, "account_tokens", "Revoke what you do not need"))
    if facts.endless_tokens:
        text = f"{_count(facts.endless_tokens, 'token')} never expire{'s' if facts.endless_tokens == 1 else ''}."
        found.append(Advice("wait", text, "account_tokens", "See them"))
    return found


def _count(number: int, noun: str) -> str:
    return f"{number or 'No'} {noun}{'' if number == 1 else 's'}"
