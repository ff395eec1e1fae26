"""Answers the read path: from an address to bytes, through what the current snapshot lists.

Whatever is served passes one of the `Snapshots` methods first, and so is named by a committed row. The bytes are
looked up by the hash in that row, never by what the client wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote

from wheelmark.dist import NormalizedName
from wheelmark.errors import Unavailable
from wheelmark.server.delivery.addresses import (
    Address,
    DeltaAddress,
    FileAddress,
    PageAddress,
    ProjectListAddress,
    RoleAddress,
    TargetAddress,
    TimestampAddress,
)
from wheelmark.server.delivery.cache import SingleFlight, TwoSegmentCache
from wheelmark.server.delivery.catalog import Catalog, FileRow
from wheelmark.server.delivery.deltas import MAX_DELTA_SIDE_BYTES, make_delta
from wheelmark.server.delivery.encodings import REMEMBERED_HEADERS, Encoding, choose_encoding, encode
from wheelmark.server.delivery.generation import Snapshots
from wheelmark.server.delivery.ranges import Unsatisfiable, choose_part
from wheelmark.server.delivery.responses import (
    FOREVER,
    SHORT,
    Answer,
    Representation,
    file_headers,
    plain,
    redirect,
    represent,
)
from wheelmark.server.publishing.keys import file_key, metadata_key, page_key, role_key
from wheelmark.simple import (
    MAX_PAGE_BYTES,
    MediaType,
    ProjectList,
    negotiate,
    parse_page_json,
    render_list_html,
    render_list_json,
    render_page_html,
)
from wheelmark.store import CHUNK_BYTES, Missing, StoreReader

Environ = Mapping[str, Any]
Opened = TypeVar("Opened")

MAX_ROLE_BYTES = 64 * 1024 * 1024
"""The snapshot of an index with 8,192 bins has 1 MB; this is far from any real one."""

MAX_QUERY_CHARS = 512

SMALL_FILE_BYTES = CHUNK_BYTES
"""A file of one chunk is kept in memory; a larger one is streamed from the store each time."""

_JSON = "application/json"
_ZSTD = "application/zstd"
_OCTETS = "application/octet-stream"
_PAGE_VARY = "Accept, Accept-Encoding"
_VARY = "Accept-Encoding"

_negotiated = lru_cache(maxsize=REMEMBERED_HEADERS)(negotiate)


class ReadPath:
    """Gives an `Answer` for an `Address`."""

    def __init__(
        self,
        snapshots: Snapshots,
        catalog: Catalog,
        store: StoreReader,
        cache: TwoSegmentCache[Representation],
        flights: SingleFlight,
    ) -> None:
        self._snapshots = snapshots
        self._catalog = catalog
        self._store = store
        self._cache = cache
        self._flights = flights

    def answer(self, address: Address, environ: Environ) -> Answer:
        """The answer to a GET.

        Raises:
            Unavailable: database or store is away, and what is asked for is not in memory.
        """
        match address:
            case PageAddress():
                return self._page(address, environ)
            case FileAddress():
                return self._metadata(address, environ) if address.metadata else self._file(address, environ)
            case TimestampAddress():
                return self._timestamp(environ)
            case RoleAddress():
                return self._role(address, environ)
            case DeltaAddress():
                return self._delta(address, environ)
            case TargetAddress():
                return self._target(address, environ)
            case ProjectListAddress():
                return self._list(address, environ)

    def _page(self, address: PageAddress, environ: Environ) -> Answer:
        generation, row = self._snapshots.page(self._snapshots.generation, address.name)
        if row is None:
            return not_found(f"no project {address.name} in snapshot {generation.current.version}")
        if not address.canonical:
            return redirect(f"/simple/{address.name}/{_kept_query(environ)}")
        form = _form(environ)
        if form is None:
            return _not_acceptable()
        encoding = choose_encoding(environ.get("HTTP_ACCEPT_ENCODING"))

        def load() -> Representation:
            body = self._verified(page_key(row.name, row.sha256), row.sha256, max_bytes=MAX_PAGE_BYTES)
            if form is not MediaType.JSON:
                body = render_page_html(parse_page_json(body, expected_name=row.name))
            return _compressed(
                body,
                encoding,
                content_type=form.value,
                tag=row.sha256 if form is MediaType.JSON else f"{row.sha256}-{_SHORT_FORMS[form]}",
                cache=SHORT,
                vary=_PAGE_VARY,
                extra=[("X-PyPI-Last-Serial", str(row.serial)), ("Surrogate-Key", f"simple simple/{row.name}")],
            )

        return self._remembered(("page", row.sha256, form, encoding), load).answer(environ)

    def _list(self, address: ProjectListAddress, environ: Environ) -> Answer:
        if not address.canonical:
            return redirect(f"/simple/{_kept_query(environ)}")
        form = _form(environ)
        if form is None:
            return _not_acceptable()
        encoding = choose_encoding(environ.get("HTTP_ACCEPT_ENCODING"))
        basis = self._snapshots.generation.listed

        def load() -> Representation:
            _, names = self._catalog.names()
            projects = ProjectList(names=tuple(map(NormalizedName, names)), serial=basis.serial)
            body = render_list_json(projects) if form is MediaType.JSON else render_list_html(projects)
            return _compressed(
                body,
                encoding,
                content_type=form.value,
                tag=hashlib.sha256(body).hexdigest(),
                cache=SHORT,
                vary=_PAGE_VARY,
                extra=[("X-PyPI-Last-Serial", str(basis.serial)), ("Surrogate-Key", "simple simple-list")],
            )

        key = ("list", basis.version, basis.timestamp_version, form, encoding)
        return self._remembered(key, load).answer(environ)

    def _timestamp(self, environ: Environ) -> Answer:
        current = self._snapshots.generation.current

        def make() -> Representation:
            return represent(
                current.timestamp,
                content_type=_JSON,
                tag=hashlib.sha256(current.timestamp).hexdigest(),
                cache=SHORT,
                extra=[("Surrogate-Key", "timestamp")],
            )

        key = ("timestamp", current.timestamp)
        found = self._cache.get(key)
        if found is None:
            found = make()  # nothing to load: the bytes came with the generation
            self._cache.put(key, found, found.held_bytes)
        return found.answer(environ)

    def _role(self, address: RoleAddress, environ: Environ) -> Answer:
        generation, committed = self._snapshots.role(self._snapshots.generation, address.role)
        if committed is None or address.version > committed:
            return not_found(f"no version {address.version} of {address.role} in snapshot {generation.current.version}")
        encoding = choose_encoding(environ.get("HTTP_ACCEPT_ENCODING"))
        try:
            return self._role_bytes(address, encoding).answer(environ)
        except Missing:
            # A version that an attempt which died had reserved, or one that garbage collection took.
            return not_found(f"no version {address.version} of {address.role}")

    def _role_bytes(self, address: RoleAddress, encoding: Encoding) -> Representation:
        def load() -> Representation:
            body = self._store.read_all(role_key(address.version, address.role), max_bytes=MAX_ROLE_BYTES)
            tag = hashlib.sha256(body).hexdigest()
            return _compressed(body, encoding, content_type=_JSON, tag=tag, cache=FOREVER, vary=_VARY)

        return self._remembered(("role", address, encoding), load)

    def _delta(self, address: DeltaAddress, environ: Environ) -> Answer:
        """What turns one stored version into a later one. Nobody signs it: the client checks what it rebuilds."""
        generation, committed = self._snapshots.role(self._snapshots.generation, address.role)
        if committed is None or address.version > committed:
            return not_found(f"no version {address.version} of {address.role} in snapshot {generation.current.version}")
        if (found := self._cache.get(("delta", address))) is not None:
            return found.answer(environ)
        try:
            # Before the delta's own loading, and not inside it: a loading that waits for another could wait for ever.
            old, new = (
                self._role_bytes(RoleAddress(address.role, version), Encoding.IDENTITY).body
                for version in (address.base, address.version)
            )
        except Missing as error:
            return _no_longer(f"one of the two versions is not kept: {error}")
        if max(len(old), len(new)) > MAX_DELTA_SIDE_BYTES:
            return _no_longer(f"no delta between files of more than {MAX_DELTA_SIDE_BYTES} bytes")

        def load() -> Representation:
            body = make_delta(old, new)
            tag = hashlib.sha256(body).hexdigest()
            return represent(body, content_type=_ZSTD, tag=tag, cache=FOREVER, extra=[("Surrogate-Key", "deltas")])

        return self._remembered(("delta", address), load).answer(environ)

    def _target(self, address: TargetAddress, environ: Environ) -> Answer:
        generation, row = self._snapshots.page(self._snapshots.generation, address.name)
        current = row is not None and row.sha256 == address.sha256
        if not current and not self._superseded(address):
            return not_found(f"no such page of {address.name} in snapshot {generation.current.version}")
        encoding = choose_encoding(environ.get("HTTP_ACCEPT_ENCODING"))

        def load() -> Representation:
            key = page_key(address.name, address.sha256)
            if not current and self._store.head(key) is None:
                raise Missing(key)  # taken by garbage collection a moment ago, its row goes next
            body = self._verified(key, address.sha256, max_bytes=MAX_PAGE_BYTES)
            return _compressed(body, encoding, content_type=_JSON, tag=address.sha256, cache=FOREVER, vary=_VARY)

        try:
            return self._remembered(("target", address, encoding), load).answer(environ)
        except Missing:
            return not_found(f"the page of {address.name} with this hash is no longer kept")

    def _superseded(self, address: TargetAddress) -> bool:
        """Whether an earlier snapshot named this page: a client that read it a moment ago still comes for it."""
        key = ("superseded", address)
        return self._flights.load(key, lambda: self._catalog.superseded(address.name, address.sha256)) is not None

    def _metadata(self, address: FileAddress, environ: Environ) -> Answer:
        row = self._listed(address)
        if row is None or not row.metadata_sha256:
            return not_found(f"no core metadata of {address.filename}")
        encoding = choose_encoding(environ.get("HTTP_ACCEPT_ENCODING"))

        def load() -> Representation:
            sha256 = row.metadata_sha256
            body = self._verified(metadata_key(sha256), sha256, max_bytes=row.metadata_size)
            extra = [("Surrogate-Key", f"file/{address.sha256}")]
            return _compressed(body, encoding, content_type=_OCTETS, tag=sha256, cache=FOREVER, vary=_VARY, extra=extra)

        return self._remembered(("metadata", row.metadata_sha256, address.sha256, encoding), load).answer(environ)

    def _file(self, address: FileAddress, environ: Environ) -> Answer:
        row = self._listed(address)
        if row is None:
            return not_found(f"no file {address.filename} with this hash")
        etag = f'"{row.sha256}"'
        headers = file_headers(row.size, etag, FOREVER, extra=[("Surrogate-Key", f"file/{row.sha256}")])
        small = self._small_file(row, headers) if row.size <= SMALL_FILE_BYTES else None
        if "HTTP_IF_NONE_MATCH" in environ:
            unchanged = Representation(etag, headers, [("ETag", etag), ("Cache-Control", FOREVER)], b"")
            if (answer := unchanged.answer(environ)).status == HTTPStatus.NOT_MODIFIED:
                return answer
        part = choose_part(environ.get("HTTP_RANGE"), row.size, if_range=environ.get("HTTP_IF_RANGE"), etag=etag)
        if isinstance(part, Unsatisfiable):
            extra = [("Content-Range", f"bytes */{row.size}")]
            return plain(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"the file has {row.size} bytes", extra=extra)
        start, stop = (part.start, part.stop) if part else (0, row.size)
        if part:
            headers = [(name, str(stop - start) if name == "Content-Length" else value) for name, value in headers]
            headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{row.size}"))
        status = HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK
        if small is not None:
            return Answer(status, headers, small.body[start:stop])
        if environ["REQUEST_METHOD"] == "HEAD":
            return Answer(status, headers)
        return Answer(status, headers, _opened(lambda: self._store.read(file_key(row.sha256), start=start, stop=stop)))

    def _listed(self, address: FileAddress) -> FileRow | None:
        _, row = self._snapshots.file(self._snapshots.generation, address.filename)
        if row is None or row.sha256 != address.sha256:
            return None
        asked = row.metadata_sha256 if address.metadata else row.sha256
        return row if address.target_sha256 in {None, asked} else None

    def _small_file(self, row: FileRow, headers: list[tuple[str, str]]) -> Representation:
        def load() -> Representation:
            body = self._verified(file_key(row.sha256), row.sha256, max_bytes=row.size)
            return Representation(f'"{row.sha256}"', headers, [], body)

        return self._remembered(("file", row.sha256), load)

    def _remembered(self, key: tuple[object, ...], load: Callable[[], Representation]) -> Representation:
        found = self._cache.get(key)
        if found is None:
            found = self._flights.load(key, load)
            self._cache.put(key, found, found.held_bytes)
        return found

    def _verified(self, key: str, sha256: str, *, max_bytes: int) -> bytes:
        """Bytes that are what the committed row says; a damaged disk must not make us serve something else."""
        body = _opened(lambda: self._store.read_all(key, max_bytes=max_bytes))
        if (got := hashlib.sha256(body).hexdigest()) != sha256:
            raise Unavailable(f"{key}: expected sha256 {sha256}, got {got}", code="store-damaged")
        return body


_SHORT_FORMS = {MediaType.HTML: "html", MediaType.TEXT_HTML: "text"}


def _opened(opening: Callable[[], Opened]) -> Opened:
    """What a committed row names must be there; when it is not, that is our trouble and not a 404."""
    try:
        return opening()
    except Missing as error:
        raise Unavailable(f"the store has lost what a snapshot lists: {error}", code="store-damaged") from error


def not_found(message: str) -> Answer:
    """404. Caches keep it as shortly as a page: a client asks for the root after the last one at each refresh."""
    return plain(HTTPStatus.NOT_FOUND, message, cache=SHORT)


def _no_longer(message: str) -> Answer:
    """410: this index makes deltas, but not this one. A client that gets 404 asks for no others either."""
    return plain(HTTPStatus.GONE, f"{message}; fetch the whole file", cache=SHORT)


def _not_acceptable() -> Answer:
    offered = ", ".join(form.value for form in MediaType)
    return plain(HTTPStatus.NOT_ACCEPTABLE, f"expected Accept to name one of {offered}", extra=[("Vary", "Accept")])


def _compressed(body: bytes, encoding: Encoding, **described: Any) -> Representation:
    """A representation in this encoding, or plain where that is not larger."""
    encoded = encode(body, encoding)
    if len(encoded) >= len(body):
        encoded, encoding = body, Encoding.IDENTITY
    return represent(encoded, encoding=encoding, **described)


def _form(environ: Environ) -> MediaType | None:
    """The form of a Simple API page that the request asks for: `?format=` (PEP 691) before `Accept`."""
    query = environ.get("QUERY_STRING", "")
    if query and len(query) <= MAX_QUERY_CHARS:
        for item in query.split("&"):
            name, _, value = item.partition("=")
            if name == "format" and value:
                return negotiate(unquote(value))  # not unquote_plus: the form's name has a plus
    return _negotiated(environ.get("HTTP_ACCEPT"))


def _kept_query(environ: Environ) -> str:
    """The query for a redirect's address, if it is of harmless characters."""
    query = str(environ.get("QUERY_STRING", ""))
    harmless = len(query) <= MAX_QUERY_CHARS and all("!" <= character <= "~" for character in query)
    return f"?{query}" if query and harmless else ""
