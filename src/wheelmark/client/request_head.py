"""The head of a request as installers send it (RFC 9112 § 2 to 6), read for an answer on this machine. Pure.

Nothing here is lenient: who sends what no installer sends is told so, and the connection ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wheelmark.errors import Refused

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 100
END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. Names of fields are in lower case; values of a name that came twice are joined."""

    method: str
    target: str
    fields: Mapping[str, str]
    minor: int = 1  # of the HTTP version 1

    @property
    def ends_connection(self) -> bool:
        """True when nothing can be asked after it (RFC 9112 § 9.3); also where a body follows, which nobody reads."""
        options = [option.strip().lower() for option in self.fields.get("connection", "").split(",")]
        has_body = self.fields.get("content-length", "0") != "0" or "transfer-encoding" in self.fields
        return has_body or "close" in options or (self.minor == 0 and "keep-alive" not in options)


def read_request(head: bytes) -> Request:
    """The request that a head, without the empty line at its end, makes.

    Raises:
        Refused: it is none.
    """
    lines = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        raise _refused("request-line", "method, target and HTTP/1.1", lines[0])
    if len(lines) > MAX_FIELDS + 1:
        raise _refused("fields", f"at most {MAX_FIELDS} fields", b"more")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise _refused("field", "a name, a colon and a value", line)
        name, value = field[1].decode().lower(), field[2].decode("latin-1").rstrip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return Request(match[1].decode(), match[2].decode(), fields, int(match[3]))


def _refused(field: str, expected: str, got: bytes) -> Refused:
    return Refused.because("request", field, f"expected {expected}, got {got[:100]!r}")
