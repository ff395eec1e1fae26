"""Attacks on the transport: too much, too slow, too little, and answers that lie about what they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from support.attack_suite.metadata import HASH, MIRROR
from support.attack_suite.model import HURRY_SECONDS, PATIENCE_SECONDS, Attack, Scene
from support.hostile_mirror import (
    Rule,
    bomb,
    break_off,
    cut,
    flood,
    flood_raw,
    redirect,
    say,
    trickle,
    trickle_raw,
)
from support.repository import Answer, flipped

TIMESTAMP = "/timestamp.json"
SNAPSHOT = "/2.snapshot.json"
BIN = r"/\d+\.bins-"
NEXT_ROOT = "/2.root.json"
PAGE = "/simple/demo/.*index.json"
CORE_METADATA = r"demo-.*\.metadata$"
FILE = r"demo-.*\.whl$"

TARGETS = "/1.targets.json"
DELEGATOR = "/1.bins.json"

# What a newcomer has when the snapshot, the targets or the bin is what goes wrong.
UP_TO_BINS = ("timestamp.json", "snapshot.json", "targets.json", "bins.json")
ADVANCES = {SNAPSHOT: UP_TO_BINS[:1], TARGETS: UP_TO_BINS[:2], DELEGATOR: UP_TO_BINS[:3], BIN: UP_TO_BINS}

FASTER_THAN_THE_RATE = b"x" * 400  # for each pause of a drip: only the bound on the whole time can stop it
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LOGIN_PAGE = b"<!DOCTYPE html><title>Welcome to the airport</title>"

MORE = r"expected at most \d+ bytes, got more|bytes, got more"
SLOW = "expected an answer in bounded time"
TOO_MUCH = "cut off at the first byte too many"
UNPACKED = "unpacked piece by piece, and cut off at the first byte too many"


def _rules(*rules: Callable[[], Rule]) -> Callable[[Scene], None]:
    """Rules made anew for each scene, because they count."""

    def arrange(scene: Scene) -> None:
        scene.mirror.rules = [make() for make in rules]

    return arrange


def _row(
    name: str, rule: Callable[[], Rule], outcome: str, says: str, *, where: str, unavailable: bool = False
) -> Attack:
    """A row about one part; who has been here before does not ask for a snapshot or a bin again.

    Nor does such a user need an index that does not answer: the memory is used until its timestamp expires.
    """
    return Attack(
        name=name,
        attacker=MIRROR,
        arrange=_rules(rule),
        outcome=f"{'ends as unavailable' if unavailable else 'refused'}: {outcome}",
        says=says,
        unavailable=unavailable,
        newcomer=where in ADVANCES or (unavailable and where in {TIMESTAMP, NEXT_ROOT}),
        advances=ADVANCES.get(where, ()),
        patience=HURRY_SECONDS if says == SLOW else PATIENCE_SECONDS,
    )


ENDLESS = tuple(
    _row(f"endless data: {name}", partial(flood, where), TOO_MUCH, MORE, where=where)
    for name, where in (
        ("next root", NEXT_ROOT),
        ("timestamp", TIMESTAMP),
        ("snapshot", SNAPSHOT),
        ("targets", TARGETS),
        ("bins", DELEGATOR),
        ("bin", BIN),
        ("page", PAGE),
        ("core metadata", CORE_METADATA),
        ("file", FILE),
    )
)

ENDLESS_HEADS = tuple(
    _row(
        name,
        partial(flood_raw, PAGE, head, piece),
        "a bounded number of bytes is read",
        says,
        where=PAGE,
        unavailable=True,
    )
    for name, head, piece, says in (
        ("endless data: a status line without an end", b"HTTP/1.1 200 ", b"O" * 4096, "expected an answer"),
        ("endless data: headers without an end", b"HTTP/1.1 200 OK\r\n", b"X-Y: y\r\n" * 512, "expected an answer"),
        ("endless data: one header without an end", b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4096, "expected an answer"),
    )
)

BOMBS = tuple(
    _row(f"decompression bomb: {name}, {encoding}", partial(bomb, where, encoding), UNPACKED, MORE, where=where)
    for name, where, encoding in (
        ("timestamp", TIMESTAMP, "gzip"),
        ("page", PAGE, "zstd"),
        ("core metadata", CORE_METADATA, "gzip"),
    )
)

SLOWS = tuple(
    _row(name, rule, "its time is over, though bytes keep coming", SLOW, where=where, unavailable=True)
    for name, rule, where in (
        ("slow retrieval: timestamp", lambda: trickle(TIMESTAMP), TIMESTAMP),
        ("slow retrieval: bin", lambda: trickle(BIN), BIN),
        ("slow retrieval: page", lambda: trickle(PAGE), PAGE),
        (
            "slow retrieval: core metadata",
            lambda: trickle_raw(CORE_METADATA, b"HTTP/1.1 200 OK\r\n\r\n", FASTER_THAN_THE_RATE),
            "",
        ),
        ("slow retrieval: file", lambda: trickle(FILE), FILE),
        ("slow retrieval: nothing at all", lambda: trickle_raw(TIMESTAMP, b"", b""), TIMESTAMP),
        ("slow retrieval: headers", lambda: trickle_raw(PAGE, b"HTTP/1.1 200 OK\r\n", b"X-Y: y\r\n"), PAGE),
        ("slow retrieval: wait a moment", lambda: trickle_raw(PAGE, b"", b"HTTP/1.1 100 Continue\r\n\r\n"), PAGE),
        ("slow retrieval: the size of a chunk", lambda: trickle_raw(FILE, CHUNKED, b"0"), FILE),
        ("slow retrieval: trailers", lambda: trickle_raw(FILE, CHUNKED + b"3\r\nabc\r\n0\r\n", b"X-Y: y\r\n"), FILE),
        ("slow retrieval: trailers of a page", lambda: trickle_raw(PAGE, CHUNKED + b"0\r\n", b"X-Y: y\r\n"), PAGE),
    )
)

TRUNCATED = (
    _row(
        "truncated: file",
        lambda: cut(FILE),
        "fewer bytes than the page says",
        r"expected \d+ bytes, got \d+",
        where=FILE,
    ),
    _row("truncated: page", lambda: cut(PAGE), "fewer bytes than the bin says", HASH, where=PAGE),
    _row(
        "truncated: core metadata",
        lambda: cut(CORE_METADATA),
        "its hash is not that in the page",
        "core metadata with sha256",
        where=CORE_METADATA,
    ),
    _row("truncated: timestamp", lambda: cut(TIMESTAMP), "not metadata", "deserialize", where=TIMESTAMP),
    _row(
        "truncated: file, and the connection ends",
        lambda: break_off(FILE),
        "the end did not come",
        "expected the whole answer",
        where=FILE,
        unavailable=True,
    ),
    _row(
        "truncated: page, and the connection ends",
        lambda: break_off(PAGE),
        "the end did not come",
        "expected the whole answer",
        where=PAGE,
        unavailable=True,
    ),
    _row(
        "truncated: no answer at all",
        lambda: say(PAGE, Answer(raw=True)),
        "nothing came",
        "expected an answer",
        where=PAGE,
        unavailable=True,
    ),
)


def _status(name: str, where: str, status: int) -> Attack:
    return _row(
        f"lying {status}: {name}",
        lambda: say(where, Answer(status, {}, b"sorry")),
        "what the signed metadata lists did not come",
        f"status 200, got {status}",
        where=where,
        unavailable=True,
    )


STATUSES = (
    _status("timestamp", TIMESTAMP, 404),
    _status("snapshot", SNAPSHOT, 404),
    _status("bin", BIN, 404),
    _status("page", PAGE, 404),
    _status("core metadata", CORE_METADATA, 404),
    _status("file", FILE, 404),
    _status("next root", NEXT_ROOT, 500),
    _status("timestamp", TIMESTAMP, 500),
    _status("page", PAGE, 503),
    _status("file", FILE, 500),
    _status("page", PAGE, 204),
    _status("file", FILE, 206),
)

LOGINS = (
    _row(
        "lying 200: a log-in page for the next root",
        lambda: say(NEXT_ROOT, LOGIN_PAGE),
        "not metadata",
        "deserialize",
        where=NEXT_ROOT,
    ),
    _row(
        "lying 200: a log-in page for everything", lambda: say("", LOGIN_PAGE), "not metadata", "deserialize", where=""
    ),
    _row(
        "lying 200: a log-in page for the page",
        lambda: say(PAGE, LOGIN_PAGE),
        "its hash is not that in the bin",
        HASH,
        where=PAGE,
    ),
    _row(
        "lying 200: nothing for the file",
        lambda: say(FILE, b""),
        "fewer bytes than the page says",
        r"bytes, got 0",
        where=FILE,
    ),
    _row(
        "lying 200: an encoding that nobody knows",
        lambda: say(TIMESTAMP, Answer(200, {"Content-Encoding": "br"}, b"x")),
        "encodings are two",
        "gzip, zstd or no encoding",
        where=TIMESTAMP,
    ),
    _row(
        "lying 200: no gzip at all",
        lambda: say(PAGE, Answer(200, {"Content-Encoding": "gzip"}, b"x")),
        "not gzip",
        "expected (gzip|a whole gzip)",
        where=PAGE,
    ),
    _row(
        "lying 200: not HTTP",
        lambda: say(TIMESTAMP, Answer(raw=True, body=b"220 mail.example ESMTP\r\n")),
        "not an answer",
        "expected an answer",
        where=TIMESTAMP,
        unavailable=True,
    ),
)


def _wrong_bucket(scene: Scene) -> None:
    true = next(raw for path, raw in scene.repository.objects.items() if path.endswith("demo-1.0-py3-none-any.whl"))
    scene.mirror.rules = [say("^/bucket/", flipped(true)), redirect(FILE, f"{scene.mirror.origin}/bucket/demo")]


REDIRECTS = (
    _row(
        "lying redirect: timestamp",
        lambda: redirect(TIMESTAMP, "/elsewhere"),
        "metadata comes from the index itself",
        "got a redirect",
        where=TIMESTAMP,
    ),
    _row(
        "lying redirect: page",
        lambda: redirect(PAGE, "https://elsewhere.example.invalid/"),
        "metadata comes from the index itself",
        "got a redirect",
        where=PAGE,
    ),
    _row(
        "lying redirect: file, round and round",
        lambda: redirect(r"\.whl(\?again)?$", "?again"),
        "three redirects, and no more",
        "at most 3 redirects",
        where=FILE,
    ),
    _row(
        "lying redirect: file, to this machine's disk",
        lambda: redirect(FILE, "file:///etc/passwd"),
        "only http and https are followed",
        "got a redirect",
        where=FILE,
    ),
    _row(
        "lying redirect: file, to no address",
        lambda: redirect(FILE, "http://["),
        "not an address",
        "got a redirect",
        where=FILE,
    ),
    Attack(
        name="lying redirect: file, to other bytes",
        attacker=MIRROR,
        arrange=_wrong_bucket,
        outcome="refused: followed, and the hash is not that in the page",
        says="expected sha256",
    ),
)

TRANSPORT = (*ENDLESS, *ENDLESS_HEADS, *BOMBS, *SLOWS, *TRUNCATED, *STATUSES, *LOGINS, *REDIRECTS)
