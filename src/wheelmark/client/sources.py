"""Several verified indexes in order of priority, as one: which of them speaks for a project.

A project belongs to the first index that has it, and to no other (PEP 766, "index priority"). A prefix of names may
be given to one index: then only that one is ever asked for them. What an index does not have is proven by its signed
metadata; an index that does not answer, or lies, ends the search with an error and never with the next index.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from wheelmark.dist import is_normalized, parse_filename
from wheelmark.errors import Fault, Refused
from wheelmark.simple import ProjectPage, SimpleFile

if TYPE_CHECKING:
    from wheelmark.client.verifier import Verifier


class AtHand(Enum):
    """Whether something is known without asking anybody."""

    NO = False


NOT_AT_HAND = AtHand.NO


class Source:
    """One index; its verifier is opened at the first need, which may be in any thread."""

    def __init__(self, open_verifier: Callable[[], Verifier], *, namespaces: Sequence[str] = ()) -> None:
        self._open = open_verifier
        self._verifier: Verifier | None = None
        self._lock = threading.Lock()
        self.namespaces = tuple(namespaces)

    def verifier(self) -> Verifier:
        """The verifier, made once; call it early in a thread of its own to have it ready for the first request."""
        with self._lock:
            if self._verifier is None:
                self._verifier = self._open()
            return self._verifier

    def opened(self) -> Verifier | None:
        """The verifier if it was made already; never waits."""
        return self._verifier


@dataclass(frozen=True, slots=True)
class OwnedPage:
    """A verified page, and the index that it comes from."""

    source: Source
    page: ProjectPage

    def file(self, sha256: str, filename: str) -> SimpleFile | None:
        """The file, if the page lists it with this hash."""
        return next((one for one in self.page.files if one.filename == filename and one.sha256 == sha256), None)


class Sources:
    """The indexes, the one with the highest priority first. May be used by several threads at once."""

    def __init__(self, sources: Sequence[Source], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        if not sources:
            raise RuntimeError("Sources needs at least one index")
        self.all = tuple(sources)
        self._holders = _holders(self.all)
        self._monotonic = monotonic
        self._verified_at: float | None = None

    def page(self, name: str) -> OwnedPage | None:
        """The project's page and its owner; None is proof that no index that may have it does.

        Raises:
            Refused: `name` is not normalized.
            Untrusted: an index that had to be asked before the owner was known fails verification.
            Unavailable: such an index does not answer.
        """
        holder = self._holder(name)
        for source in self.all if holder is None else (holder,):
            page = source.verifier().page(name)
            self._verified_at = self._monotonic()
            if page is not None:
                return OwnedPage(source, page)
        return None

    def page_at_hand(self, name: str) -> OwnedPage | Literal[AtHand.NO] | None:
        """The same if all that it takes was verified a moment ago and is in memory; never waits, never raises."""
        holder = self._holder(name)
        for source in self.all if holder is None else (holder,):
            verifier = source.opened()
            page = NOT_AT_HAND if verifier is None else verifier.page_at_hand(name)
            if page is NOT_AT_HAND:
                return NOT_AT_HAND
            if page is not None:
                return OwnedPage(source, page)
        return None

    def page_of_file(self, filename: str) -> OwnedPage | None:
        """The page of the project that a file of this name belongs to; None also for what is no file name."""
        name = _project_of(filename)
        return None if name is None else self.page(name)

    def page_of_file_at_hand(self, filename: str) -> OwnedPage | Literal[AtHand.NO] | None:
        """The same from memory, as `page_at_hand`."""
        name = _project_of(filename)
        return None if name is None else self.page_at_hand(name)

    def unverified_seconds(self) -> float | None:
        """Seconds since metadata was last verified up to its root; None when it never was."""
        return None if self._verified_at is None else self._monotonic() - self._verified_at

    def _holder(self, name: str) -> Source | None:
        """Whom the longest prefix of the name that was given to somebody was given to."""
        if not self._holders:
            return None
        parts = name.split("-")
        prefixes = ("-".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((self._holders[prefix] for prefix in prefixes if prefix in self._holders), None)


def _project_of(filename: str) -> str | None:
    try:
        return parse_filename(filename, strict=False).name
    except Refused:
        return None


def _holders(sources: Sequence[Source]) -> dict[str, Source]:
    faults: list[Fault] = []
    holders: dict[str, Source] = {}
    for source in sources:
        for prefix in source.namespaces:
            if not is_normalized(prefix):
                faults.append(
                    Fault("namespace", "namespace", f"expected a normalized prefix like acme, got {prefix[:100]!r}")
                )
            elif holders.setdefault(prefix, source) is not source:
                faults.append(Fault("namespace", "namespace", f"expected one index for {prefix!r}, got two"))
    if faults:
        raise Refused(faults)
    return holders
