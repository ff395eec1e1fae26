"""The ceremony that this index has open, as a file in the data folder: it outlives every command and every start.

No secret is in it. The copy here gathers the signatures; the holders have copies of their own.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmark.errors import Refused, Unavailable
from wheelmark.server.config import Config

if TYPE_CHECKING:
    from wheelmark.trust.ceremony import Ceremony

FOLDER = "ceremony"


def open_path(config: Config) -> Path:
    """Where the open ceremony lies, if there is one."""
    return config.data / FOLDER / "open.json"


def read_open(config: Config) -> Ceremony:
    """The open ceremony.

    Raises:
        Refused: there is none (`no-ceremony`).
        Untrusted: its file was changed.
    """
    path = open_path(config)
    if not path.exists():
        raise Refused.because(
            "no-ceremony",
            "ceremony",
            "expected an open ceremony, got none: begin one with `wheelmark trust ceremony begin`",
        )
    return read_ceremony_file(path)


def read_ceremony_file(path: Path) -> Ceremony:
    """The ceremony in any file, all of it verified.

    Raises:
        Refused: the file cannot be read (`ceremony-unreadable`).
        Untrusted: it does not verify.
    """
    from wheelmark.trust.ceremony_file import MAX_CEREMONY_BYTES, read_ceremony

    try:
        with path.open("rb") as file:
            content = file.read(MAX_CEREMONY_BYTES + 1)
    except OSError as error:
        raise Refused.because(
            "ceremony-unreadable", str(path), f"expected a readable ceremony file, got: {error.strerror}"
        ) from error
    return read_ceremony(content)


def keep_open(config: Config, ceremony: Ceremony) -> None:
    """Make this the open ceremony, or the state of it."""
    from wheelmark.trust.ceremony_file import format_ceremony

    open_path(config).parent.mkdir(mode=0o755, exist_ok=True)
    write_durably(open_path(config), format_ceremony(ceremony))


def close(config: Config) -> None:
    """There is no open ceremony any more."""
    open_path(config).unlink(missing_ok=True)


def write_durably(path: Path, content: bytes) -> None:
    """Put a file in place in one step, so that a power cut leaves the old one or the new one.

    Raises:
        Unavailable: it cannot be written (`file-unwritable`).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}", code="file-unwritable") from error
