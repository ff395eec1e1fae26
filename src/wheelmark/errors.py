"""The three ways in which something is not done, and what the caller should do next.

* `Refused`: the sender's input breaks a rule. Tell the sender every fault; do not retry.
* `Untrusted`: a signature, hash, length, version or expiry fails. Stop; keep the last trusted state.
* `Unavailable`: network, disk, database or signer is away. Retry within bounds; the work stays queued.

Wrong call order is a plain `RuntimeError`: it is our own mistake, not a state of the world.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule: a stable code, the field that breaks it, and a sentence "expected X, got Y"."""

    code: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message} [{self.code}]"


class WheelmarkError(Exception):
    """Base of all errors that Wheelmark raises on purpose. `code` is stable: scripts may match it."""

    code: str

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class Refused(WheelmarkError):
    """The input breaks one rule or several; `faults` names all that were found, never only the first."""

    faults: tuple[Fault, ...]

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        if not self.faults:
            raise RuntimeError("Refused needs at least one fault")
        super().__init__("; ".join(str(fault) for fault in self.faults), code=self.faults[0].code)

    @classmethod
    def because(cls, code: str, field: str, message: str) -> Refused:
        """A refusal with a single fault."""
        return cls([Fault(code, field, message)])


class Untrusted(WheelmarkError):
    """Something failed verification. Nothing may be used of it, and a warning is not enough."""


class Unavailable(WheelmarkError):
    """Something we depend on is away. The same call may succeed later."""
