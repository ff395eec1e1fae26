"""The verifying client as a library.

verifier = Verifier("https://index.example.org/simple/", root_json, cache_dir)
page = verifier.page("demo")            # None: proof that the index has no such project
if page is not None:
    for file in page.files:
        for piece in verifier.open_file(file):
            ...                         # the last piece comes only when size and sha256 are right
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # tuf re-exports without saying so

from wheelmark.client.address import IndexAddress
from wheelmark.client.checks import (
    MAX_CORE_METADATA_BYTES,
    MAX_PROVENANCE_BYTES,
    check_page_bytes,
    checked_beside,
    checked_pieces,
    core_metadata_sha256,
    page_sha256,
    provenance_sha256,
)
from wheelmark.client.content import ContentCache
from wheelmark.client.fetching import Fetcher, HttpStatus, Kind, download
from wheelmark.client.http_fetcher import HttpFetcher
from wheelmark.client.metadata import TrustedMetadata
from wheelmark.client.sources import NOT_AT_HAND, AtHand
from wheelmark.dist import NormalizedName, is_normalized
from wheelmark.errors import Refused
from wheelmark.simple import ProjectPage, SimpleFile, parse_page_json

MAX_PAGES_IN_MEMORY = 512
WHOLE_BYTES = 4 * 1024 * 1024  # what is kept and no larger is read, hashed and given as one piece


def _as_one_piece(whole: bytes) -> Generator[bytes]:
    yield whole


def utc_now() -> datetime:
    """The clock that is used when none is passed in."""
    return datetime.now(UTC)


class Verifier:
    """Pages and files of one index, each verified up to the trusted root. May be used by several threads at once.

    The chain: root → timestamp → snapshot → targets → bin → page (TUF specification § 5) → file, core metadata,
    provenance (sha256, and of the file the size, in the page). `cache_dir` belongs to this index alone and should
    outlive the run: it holds the memory against rollback, and pages and files that were verified before. `content`
    keeps the latter elsewhere; indexes may share it. `notify` gets one line for people when the index does not answer
    and the memory is used.
    """

    def __init__(
        self,
        index_url: str,
        trusted_root: bytes,
        cache_dir: Path,
        *,
        fetcher: Fetcher | None = None,
        now: Callable[[], datetime] = utc_now,
        content: ContentCache | None = None,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.address = IndexAddress.parse(index_url)
        self._fetcher = fetcher or HttpFetcher()
        self._content = content or ContentCache(cache_dir / "content")
        self._metadata = TrustedMetadata(
            self.address.metadata_url,
            trusted_root,
            cache_dir / "metadata",
            fetcher=self._fetcher,
            now=now,
            notify=notify,
        )
        self._pages: OrderedDict[str, ProjectPage] = OrderedDict()  # by sha256, so nothing in it grows old
        self._pages_lock = threading.Lock()

    def page(self, name: str) -> ProjectPage | None:
        """The project's page as the index last published it; None is proof that there is no such project.

        Raises:
            Refused: `name` is not normalized.
            Untrusted: anything from the root to the page fails verification.
            Unavailable: the index does not answer.
        """
        if not is_normalized(name):
            raise Refused.because("name", "name", f"expected a normalized project name, got {name[:100]!r}")
        target_path = f"simple/{name}/index.json"
        target = self._metadata.find(target_path)
        if target is None:
            return None
        try:
            return self._page(NormalizedName(name), target)
        except HttpStatus:
            # Published again since the last look, and the old page deleted: once more from the timestamp.
            self._metadata.forget()
            target = self._metadata.find(target_path)
            return None if target is None else self._page(NormalizedName(name), target)

    def page_at_hand(self, name: str) -> ProjectPage | Literal[AtHand.NO] | None:
        """What `page` would give, if that was verified a moment ago and is in memory; never waits, never raises."""
        found = self._metadata.found_before(f"simple/{name}/index.json")
        if found is None:
            return NOT_AT_HAND
        (target,) = found
        if target is None:
            return None
        page = self._pages.get(target.hashes.get("sha256", ""))
        return page if page is not None and page.name == name else NOT_AT_HAND

    def kept(self, sha256: str, max_bytes: int) -> bytes | None:
        """Bytes with this hash, if they are kept and no more than that; for a hash that a verified page names."""
        return self._content.read(sha256, max_bytes=max_bytes)

    def open_file(self, file: SimpleFile) -> Generator[bytes]:
        """The bytes of a file that a verified page lists. The last piece comes after all has been verified.

        Raises:
            Untrusted: more bytes than the page says, fewer, or others. What was yielded before must be thrown away.
            Unavailable: the index does not answer, or too slowly.
        """
        kept = self.open_kept(file)
        if kept is not None:
            yield from kept
            return
        with (
            closing(self._fetcher.stream(self.address.file_url(file), Kind.FILE)) as arriving,
            self._content.receiving(file.sha256, file.size) as receiving,
        ):
            for piece in checked_pieces(file, arriving):
                receiving.add(piece)
                yield piece
            receiving.keep()

    def open_kept(self, file: SimpleFile) -> Generator[bytes] | None:
        """The same from what is kept, all of it verified before this returns; None when it is not kept.

        Raises:
            Untrusted: while they are read, somebody changed them.
        """
        if file.size > WHOLE_BYTES:
            pieces = self._content.pieces(file.sha256, file.size)
            return None if pieces is None else checked_pieces(file, pieces)
        whole = self._content.read(file.sha256, max_bytes=file.size)  # which has looked at the hash
        return None if whole is None or len(whole) != file.size else _as_one_piece(whole)

    def metadata(self, file: SimpleFile) -> bytes:
        """The core metadata of a file (PEP 658), verified by the hash in the page.

        Raises:
            Refused: the page names none for this file.
            Untrusted: the bytes are not those of the hash.
            Unavailable: the index does not answer.
        """
        sha256 = core_metadata_sha256(file)
        url = self.address.core_metadata_url(file)
        return self._beside(file, "core metadata", sha256, url, MAX_CORE_METADATA_BYTES)

    def provenance(self, file: SimpleFile) -> bytes:
        """The provenance object of a file (PEP 740), verified by the hash in the page. Its attestations are not.

        What the index published is what comes; whether the publisher in it is the one that you expect is for
        `pypi-attestations` or the like to say.

        Raises:
            Refused: the page names none for this file.
            Untrusted: the bytes are not those of the hash.
            Unavailable: the index does not answer.
        """
        sha256 = provenance_sha256(file)
        return self._beside(file, "provenance", sha256, self.address.provenance_url(file), MAX_PROVENANCE_BYTES)

    def _beside(self, file: SimpleFile, what: str, sha256: str, url: str, max_bytes: int) -> bytes:
        kept = self._content.read(sha256, max_bytes=max_bytes)
        if kept is not None:
            return kept
        raw = checked_beside(file, what, sha256, download(self._fetcher, url, max_bytes))
        self._content.write(sha256, raw)
        return raw

    def _page(self, name: NormalizedName, target: TargetFile) -> ProjectPage:
        sha256 = page_sha256(target)
        with self._pages_lock:
            page = self._pages.get(sha256)
        if page is None or page.name != name:
            page = self._fetch_page(name, target, sha256)
            with self._pages_lock:
                self._pages[sha256] = page
                if len(self._pages) > MAX_PAGES_IN_MEMORY:
                    self._pages.popitem(last=False)
        return page

    def _fetch_page(self, name: NormalizedName, target: TargetFile, sha256: str) -> ProjectPage:
        raw = kept = self._content.read(sha256, max_bytes=target.length)
        if raw is None:
            raw = download(self._fetcher, self.address.page_url(name, sha256), target.length)
        check_page_bytes(target, raw)
        if kept is None:
            self._content.write(sha256, raw)
        return parse_page_json(raw, expected_name=name)
