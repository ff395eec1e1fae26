"""Decoders and decompressors that a scan may compute itself, each bounded in what it produces."""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import html
import lzma
import quopri
import urllib.parse
import zlib
from collections.abc import Callable, Sequence

from wheelmark.scan.values import UNKNOWN

_CODECS_BY_NAME = {
    "rot13": "rot13",
    "rot_13": "rot13",
    "hex": "hex",
    "hex_codec": "hex",
    "base64": "base64",
    "base64_codec": "base64",
    "zlib": "zlib",
    "zlib_codec": "zlib",
    "zip": "zlib",
    "bz2": "bz2",
    "bz2_codec": "bz2",
    "uu": "uu",
    "uu_codec": "uu",
    "unicode_escape": "unicode_escape",
    "unicode-escape": "unicode_escape",
    "raw_unicode_escape": "unicode_escape",
}


MAX_TEXT_BYTES = 8 * 1024 * 1024
ENCODINGS_THAT_DECODE = frozenset(
    {"rot13", "rot_13", "hex", "hex_codec", "base64", "base64_codec", "zlib", "zlib_codec", "zip", "bz2", "bz2_codec"}
    | {"unicode_escape", "raw_unicode_escape", "unicode-escape", "uu", "uu_codec"}
)


class Budget:
    """What decoding and folding may still produce. `exceeded` says that something was left undecoded for its size."""

    __slots__ = ("exceeded", "left_bytes", "left_items", "max_items")

    def __init__(self, max_decoded_bytes: int, max_items: int) -> None:
        self.left_bytes = max_decoded_bytes
        self.max_items = max_items
        self.left_items = max_items * 8
        self.exceeded = False

    def take(self, size: int) -> bool:
        """Spend `size` bytes; False, and `exceeded`, when there are not so many left."""
        if size > self.left_bytes:
            self.exceeded = True
            return False
        self.left_bytes -= size
        return True

    def allows_items(self, count: int) -> bool:
        """Spend `count` elements of sequences; False when one sequence or all together would be too long."""
        if count > self.max_items or count > self.left_items:
            return False
        self.left_items -= count
        return True


