"""What one snapshot says, as far as somebody asked, in memory; and the watcher that goes on to the next one.

A request takes the current generation once and answers from it alone, so it never mixes two snapshots. What is not in
memory is read with the version it belongs to; when that is another version, the generation is renewed first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from wheelmark.errors import Unavailable
from wheelmark.server.delivery.cache import SingleFlight
from wheelmark.server.delivery.catalog import Catalog, Current, FileRow, PageRow

WATCH_SECONDS = 0.075
"""How long a new snapshot waits at most before it is served."""

MAX_REMEMBERED = 50_000
"""Answers of one kind that a generation remembers, about 25 MB. Whoever asks for random names makes it forget."""

MAX_HOT, MAX_HOT_BYTES, MAX_HOT_KEY_CHARS = 512, 64 * 1024, 1024
"""Whole answers that a generation remembers (at most 32 MB), and how large one and its request's words may be."""

MAX_RENEWALS = 5
"""Snapshots that may come between two reads of one request. The publisher makes a few in a second at most."""

HotKey = tuple[str, str | None, str | None]
"""A path, `Accept` and `Accept-Encoding`: all that a plain GET's answer depends on within one generation."""

log = structlog.get_logger(__name__)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class HotAnswer:
    """A 200 as the server takes it, ready to be sent again."""

    headers: list[tuple[str, str]]
    body: list[bytes]
    count: Callable[[], object]  # tells the metrics


@dataclass(frozen=True, slots=True)
class Generation:
    """One snapshot. The dicts remember answers, None among them: "the snapshot does not list it"."""

    current: Current
    pages: dict[str, PageRow | None] = field(default_factory=dict)
    files: dict[str, FileRow | None] = field(default_factory=dict)
    roles: dict[str, int | None] = field(default_factory=dict)
    list_of: Current | None = None  # an earlier snapshot with the same project list; None: this one
    hot: dict[HotKey, HotAnswer] = field(default_factory=dict)  # gone with the generation, so never stale

    def followed_by(self, current: Current, changed: set[str] | None) -> Generation:
        """The generation of a later snapshot, which still knows what `changed` pages do not touch.

        Not carried over: answers "not listed", which a new snapshot may have made untrue; and everything when `changed`
        is None or there are fewer pages than before, since a page that went away leaves no row that says so.
        """
        if changed is None or current.projects < self.current.projects:
            return Generation(current)
        pages, files = dict(self.pages), dict(self.files)  # copied first: other threads still write to ours
        return Generation(
            current,
            {name: row for name, row in pages.items() if row is not None and name not in changed},
            {name: row for name, row in files.items() if row is not None and row.page not in changed},
            # A project keeps its page for ever, so as many pages as before are the same pages.
            list_of=self.listed if current.projects == self.current.projects else None,
        )

    def heat(self, key: HotKey, answer: HotAnswer) -> None:
        """Remember a whole answer, if it is small enough."""
        if len(answer.body[0]) <= MAX_HOT_BYTES and sum(len(word or "") for word in key) <= MAX_HOT_KEY_CHARS:
            if len(self.hot) >= MAX_HOT:
                self.hot.clear()
            self.hot[key] = answer

    @property
    def listed(self) -> Current:
        """The snapshot whose project list this one shares."""
        return self.list_of or self.current


class Snapshots:
    """The current generation, renewed by a watcher and by requests that run ahead of it."""

    def __init__(self, catalog: Catalog, flights: SingleFlight) -> None:
        self._catalog = catalog
        self._flights = flights
        self._generation: Generation | None = None
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def generation(self) -> Generation:
        """The newest snapshot that we know of. When the database is away, it stays: old, but signed.

        Raises:
            Unavailable: there is none yet (`not-founded`).
        """
        if self._generation is None:
            self.renew()
        if self._generation is None:
            raise Unavailable("this index has not published anything yet", code="not-founded")
        return self._generation

    @property
    def known(self) -> Generation | None:
        """The newest snapshot that we know of, without asking anybody."""
        return self._generation

    def page(self, generation: Generation, name: str) -> tuple[Generation, PageRow | None]:
        """What the snapshot says of a page, and the generation that says it: the given one, or a newer."""
        return self._answer(generation, name, lambda known: known.pages, self._catalog.page)

    def file(self, generation: Generation, filename: str) -> tuple[Generation, FileRow | None]:
        """What the snapshot says of a file."""
        return self._answer(generation, filename, lambda known: known.files, self._catalog.file)

    def role(self, generation: Generation, role: str) -> tuple[Generation, int | None]:
        """The version of a role that the snapshot names."""
        return self._answer(generation, role, lambda known: known.roles, self._catalog.role)

    def _answer(
        self,
        generation: Generation,
        key: str,
        remembered: Callable[[Generation], dict[str, Row | None]],
        read: Callable[[str], tuple[int, Row | None]],
    ) -> tuple[Generation, Row | None]:
        for _ in range(MAX_RENEWALS):
            answers = remembered(generation)
            if (row := answers.get(key, _UNKNOWN)) is not _UNKNOWN:
                return generation, row  # type: ignore[return-value]  # not the marker, so a row or None
            version, row = self._flights.load((read.__name__, key), lambda: read(key))
            if version == generation.current.version:
                if len(answers) >= MAX_REMEMBERED:
                    answers.clear()
                answers[key] = row
                return generation, row
            self.renew()
            generation = self.generation
        raise Unavailable("the snapshots change faster than they can be read", code="delivery-overtaken")

    def renew(self) -> bool:
        """Look what the current snapshot is; say whether it was a new one."""
        return self._flights.load("renew", self._renew)

    def _renew(self) -> bool:
        known, current = self._generation, self._catalog.current()
        if current is None or (known is not None and current.timestamp_version <= known.current.timestamp_version):
            # Lower after a restored backup: then nothing that we know is of use.
            restored = current is not None and known is not None and current != known.current
            if restored and current is not None:
                log.warning("snapshot-went-back", version=current.version)
                self._generation = Generation(current)
            return restored
        if known is None:
            self._generation = Generation(current)
        else:
            self._generation = known.followed_by(current, self._catalog.changed_since(known.current.version))
        return True

    def start(self) -> None:
        """Start the watcher."""
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="delivery-watcher", daemon=True)
            self._watcher.start()

    def stop(self) -> None:
        """Stop the watcher."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()

    def _watch(self) -> None:
        away, to_look = False, True
        while not self._stop.wait(WATCH_SECONDS):
            try:
                # A look that failed is owed: the change that it was for is not told twice.
                to_look = self._catalog.may_have_changed() or to_look
                if to_look:
                    self.renew()
                    to_look = False
            except Unavailable as error:
                if not away:
                    log.error("delivery-serves-the-last-snapshot", error=str(error))
                away = True
            except Exception:
                log.exception("delivery-watcher-failed")
            else:
                if away:
                    log.info("delivery-sees-the-database-again")
                away = False


class _Unknown:
    """The type of the marker for "never asked"; None is an answer."""


_UNKNOWN = _Unknown()
