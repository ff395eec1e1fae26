"""Where the parts of an index lie, given the address of its Simple API."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from wheelmark.dist import NormalizedName
from wheelmark.errors import Refused
from wheelmark.simple import SimpleFile

MAX_URL_CHARS = 2048


@dataclass(frozen=True, slots=True)
class IndexAddress:
    """The Simple API's address, ending in a slash; everything else lies beside it."""

    simple_url: str

    @classmethod
    def parse(cls, text: str) -> IndexAddress:
        """The address as a value.

        Raises:
            Refused: not an http(s) address, or one with a user name, a query or a fragment.
        """
        parts = urlsplit(text[:MAX_URL_CHARS])
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise Refused.because(
                "index-address", "index", f"expected an address like https://host/simple/, got {text[:200]!r}"
            )
        if parts.username is not None or parts.password is not None:
            # Not shown in the message: it is a secret, and messages end in logs.
            raise Refused.because("index-address", "index", "expected an address without user name and password")
        return cls(text if text.endswith("/") else f"{text}/")

    @property
    def metadata_url(self) -> str:
        """Where the TUF metadata lies."""
        return urljoin(self.simple_url, "../tuf/")

    @property
    def targets_url(self) -> str:
        """Where the targets lie, named by their hash."""
        return urljoin(self.simple_url, "../tuf/targets/")

    def file_url(self, file: SimpleFile) -> str:
        """Where a file of a page lies. Built from its hash and name: no address inside a page is ever followed."""
        return urljoin(self.simple_url, f"../files/{file.sha256}/{quote(file.filename, safe='')}")

    def core_metadata_url(self, file: SimpleFile) -> str:
        """Where the core metadata of a file lies (PEP 658)."""
        return f"{self.file_url(file)}.metadata"

    def provenance_url(self, file: SimpleFile) -> str:
        """Where the provenance object of a file lies (PEP 740): beside the file, wherever else it may lie, too."""
        return f"{self.file_url(file)}.provenance"

    def page_url(self, name: NormalizedName, sha256: str) -> str:
        """Where a project's page lies as a target. TUF specification § 5.7.3: prefixed with its hash."""
        return f"{self.targets_url}simple/{name}/{sha256}.index.json"
