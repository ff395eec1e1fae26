"""Tells at a glance that a module can do nothing that a fact is made of, from the words in it.

A third of the modules of large distributions hold tables, classes of data and calculations. Every name that the reader
resolves begins with a bare name of the text and ends with a word of it, unless one of a few words is there by which
names are put together (`getattr`, `globals`). Where no name of the tables can come about in this way, walking through
the functions of a module finds nothing. Comments and strings count as text, so that what is quiet is quiet for certain.
"""

from __future__ import annotations

import re
import symtable
import unicodedata
import warnings
from collections.abc import Iterable

from wheelmark.scan.loading import LOADERS
from wheelmark.scan.source_encoding import decode_source
from wheelmark.scan.values import words
from wheelmark.scan.vocabulary import ACTS, ALIASES, EXACT_ALIASES, NATIVE_NAMES, NATIVE_PREFIXES, act_of

_WORD_BYTES = bytes(byte for byte in range(256) if byte >= 128 or chr(byte).isalnum() or byte == ord("_"))
_TO_BLANKS = bytes(byte if byte in _WORD_BYTES else ord(" ") for byte in range(256))
_WORD = re.compile(r"\w+")
# Called by a bare name; after a dot these are methods of something else.
_BARE = re.compile(rb"(?<![.\w])(?:(?:open|exec|eval|execfile|globals|locals|vars)\b|file\s*\()")
_BARE_WORDS = frozenset(
    word.encode() for word in ("open", "exec", "eval", "execfile", "globals", "locals", "vars", "file")
)
# What most modules that are not quiet have, found fast.
_LOUD = (b"subprocess", b"importlib", b"__import__", b"distutils", b" open(", b"(open(")
# Imports that `local_imports` does not see.
_ODD_IMPORT = re.compile(rb"[;:][ \t]*(?:\\\r?\n[ \t]*)*(?:from|import)\b|\b(?:from|import)[ \t]*\\")
# By these, other modules and built-ins come out of text.
_OPENERS = words(
    "__import__ importlib builtins __builtin__ __builtins__ __globals__ __subclasses__ __loader__ __spec__ "
    "wrap_socket setuptools distutils __getattribute__"
)
# By these, the last word of a name comes out of text.
_REACHERS = words("getattr __dict__ attrgetter methodcaller")


def _heads(names: Iterable[str]) -> dict[bytes, frozenset[bytes]]:
    """First word of dotted names -> the words that they end with."""
    found: dict[bytes, set[bytes]] = {}
    for name in names:
        first, *others = _WORD.findall(name)
        if others:
            found.setdefault(first.encode(), set()).add(others[-1].encode())
    for old, new in ALIASES:
        first, target = _WORD.findall(old)[0].encode(), _WORD.findall(new)
        if target:
            found[first] = found.get(first, set()) | found.get(target[0].encode(), set())
    return {first: frozenset(last) for first, last in found.items()}


_NATIVE = (*NATIVE_NAMES, *(prefix.removesuffix(".").removesuffix("()") for prefix in NATIVE_PREFIXES))
_OTHERS = [old for old, new in EXACT_ALIASES.items() if act_of(new) is not None]
_HEADS = _heads((*ACTS, *LOADERS, *_OTHERS, *_NATIVE, "sys.modules", "sys.meta_path", "sys.path_hooks"))
_OPENING = frozenset(word.encode() for word in _OPENERS)
_REACHING = frozenset(word.encode() for word in _REACHERS)


def is_quiet(raw: bytes) -> bool:
    """True for a source in which no act, no load and no layer can be found, whatever its functions are given.

    And `local_imports` sees all that it imports.
    """
    if any(word in raw for word in _LOUD):
        return False
    plain = raw
    if not raw.isascii():
        # Python takes styled letters for the plain ones (PEP 3131).
        plain = unicodedata.normalize("NFKC", decode_source(raw)).encode("utf-8", "replace")
    found = frozenset(plain.translate(_TO_BLANKS).split())
    if b"import" in found and (plain is not raw or _ODD_IMPORT.search(raw)):
        return False
    if not _OPENING.isdisjoint(found) or (not _BARE_WORDS.isdisjoint(found) and _BARE.search(plain)):
        return False
    reaching = not _REACHING.isdisjoint(found)
    return not any(reaching or not _HEADS[head].isdisjoint(found) for head in _HEADS.keys() & found)


def parses(raw: bytes) -> bool:
    """True when a source has a syntax tree. It is not made: that takes half as long, and a quarter of the memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            symtable.symtable(decode_source(raw), "<scanned>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
