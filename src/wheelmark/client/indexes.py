"""The indexes that the commands were told, with their roots settled; the rest is opened when it is needed.

What takes long to import (python-tuf, urllib3) is not needed to listen, nor to start a child.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from wheelmark.client.address import IndexAddress
from wheelmark.client.anchor import trusted_root
from wheelmark.client.counting import CountingFetcher
from wheelmark.client.incidents import Incident
from wheelmark.client.lean import without_signing_backends
from wheelmark.client.options import IndexChoice, Options
from wheelmark.client.patience import limits_from
from wheelmark.client.sources import Source, Sources
from wheelmark.errors import Refused, Untrusted, WheelmarkError

if TYPE_CHECKING:
    from wheelmark.client.fetching import Fetcher
    from wheelmark.client.verifier import Verifier

EXIT_FAILED = 1
EXIT_REFUSED = 3
MAX_QUESTIONS = 3  # of one who types neither yes nor no


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedIndex:
    """An index whose root is known."""

    choice: IndexChoice
    address: IndexAddress
    source: Source
    fetcher: CountingFetcher

    @property
    def files_url(self) -> str:
        """Below which its files lie."""
        return urljoin(self.address.simple_url, "../files/")


def verified_indexes(given: Options) -> list[VerifiedIndex]:
    """Settles the roots now, where a person can be asked; the rest is left for when it is needed.

    Raises:
        Refused: an address, a limit or a namespace breaks its form, or a root is not known.
        Untrusted, Unavailable: as `trusted_root`.
    """
    made = [_index(choice, given.directory) for choice in given.indexes]
    if len({index.address for index in made}) < len(made):
        raise Refused.because("index-twice", "index", "expected every index once, got the same address twice")
    Sources([index.source for index in made])  # namespaces are read now, before anything runs
    return made


def _index(choice: IndexChoice, state: Path) -> VerifiedIndex:
    address = IndexAddress.parse(choice.url)
    directory = state / "indexes" / hashlib.sha256(address.simple_url.encode()).hexdigest()[:32]
    limits = limits_from(os.environ)

    def open_fetcher() -> Fetcher:
        from wheelmark.client.http_fetcher import HttpFetcher  # a third of the start

        return HttpFetcher(limits)

    fetcher = CountingFetcher(open_fetcher)
    ask = ask_person if sys.stdin.isatty() and sys.stderr.isatty() else None
    root = trusted_root(choice.root, address, directory, fetcher=fetcher, ask=ask)

    def open_verifier() -> Verifier:
        with without_signing_backends():  # half of the start, where boto3 is installed
            from wheelmark.client.verifier import Verifier

        return Verifier(address.simple_url, root, directory, fetcher=fetcher, notify=_notice)

    return VerifiedIndex(
        choice=choice,
        address=address,
        source=Source(open_verifier, namespaces=choice.namespaces),
        fetcher=fetcher,
    )


def ask_person(index_url: str, fingerprint: str) -> bool:
    """Show the fingerprint of a root on the terminal; True only for a whole "yes", which nobody types by habit."""
    groups = " ".join(fingerprint[start : start + 8] for start in range(0, len(fingerprint), 8))
    print(
        f"first contact with {index_url}\nthe sha256 of its root is\n  {groups}\n"
        "Compare it with what the operators of the index give you by another way.",
        file=sys.stderr,
    )
    question = "Is it the same? [yes/no] "
    for _ in range(MAX_QUESTIONS):
        print(question, end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer or answer.strip().lower() in {"yes", "no"}:
            return answer.strip().lower() == "yes"
        question = "Please type the whole word, yes or no: "
    return False


def _notice(text: str) -> None:
    """What a person should know though nothing is refused."""
    print(f"wheelmark: notice: {' '.join(text.split())}", file=sys.stderr, flush=True)


def reporting(run: Callable[[], int]) -> int:
    """The exit status, with what stopped us before anything ran said in the one line that scripts look for."""
    try:
        return run()
    except (Refused, Untrusted) as error:
        line = Incident(error).line() if isinstance(error, Untrusted) else f"wheelmark: refused: {error}"
        print(line, file=sys.stderr)
        return EXIT_REFUSED
    except WheelmarkError as error:
        print(Incident(error).line(), file=sys.stderr)
        return EXIT_FAILED
