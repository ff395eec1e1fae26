"""A mirror in an attacker's hands: an honest copy of an index, and a list of small rules that bend its answers.

    mirror.rules = [flip("timestamp.json")]                     # one bit, wherever it is found in the path
    mirror.rules = [say("/simple/part/", Answer(404), times=1)]  # a lie that is told once
    mirror.rules = [do("/demo/", lambda ask: ask.body[:-1])]     # anything: from the answer so far

The rules are applied in their order, each to what the one before made of the answer. A mirror knows no key: what an
attacker signs with a stolen one is made by `signed_anew`.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import zstandard
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api.metadata import Metadata
from tuf.api.serialization.json import JSONSerializer

from support.repository import Answer, IndexServer, SignedRepository, endless, flipped
from support.tls import Identity

DRIP_SECONDS = 0.02
BOMB_BYTES = 256 << 20  # of zeros
_DELTA = re.compile(r"/tuf/deltas/(\d+)\.([a-z0-9-]+)\.from-(\d+)\.zst")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, and what would be answered if no further rule spoke."""

    path: str
    true: bytes | None  # what the honest index has there
    said: Answer | bytes | None  # after the rules before; None for "not here"

    @property
    def body(self) -> bytes:
        """The bytes that would be sent."""
        body = self.said.body if isinstance(self.said, Answer) else self.said
        assert isinstance(body, bytes), f"expected something at {self.path}, got {self.said!r}"
        return body


Act = Callable[[Ask], Answer | bytes | None]


class Rule:
    """What is done to the answers for some paths, `times` times or always."""

    def __init__(self, where: str, act: Act, *, times: int | None = None) -> None:
        self._where = re.compile(where)
        self._act = act
        self._times = times
        self.used = 0

    def applied(self, ask: Ask) -> Answer | bytes | None:
        """The answer after this rule."""
        if self._where.search(ask.path) is None or (self._times is not None and self.used >= self._times):
            return ask.said
        self.used += 1
        return self._act(ask)


class HostileMirror(IndexServer):
    """Serves what `repository` has, or `objects` if they are set to something else, bent by `rules`."""

    def __init__(self, repository: SignedRepository, *, identity: Identity | None = None) -> None:
        super().__init__(repository, self._bent, identity=identity)
        self.rules: list[Rule] = []
        self.makes_deltas = False  # or else a rule about a file would leave another way to its true bytes
        self.port = self._server.server_port

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens at the mirror's address while the block runs; afterwards it is back."""
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        yield
        self._listen(self.port)
        self._thread.start()

    def _bent(self, path: str, true: bytes | None) -> Answer | bytes | None:
        said: Answer | bytes | None = true if true is not None else self._delta(path)
        for rule in self.rules:
            said = rule.applied(Ask(path, true, said))
        return Answer(404, {}, b"not here") if said is None else said

    def _delta(self, path: str) -> bytes | None:
        """What a delta holds: zstd of the new bytes, with the bytes of the older version as dictionary."""
        if not self.makes_deltas or (asked := _DELTA.fullmatch(path)) is None:
            return None
        new, old = (self.objects.get(f"/tuf/{asked[number]}.{asked[2]}.json") for number in (1, 3))
        if new is None or old is None:
            return None
        dictionary = zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        return zstandard.ZstdCompressor(dict_data=dictionary).compress(new)


def do(where: str, act: Act, *, times: int | None = None) -> Rule:
    """Whatever `act` makes of it."""
    return Rule(where, act, times=times)


def say(where: str, answer: Answer | bytes | None, *, times: int | None = None) -> Rule:
    """Another answer; None says that nothing is there."""
    return Rule(where, lambda _: answer, times=times)


def once_asked_for(where: str, event: Callable[[], object]) -> Rule:
    """The truth; and `event` happens when the first such answer is about to be sent."""

    def act(ask: Ask) -> Answer | bytes | None:
        event()
        return ask.said

    return Rule(where, act, times=1)


def flip(where: str) -> Rule:
    """One bit changed, the length kept."""
    return Rule(where, lambda ask: ask.said if ask.said is None else flipped(ask.body))


def cut(where: str) -> Rule:
    """Half of it, as if that were all."""
    return Rule(where, lambda ask: ask.body[: len(ask.body) // 2])


def break_off(where: str) -> Rule:
    """Half of it, though the whole length is promised; then the connection ends."""

    def act(ask: Ask) -> Answer:
        return Answer(200, {"Content-Length": str(len(ask.body))}, [ask.body[: len(ask.body) // 2]])

    return Rule(where, act)


def redirect(where: str, to: str) -> Rule:
    """Look elsewhere."""
    return say(where, Answer(302, {"Location": to}))


def flood(where: str) -> Rule:
    """Bytes without an end, as fast as they are taken."""
    return Rule(where, lambda _: Answer(200, {}, endless()))


def flood_raw(where: str, head: bytes, piece: bytes) -> Rule:
    """Anything on the wire: `head`, then `piece` without an end, as fast as it is taken."""
    return Rule(where, lambda _: Answer(raw=True, body=chain([head], endless(piece))))


def bomb(where: str, encoding: str) -> Rule:
    """A few kilobytes that unpack to `BOMB_BYTES`."""
    return say(where, Answer(200, {"Content-Encoding": encoding}, _bombs()[encoding]))


def trickle(where: str) -> Rule:
    """The true bytes, one after the other, with a pause between: never silent, never done."""
    return Rule(where, lambda ask: Answer(200, {"Content-Length": str(len(ask.body))}, slowly(ask.body)))


def trickle_raw(where: str, head: bytes, piece: bytes) -> Rule:
    """Anything on the wire: `head` at once, then `piece` for ever with a pause between."""
    return Rule(where, lambda _: Answer(raw=True, body=_head_then_slowly(head, piece)))


def slowly(body: bytes) -> Iterator[bytes]:
    """One byte at a time."""
    for number in range(len(body)):
        time.sleep(DRIP_SECONDS)
        yield body[number : number + 1]


def _head_then_slowly(head: bytes, piece: bytes) -> Iterator[bytes]:
    yield head
    while True:
        time.sleep(DRIP_SECONDS)
        yield piece


def _bombs() -> Mapping[str, bytes]:
    if not _made_bombs:
        zeros = bytes(BOMB_BYTES)
        _made_bombs.update(gzip=gzip.compress(zeros, 1), zstd=zstandard.compress(zeros))
    return _made_bombs


_made_bombs: dict[str, bytes] = {}


def signed_anew(raw: bytes, *signers: CryptoSigner, change: Callable[[Any], None]) -> bytes:
    """Metadata after `change` of its signed part, signed by `signers` and nobody else."""
    metadata: Metadata[Any] = Metadata.from_bytes(raw)
    change(metadata.signed)
    metadata.signatures.clear()
    return signed(metadata, signers)


def signed(metadata: Metadata[Any], signers: Iterable[CryptoSigner]) -> bytes:
    """The bytes, with a signature of each signer added."""
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes(JSONSerializer(compact=True))
