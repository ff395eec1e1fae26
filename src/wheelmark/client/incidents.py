"""What went wrong while an installer was running: the first incident decides how the run ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from wheelmark.errors import Untrusted, WheelmarkError

# What to do about a refusal, by the code of the error; the message itself says what was expected and what came.
_ADVICE = {
    "expired": "check this machine's clock, then tell the index's operators: it or a mirror serves old metadata",
    "rollback": "do not go on: the index, or somebody on the way, offers an older state than was seen before",
    "signature": "do not go on; ask the operators whether keys were changed, and whether your root is theirs",
    "root-fingerprint": "compare the fingerprint with the operators by another way before trusting anything",
    "egress": "name the verified index where the tool or its project names that source, or do it without wheelmark",
    "unlisted": "lock again if it was removed on purpose; else do not go on, and tell the index's operators",
    "bin-nameless": "the index was founded by an older version, and cannot prove what it does not have until its"
    " administrator has signed all bins anew with `wheelmark trust rotate bins-key`",
    "redirect": "ask the operators for the index's own address",
    "hash": "try once more; if it stays, a mirror mixes files of two states: tell the index's operators",
    "metadata": "this is no signed metadata: check the index's address, and whether a login page stands before it",
    "encoding": "look for a proxy that compresses answers again, and tell the index's operators",
    "endless-data": "do not go on: something sends more than was announced; tell the index's operators",
    "file": "do not install it by another way: the bytes are not those that the index published; tell its operators",
    "target": "tell the index's operators: what they sign is not what this version of wheelmark can verify",
}
# The same for what did not come.
_ADVICE_AWAY = {
    "offline": "go where the index can be reached, and install it once from there",
    "offline-expired": "go where the index can be reached: what is older cannot be told from what was withheld",
    "slow-retrieval": "try another network; somebody on the way may be holding answers up",
    "cache": "see that this user may write there, that there is space, and that no other run hangs",
}
_ADVICE_ELSE = "try once more; if it stays, tell the index's operators, for a mirror or the network changes bytes"


@dataclass(frozen=True, slots=True)
class Incident:
    """One answer that was withheld from the installer."""

    error: WheelmarkError

    @property
    def refused(self) -> bool:
        """True when bytes came and were wrong; False when something did not come."""
        return isinstance(self.error, Untrusted)

    def line(self) -> str:
        """The one line for standard error: what was expected, what came, what to do."""
        said = "".join(char if char.isprintable() else " " for char in str(self.error))
        said = " ".join(said.split())  # whatever came from outside stays on this line, and is no terminal's command
        if not self.refused:
            advice = _ADVICE_AWAY.get(self.error.code)
            return f"wheelmark: unavailable: {said}" + (f"; {advice}" if advice else "")
        return f"wheelmark: refused: {said}; {_ADVICE.get(self.error.code, _ADVICE_ELSE)}"


class Incidents:
    """Collects incidents from all threads; `notify` is called for each, in the thread where it happened."""

    def __init__(self, notify: Callable[[Incident], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._all: list[Incident] = []
        self.notify = notify

    def add(self, error: WheelmarkError) -> None:
        """Note an incident."""
        incident = Incident(error)
        with self._lock:
            self._all.append(incident)
        if self.notify is not None:
            self.notify(incident)

    def worst(self) -> Incident | None:
        """The first refusal, or else the first of the others."""
        with self._lock:
            return next((one for one in self._all if one.refused), self._all[0] if self._all else None)
