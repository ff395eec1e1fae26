"""Builds the headers of executables that no machine would run: enough of ELF, PE and Mach-O to be read."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence


def noise(size: int) -> bytes:
    """Bytes without order, the same every time."""
    return b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(size // 32 + 1))[:size]


def an_elf(code: bytes = b"\x90" * 64, *, imports: Sequence[str] = (), needed: Sequence[str] = ()) -> bytes:
    """An ELF file for x86-64 with a section of code, dynamic symbols and the libraries that it needs."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in (*imports, *needed))
    symbols = b"\0" * 24 + b"".join(
        struct.pack("<IBBHQQ", strings.index(b"\0" + name.encode() + b"\0") + 1, 0x12, 0, 0, 0, 0) for name in imports
    )
    dynamic = b"".join(
        struct.pack("<QQ", 1, strings.index(b"\0" + name.encode() + b"\0") + 1) for name in needed
    ) + struct.pack("<QQ", 0, 0)
    names = b"\0.text\0.dynstr\0.dynsym\0.dynamic\0.shstrtab\0"
    parts = [(".text", 1, 6, code, 0), (".dynstr", 3, 2, strings, 0), (".dynsym", 11, 2, symbols, 2)]
    parts += [(".dynamic", 6, 3, dynamic, 2), (".shstrtab", 3, 0, names, 0)]
    offset, headers, body = 64, [b"\0" * 64], b""
    for name, kind, flags, content, link in parts:
        place = names.index(name.encode() + b"\0")
        headers.append(struct.pack("<IIQQQQIIQQ", place, kind, flags, 0, offset, len(content), link, 0, 0, 0))
        offset += len(content)
        body += content
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, offset, 0, 64, 0, 0, 64, len(headers), len(headers) - 1)
    return ident + head + body + b"".join(headers)


def a_pe(
    *, library: str = "KERNEL32.dll", imports: Sequence[str] = (), section: str = ".text", rest: bytes = b""
) -> bytes:
    """A PE file for x86-64 with one section of code, which holds its import table; `rest` lies behind it."""
    base = 0x1000
    names = b"".join(b"\0\0" + name.encode() + b"\0" for name in imports)
    thunks_at = base + 40
    names_at = thunks_at + 8 * (len(imports) + 1)
    addresses, at = [], names_at
    for name in imports:
        addresses.append(at)
        at += len(name) + 3
    table = struct.pack("<IIIII", thunks_at, 0, 0, at, thunks_at) + b"\0" * 20
    body = table + b"".join(struct.pack("<Q", each) for each in [*addresses, 0]) + names + library.encode() + b"\0"
    optional = struct.pack("<H", 0x20B).ljust(120, b"\0") + struct.pack("<II", base, 40)
    optional = optional.ljust(240, b"\0")
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 2) + optional
    start = len(head) + 40
    head += section.encode().ljust(8, b"\0") + struct.pack(
        "<IIIIIIHHI", len(body), base, len(body), start, 0, 0, 0, 0, 0x60000020
    )
    return head + body + rest


def a_mach(
    code: bytes = b"\x90" * 64, *, imports: Sequence[str] = (), library: str = "/usr/lib/libSystem.B.dylib"
) -> bytes:
    """A Mach-O file for ARM64 with a section of code, one library, and undefined symbols."""
    strings = b"\0" + b"".join(b"_" + name.encode() + b"\0" for name in imports)
    dylib = library.encode() + b"\0"
    dylib = dylib.ljust(-(-len(dylib) // 8) * 8, b"\0")
    sizes = (72 + 80, 24 + len(dylib), 24)
    start = 32 + sum(sizes)
    symbols_at = start + len(code)
    symbols = b"".join(
        struct.pack("<IBBHQ", strings.index(b"_" + name.encode() + b"\0"), 1, 0, 0, 0) for name in imports
    )
    segment = struct.pack("<II16sQQQQIIII", 0x19, sizes[0], b"__TEXT", 0, 0, 0, 0, 5, 5, 1, 0)
    segment += struct.pack("<16s16sQQIIIIIIII", b"__text", b"__TEXT", 0, len(code), start, 0, 0, 0, 0x80000400, 0, 0, 0)
    loaded = struct.pack("<IIIIII", 0x0C, sizes[1], 24, 0, 0, 0) + dylib
    table = struct.pack("<IIIIII", 2, 24, symbols_at, len(imports), symbols_at + len(symbols), len(strings))
    head = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x0100000C, 0, 2, 3, sum(sizes), 0, 0)
    return head + segment + loaded + table + code + symbols + strings
