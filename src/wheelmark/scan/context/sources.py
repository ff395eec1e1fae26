"""Where a project says that its source lies: repositories on known forges, as one spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import getaddresses
from urllib.parse import urlsplit

from wheelmark.scan.context.upload import Metadata

FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht", "gitee.com"})
MAX_URL_CHARS = 2000
MAX_SOURCES = 20
MAX_ADDRESSES = 10
# Repositories that tutorials and templates name, and that their readers leave in.
PLACEHOLDERS = frozenset({"github.com/pypa/sampleproject", "github.com/pypa/setuptools", "github.com/pypa/pip"})
_PART = re.compile(r"[\w.~-]{1,100}")
# Addresses that stand for nobody: those of examples, and of whoever hides behind a forge's mail.
_NOBODY = re.compile(
    r"(?i)@(example\.(com|org|net)|.*\.(invalid|example|local)|users\.noreply\.github\.com)$|^(author|you|your[._-]?email|email|user|name|test)@"
)


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One repository on a forge."""

    forge: str
    owner: str
    name: str  # as part of an address, in lower case; `_` and `.` as `-`

    def __str__(self) -> str:
        return f"{self.forge}/{self.owner}/{self.name}"


def source_of(url: str) -> Source | None:
    """The repository that an address lies in; None for any other address, and for placeholders."""
    try:
        parts = urlsplit(url[:MAX_URL_CHARS].strip().removeprefix("git+"))
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    path = [part for part in parts.path.lower().split("/") if part]
    if host not in FORGES or len(path) < 2 or not all(_PART.fullmatch(part) for part in path[:2]):
        return None
    name = re.sub(r"[._]+", "-", path[1].removesuffix(".git")).strip("-")
    found = Source(host, path[0], name)
    return None if not name or str(found) in PLACEHOLDERS else found


def sources_of(metadata: Metadata) -> list[Source]:
    """The repositories among a project's addresses, each once."""
    found = {source for _, url in metadata.urls if (source := source_of(url)) is not None}
    return sorted(found)[:MAX_SOURCES]


def addresses_of(metadata: Metadata) -> list[str]:
    """The e-mail addresses of authors and maintainers that stand for somebody, in lower case."""
    fields = [field[:MAX_URL_CHARS] for field in (metadata.author_email, metadata.maintainer_email) if field]
    found = {address.lower() for _, address in getaddresses(fields) if "@" in address and not _NOBODY.search(address)}
    return sorted(found)[:MAX_ADDRESSES]