def to_bytes(value: object) -> bytes | None:
    """Text or bytes as bytes; None for anything else."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, str):
        try:
            return value.encode("ascii")
        except UnicodeEncodeError:
            return value.encode("utf-8", "replace")
    return None


def decode_with_codec(value: object, codec: str, budget: Budget) -> object:
    """What `codecs.decode(value, codec)` gives for the codecs that hide text; other codecs as text codecs."""
    known = _CODECS_BY_NAME.get(codec.lower())
    raw = to_bytes(value)
    if raw is None:
        return UNKNOWN
    if known == "rot13":
        return codecs.decode(value, "rot13") if isinstance(value, str) and budget.take(len(value)) else UNKNOWN
    if known == "unicode_escape":
        return raw.decode("unicode_escape", "replace") if budget.take(len(raw)) else UNKNOWN
    if known == "hex":
        return _unhexed([raw], budget)
    if known == "base64":
        return _base64_decoded([raw], budget)
    if known == "zlib":
        return _inflated([raw], budget)
    if known == "bz2":
        return _bunzipped([raw], budget)
    if known == "uu":
        return _uudecoded(raw, budget)
    return raw.decode(codec, "replace") if budget.take(len(raw)) else UNKNOWN


def _first_bytes(arguments: Sequence[object]) -> bytes | None:
    return to_bytes(arguments[0]) if arguments else None


def _spent(result: bytes, budget: Budget) -> object:
    return result if budget.take(len(result)) else UNKNOWN


def _base64_decoded(arguments: Sequence[object], budget: Budget) -> object:
    raw = _first_bytes(arguments)
    if raw is None:
        return UNKNOWN
    raw = raw.translate(None, b" \r\n\t")
    # A sloppy decoder accepts what has lost its padding; so do we, to see what is inside.
    return _spent(binascii.a2b_base64(raw + b"=" * (-len(raw) % 4)), budget)


def _base64_url_decoded(arguments: Sequence[object], budget: Budget) -> object:
    raw = _first_bytes(arguments)
    return UNKNOWN if raw is None else _base64_decoded([raw.translate(bytes.maketrans(b"-_", b"+/"))], budget)


def _with(decoder: Callable[[bytes], bytes]) -> Callable[[Sequence[object], Budget], object]:
    def decode(arguments: Sequence[object], budget: Budget) -> object:
        raw = _first_bytes(arguments)
        return UNKNOWN if raw is None else _spent(decoder(raw), budget)

    return decode


def _unhexed(arguments: Sequence[object], budget: Budget) -> object:
    raw = _first_bytes(arguments)
    return UNKNOWN if raw is None else _spent(binascii.unhexlify(raw.translate(None, b" \r\n\t")), budget)


def _bounded(produce: Callable[[int], bytes], is_finished: Callable[[], bool], budget: Budget) -> object:
    """Decompress at most what is left of the budget, never first and count later."""
    result = produce(budget.left_bytes + 1)
    if len(result) > budget.left_bytes:
        budget.exceeded = True
        return UNKNOWN
    budget.take(len(result))
    return result if result or is_finished() else UNKNOWN


def _inflated(arguments: Sequence[object], budget: Budget) -> object:
    raw = _first_bytes(arguments)
    if raw is None:
        return UNKNOWN
    window = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], int) else zlib.MAX_WBITS
    stream = zlib.decompressobj(window)
    try:
        return _bounded(lambda limit: stream.decompress(raw, limit), lambda: stream.eof, budget)
    except zlib.error:
        return UNKNOWN


def _gunzipped(arguments: Sequence[object], budget: Budget) -> object:
    return _inflated([*arguments[:1], 16 + zlib.MAX_WBITS], budget)


def _bunzipped(arguments: Sequence[object], budget: Budget) -> object:
    raw = _first_bytes(arguments)
    if raw is None:
        return UNKNOWN
    stream = bz2.BZ2Decompressor()
    try:
        return _bounded(lambda limit: stream.decompress(raw, limit), lambda: stream.eof, budget)
    except OSError:
        return UNKNOWN


def _unxzed(arguments: Sequence[object], budget: Budget) -> object:
    raw = _first_bytes(arguments)
    if raw is None:
        return UNKNOWN
    try:
        stream = lzma.LZMADecompressor(memlimit=64 * 1024 * 1024)
        return _bounded(lambda limit: stream.decompress(raw, limit), lambda: stream.eof, budget)
    except lzma.LZMAError:
        return UNKNOWN


def _unescaped(arguments: Sequence[object], budget: Budget) -> object:
    text = arguments[0]
    return html.unescape(text) if isinstance(text, str) and budget.take(len(text)) else UNKNOWN


def _unquoted(arguments: Sequence[object], budget: Budget) -> object:
    text = arguments[0]
    return urllib.parse.unquote(text) if isinstance(text, str) and budget.take(len(text)) else UNKNOWN


def _uudecoded(raw: bytes, budget: Budget) -> object:
    lines = raw.splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith(b"begin ")), -1)
    parts = [binascii.a2b_uu(line) for line in lines[begin + 1 :] if line.strip() not in (b"", b"end", b"`")]
    return _spent(b"".join(parts), budget)


def _codec_decoded(arguments: Sequence[object], budget: Budget) -> object:
    return decode_with_codec(arguments[0], str(arguments[1]) if len(arguments) > 1 else "utf-8", budget)


# binascii.Error is a ValueError, so the caller's handling of folding errors covers malformed input.
DECODER_FUNCTIONS: dict[str, Callable[[Sequence[object], Budget], object]] = {
    "base64.b64decode": _base64_decoded,
    "base64.standard_b64decode": _base64_decoded,
    "base64.decodebytes": _base64_decoded,
    "base64.decodestring": _base64_decoded,
    "base64.urlsafe_b64decode": _base64_url_decoded,
    "base64.b32decode": _with(base64.b32decode),
    "base64.b16decode": _with(lambda raw: base64.b16decode(raw, casefold=True)),
    "base64.b85decode": _with(base64.b85decode),
    "base64.a85decode": _with(base64.a85decode),
    "base64.b32hexdecode": _with(base64.b32hexdecode),
    "binascii.a2b_uu": _with(binascii.a2b_uu),
    "quopri.decodestring": _with(quopri.decodestring),
    "html.unescape": _unescaped,
    "urllib.parse.unquote": _unquoted,
    "urllib.parse.unquote_plus": _unquoted,
    "binascii.a2b_base64": _base64_decoded,
    "binascii.unhexlify": _unhexed,
    "binascii.a2b_hex": _unhexed,
    "bytes.fromhex": _unhexed,
    "bytearray.fromhex": _unhexed,
    "zlib.decompress": _inflated,
    "gzip.decompress": _gunzipped,
    "bz2.decompress": _bunzipped,
    "lzma.decompress": _unxzed,
    "codecs.decode": _codec_decoded,
}
