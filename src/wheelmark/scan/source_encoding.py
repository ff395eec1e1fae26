"""The encoding of a source file as Python finds it, and its text; encodings that make other code of plain bytes."""

from __future__ import annotations

import codecs
import re
import warnings
from functools import lru_cache

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.ASCII)
_TEXT_COOKIE = re.compile(r"^([ \t\f]*#.*?coding[:=][ \t]*)([-\w.]+)", re.ASCII)
_BLANK = re.compile(rb"^[ \t\f]*(?:#.*)?$", re.DOTALL)
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MAX_NAME = 60  # characters of an encoding's name
# Encodings that only Windows has: the code page of most of its installations stands for them, on every machine.
_WINDOWS_ONLY = {"mbcs": "cp1252", "ansi": "cp1252", "dbcs": "cp1252", "oem": "cp437"}
# Honest sources are written in these, and every editor of their countries shows what Python reads.
_NATIONAL = ("iso2022", "iso-2022", "csiso2022", "shift_jis", "shift-jis", "shiftjis", "sjis", "s_jis", "s-jis")
_HIDING = frozenset({"idna", "punycode"})  # they change too little of the probe, or refuse it
# What an encoding leaves alone that is nothing more than ASCII and what lies beyond it.
_PROBE = (
    bytes(range(0x20, 0x5C)) + bytes(range(0x5D, 0x7F)) + b"\t\n\r\f \\x41\\u0041\\n\\101 +AEE- ~{VP~} \x1b$B0!\x1b(B"
)


def declared_encoding(raw: bytes) -> str:
    """The encoding that the interpreter reads a source file by, as it is spelled there; "utf-8" where none is.

    Lines end at `\\r`, too, and are as long as they like: what an editor takes for the first line may be two.
    Source: PEP 263; Parser/tokenizer of CPython, `check_coding_spec` and `translate_newlines`.
    """
    if raw.startswith(_WIDE_MARKS):
        return "utf-16"
    body = raw.removeprefix(codecs.BOM_UTF8)
    for line in _first_lines(body):
        found = _COOKIE.match(line)
        if found is not None:
            return found[1].decode("ascii")[:MAX_NAME]
        if _BLANK.match(line) is None:
            break
    return "utf-8"


def decode_source(raw: bytes) -> str:
    """The text of a source file as Python would decode it; undecodable bytes are replaced, never refused."""
    encoding = declared_encoding(raw)
    if raw.startswith(codecs.BOM_UTF8):
        # Python refuses such a file where another encoding is declared.
        return raw.decode("utf-8-sig", "replace")
    if is_odd(encoding):
        # The interpreter makes line breaks of all line ends, and ends the last line, before it decodes.
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        raw = raw if raw.endswith(b"\n") or not raw else raw + b"\n"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in the scanned file are no concern of ours
            return raw.decode(_known(encoding), "replace")
    except (LookupError, ValueError):
        # ValueError: some codecs replace nothing (idna), one refuses everything (undefined).
        return raw.decode("utf-8", "replace")


def readable_source(raw: bytes) -> tuple[bytes, str]:
    """A source file as UTF-8 that says the same to Python, and its encoding where that is an odd one, else "".

    An odd encoding makes other text of bytes that look like plain ASCII, or hides text from whoever searches the bytes.
    """
    encoding = declared_encoding(raw)
    if encoding == "utf-8" or raw.startswith(codecs.BOM_UTF8) or not is_odd(encoding):
        return raw, ""
    text = decode_source(raw).removeprefix("\ufeff")
    lines = text.splitlines(keepends=True)
    lines[:2] = [_TEXT_COOKIE.sub(r"\1utf-8", line) for line in lines[:2]]
    return "".join(lines).encode("utf-8", "replace"), encoding


@lru_cache(maxsize=256)
def is_odd(encoding: str) -> bool:
    """True for an encoding of Python under which ASCII bytes do not mean what they look like."""
    if encoding.lower().startswith(_NATIONAL):
        return False
    try:
        return encoding.lower() in _HIDING or _PROBE.decode(_known(encoding)) != _PROBE.decode("ascii")
    except LookupError:
        return False  # Python refuses the file, and so do codecs that are not for text
    except ValueError:
        return True


def _known(encoding: str) -> str:
    return _WINDOWS_ONLY.get(encoding.lower(), encoding)


def _first_lines(body: bytes) -> list[bytes]:
    """The first two lines, without their ends."""
    lines: list[bytes] = []
    start = 0
    for _ in range(2):
        ends = [end for end in (body.find(b"\n", start), body.find(b"\r", start)) if end >= 0]
        end = min(ends, default=len(body))
        lines.append(body[start:end])
        start = end + (2 if body[end : end + 2] == b"\r\n" else 1)
    return lines
