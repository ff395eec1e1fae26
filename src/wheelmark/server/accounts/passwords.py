"""Which passwords are refused, besides short ones, common ones, and those like the user's own name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

from wheelmark.errors import Unavailable

MAX_PASSWORD_CHARS = 256
"""Hashing costs grow with length, and a password is typed by a person or kept by a password manager."""

MIN_DISTINCT_CHARS = 5
_DECORATION = "0123456789!@#$%^&*()-_=+.,?;:'\"<>/\\|~` "
_LEET = str.maketrans("013457@$!", "oieastasi")
_LONGEST_LINE = 128


class LengthBound:
    """Refuses passwords longer than anybody's."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raises: ValidationError: the password is too long."""
        if len(password) > MAX_PASSWORD_CHARS:
            raise ValidationError(
                f"expected at most {MAX_PASSWORD_CHARS} characters, got {len(password)}", code="too-long"
            )

    def get_help_text(self) -> str:
        """One sentence for the form."""
        return f"At most {MAX_PASSWORD_CHARS} characters."


class DecoratedCommonPassword(CommonPasswordValidator):
    """Refuses a common password that was only made longer: `Password123456!`, `qwertyqwerty`, `aaaaaaaaaaaa`."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raises: ValidationError: little would be left of it for somebody who tries common passwords first."""
        if len(set(password)) < MIN_DISTINCT_CHARS or any(core in self.passwords for core in cores(password)):
            raise ValidationError("expected something that is not a common password made longer", code="decorated")

    def get_help_text(self) -> str:
        """One sentence for the form."""
        return "Not a common password with something added."


def cores(password: str) -> set[str]:
    """What is left of a password without the digits and signs around it, without repetition, and without leet."""
    folded = password.casefold()
    found: set[str] = set()
    for text in (folded, folded.translate(_LEET)):
        bare = text.strip(_DECORATION)
        # Four characters or fewer left over from a long password say nothing about the rest of it.
        found |= {part for part in (text, bare, _unrepeated(text), _unrepeated(bare)) if len(part) > 4}
    return found


def _unrepeated(text: str) -> str:
    for length in range(1, len(text) // 2 + 1):
        if len(text) % length == 0 and text[:length] * (len(text) // length) == text:
            return text[:length]
    return text


class BreachedPassword:
    """Refuses passwords that a local list of breached ones names; the settings use it where there is such a list.

    The list is a text file of SHA-1 hashes in upper-case hex, one a line, sorted, each with an optional `:count`: the
    form in which such lists are offered for download. It is searched where it lies, whatever its size, so no
    password and no part of its hash ever leaves this machine.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Check one password.

        Raises:
            ValidationError: the list names the password.
            Unavailable: the list cannot be read, so that nothing can be said (`breached-list`).
        """
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        try:
            with self._path.open("rb") as lines:
                listed = is_listed(lines, wanted)
        except OSError as error:
            raise Unavailable(
                f"the list of stolen passwords cannot be read: {error.strerror}", code="breached-list"
            ) from error
        if listed:
            raise ValidationError(
                "expected a password that was never stolen anywhere, got one from a list of stolen ones",
                code="breached",
            )

    def get_help_text(self) -> str:
        """One sentence for the form."""
        return "Not one from a list of stolen passwords."


def is_listed(lines: BinaryIO, wanted: bytes) -> bool:
    """Whether a sorted list of hash lines names this hash (upper-case hex), by bisection over its bytes."""
    low, high = 0, lines.seek(0, 2)
    # Invariant: a line that names it begins in [low, high).
    while low < high:
        middle = (low + high) // 2
        start = _line_start(lines, middle)
        lines.seek(start)
        line = lines.readline(_LONGEST_LINE)
        found = line.split(b":", 1)[0].strip()
        if found == wanted:
            return True
        if found < wanted:
            low = start + len(line)
        else:
            high = start
    return False


def _line_start(lines: BinaryIO, position: int) -> int:
    """Where the line begins that the byte at `position` is part of."""
    begin = max(0, position - _LONGEST_LINE)
    lines.seek(begin)
    before = lines.read(position - begin)
    return begin + before.rfind(b"\n") + 1
