"""Addresses and questions for names, as they stand in a trace."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from wheelmark.scan.dynamic.places import HOST_NAME
from wheelmark.scan.dynamic.trace import unescaped

_PORT = re.compile(rb"sin6?_port=htons\((\d{1,5})\)")
_IPV4 = re.compile(rb'sin_addr=inet_addr\("((?:\\x[0-9a-f]{2}){1,60})"\)')
_IPV6 = re.compile(rb'inet_pton\(AF_INET6, "((?:\\x[0-9a-f]{2}){1,60})"')
_DNS_HEADER = 12
_MAX_LABELS = 64
_QUESTION_TAIL = 4  # type and class


@dataclass(frozen=True, slots=True)
class Address:
    """An address on the network that a process names."""

    host: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int

    @property
    def is_own(self) -> bool:
        """True for this machine itself: questions for names go there, and tests of programs with themselves."""
        mapped = self.host.ipv4_mapped if isinstance(self.host, ipaddress.IPv6Address) else None
        host = mapped or self.host
        return host.is_loopback or host.is_unspecified

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"


def address_in(arguments: bytes) -> Address | None:
    """The first address in the arguments of a call; None when there is none."""
    port = _PORT.search(arguments)
    found = _IPV4.search(arguments) or _IPV6.search(arguments)
    if port is None or found is None:
        return None
    try:
        return Address(ipaddress.ip_address(unescaped(found[1]).decode("ascii")), int(port[1]))
    except ValueError:
        return None


def name_asked_for(raw: bytes) -> str:
    """The name in the bytes of a question to a name server; "" when they are none, or ask for this machine.

    Source: RFC 1035 § 4.1: a header with one question and nothing else but additional records, then labels.
    """
    if len(raw) <= _DNS_HEADER + _QUESTION_TAIL or raw[2] & 0xF8 or raw[4:10] != b"\x00\x01\x00\x00\x00\x00":
        return ""
    labels: list[str] = []
    position = _DNS_HEADER
    while position < len(raw) and raw[position] and len(labels) < _MAX_LABELS:
        length = raw[position]
        label = raw[position + 1 : position + 1 + length]
        if length > 63 or len(label) < length:
            return ""
        labels.append(label.decode("ascii", "backslashreplace"))
        position += 1 + length
    name = ".".join(labels)
    return "" if name.lower() in {HOST_NAME, "localhost"} else name
