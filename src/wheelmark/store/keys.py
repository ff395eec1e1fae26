"""What a key may look like, so that every store and every file system spells it the same way.

A key is a relative path such as `files/<sha256>/sampleproject-1.0.tar.gz`. The alphabet is what names of projects,
versions, wheels, hashes and TUF roles need; everything that a shell, a URL, Windows or S3 reads as more than a letter
stays out, so no store has to quote.
"""

from __future__ import annotations

import re

from wheelmark.errors import Fault, Refused

# S3 ends at 1,024 bytes; the rest is left for the prefix under which a bucket is shared with others.
MAX_KEY_CHARS = 896
MAX_PREFIX_CHARS = 127
# NAME_MAX of every file system in use.
MAX_SEGMENT_CHARS = 255

# Never a dot in front: that rules out `.`, `..` and the stores' own folders. Never one at the end: Windows drops it.
_SEGMENT = re.compile(r"[A-Za-z0-9_!+,=@~-](?:[A-Za-z0-9_!+,=@~.-]*[A-Za-z0-9_!+,=@~-])?", re.ASCII)
# So much of a refused key is repeated in the message.
_SHOWN_CHARS = 120


def check_key(key: str) -> str:
    """Give the key back if it may be stored.

    Raises:
        Refused: with one fault for each rule that it breaks.
    """
    if faults := key_faults(key):
        raise Refused(faults)
    return key


def is_key(key: str) -> bool:
    """Whether `check_key` lets the key pass; listings leave out what somebody else put beside our objects."""
    return not key_faults(key)


def key_faults(key: str, *, field: str = "key", max_chars: int = MAX_KEY_CHARS) -> list[Fault]:
    """Everything that is wrong with a key."""
    faults: list[Fault] = []
    shown = repr(key[:_SHOWN_CHARS])
    if len(key) > max_chars:
        faults.append(Fault("store-key-length", field, f"expected at most {max_chars} characters, got {len(key)}"))
    # A key that is far too long is not taken apart.
    segments = key[: max_chars + 1].split("/")
    if longest := max((len(segment) for segment in segments if len(segment) > MAX_SEGMENT_CHARS), default=0):
        message = f"expected segments of at most {MAX_SEGMENT_CHARS} characters, got {longest}"
        faults.append(Fault("store-key-length", field, message))
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        message = (
            "expected segments of letters, digits and _!+,=@~.- parted by one slash, with no dot at either end,"
            f" got {shown}"
        )
        faults.append(Fault("store-key", field, message))
    return faults


def folder_of(prefix: str) -> str:
    """The folder that holds every key beginning with `prefix`: `tuf/1.` gives `tuf`, and `tuf` the empty string.

    Raises:
        Refused: when no key can begin so.
    """
    folder, _, _ = prefix.rpartition("/")
    if faults := key_faults(folder, field="prefix") if folder or prefix.startswith("/") else []:
        raise Refused(faults)
    return folder
