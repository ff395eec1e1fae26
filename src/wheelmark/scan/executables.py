"""Reads the headers of ELF, PE and Mach-O files: sections, what they import, packers, telling texts. Runs nothing.

A bounded reader of our own: three headers are read to answer four questions, and whatever does not fit is left out. No
offset is believed; a file that lies about itself shows less, and never stops the scan.

Sources: System V ABI (ELF), Microsoft PE Format, Apple `mach-o/loader.h` and `mach-o/nlist.h`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from wheelmark.scan.statistics import entropy

MAX_SECTIONS = 200
MAX_LIBRARIES = 200
MAX_IMPORTS = 4000
MAX_NAME = 120  # bytes of a name
MAX_TEXTS = 20
ENTROPY_BYTES = 32 * 1024  # of a section that are looked at
PACKED_ENTROPY = 76  # tenths of a bit: compiled code has about 60 to 65, what is compressed or encrypted nearly 80
MIN_PACKED_BYTES = 16 * 1024  # a smaller section is no packed program
_PACKER_SECTIONS = {
    **dict.fromkeys(("UPX0", "UPX1", "UPX2", "UPX!"), "UPX"),
    **dict.fromkeys((".aspack", ".adata"), "ASPack"),
    **dict.fromkeys((".MPRESS1", ".MPRESS2"), "MPRESS"),
    **dict.fromkeys((".vmp0", ".vmp1", ".vmp2"), "VMProtect"),
    **dict.fromkeys((".themida", ".winlice"), "Themida"),
    **dict.fromkeys((".enigma1", ".enigma2"), "Enigma"),
    **dict.fromkeys((".petite", ".nsp0", ".nsp1", "PEC2", ".yP", "FSG!"), "a packer"),
}
_TELLING = re.compile(
    rb"(?i)\b(?:curl|wget)\b[^\0\n]{1,200}\|\s?(?:ba|z|da)?sh\b|/dev/tcp/[\w.%]|"
    rb"powershell(?:\.exe)?\b[^\0\n]{0,80}(?:\s-e[nc]|hidden|\biex\b|downloadstring)[^\0\n]{0,80}|"
    rb"discord(?:app)?\.com/api/webhooks/|api\.telegram\.org/bot|"
    rb"schtasks(?:\.exe)?\s+/create\b[^\0\n]{0,80}|CurrentVersion\\+Run\b|stratum\+(?:tcp|ssl)://"
)
# A text that tells has one of these words; they are found ten times as fast.
_WORDS = (
    *(b"curl", b"wget", b"/dev/tcp/", b"powershell", b"/api/webhooks/", b"telegram.org/bot", b"schtasks"),
    *(b"currentversion\\", b"stratum+"),
)
_WIDE = re.compile(rb"(?:[ -~]\0){8,}")
MAX_OCCURRENCES = 200  # of one word
_ELF_MACHINES = {3: "x86", 62: "x86-64", 40: "ARM", 183: "ARM64", 243: "RISC-V", 21: "POWER", 22: "S390"}
_PE_MACHINES = {0x14C: "x86", 0x8664: "x86-64", 0xAA64: "ARM64", 0x1C4: "ARM"}
_MACH_MACHINES = {7: "x86", 0x01000007: "x86-64", 12: "ARM", 0x0100000C: "ARM64"}


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an executable."""

    name: str
    size: int  # bytes, as declared
    runs: bool  # it is mapped to be executed
    entropy: int  # tenths of a bit, of its beginning; 0 where it lies beyond what was read


@dataclass(slots=True)
class Executable:
    """What an executable or a library shows of itself."""

    format: str  # "ELF", "PE", "Mach-O"
    machine: str = ""
    sections: list[Section] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)  # names of functions
    packer: str = ""  # by what is known of it
    texts: list[str] = field(default_factory=list)  # that no library needs
    overlay: int = 0  # bytes behind the last section of a PE file

    @property
    def is_packed(self) -> bool:
        """True when it was packed by a packer that is known, or when code that runs has no more order than noise."""
        return bool(self.packer) or any(
            section.runs and section.size >= MIN_PACKED_BYTES and section.entropy >= PACKED_ENTROPY
            for section in self.sections
        )


class _Bytes:
    """Bounded access to the bytes; what lies outside raises `struct.error`."""

    def __init__(self, raw: bytes, order: str = "<") -> None:
        self.raw = raw
        self.order = order

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        """The numbers of a form at an offset."""
        if not 0 <= at < len(self.raw):
            raise struct.error
        found: tuple[int, ...] = struct.unpack_from(self.order + form, self.raw, at)
        return found

    def name(self, at: int) -> str:
        """The text at an offset, up to its end."""
        if not 0 <= at < len(self.raw):
            return ""
        part = self.raw[at : at + MAX_NAME]
        return part.partition(b"\0")[0].decode("latin-1")

    def section(self, name: str, at: int, size: int, *, runs: bool) -> Section:
        """A section with the entropy of its beginning."""
        part = self.raw[at : at + min(size, ENTROPY_BYTES)] if 0 <= at < len(self.raw) else b""
        return Section(name, size, runs, entropy(part) if runs else 0)


def read_executable(raw: bytes) -> Executable | None:
    """What the first bytes of a file show, or all of them; None when it is no ELF, PE or Mach-O file. Never raises."""
    for magic, read in _READERS:
        if raw.startswith(magic):
            found = read(raw)
            if found is not None:
                found.packer = found.packer or _packer(raw, found)
                found.texts = _texts(raw)
            return found
    return None


def _packer(raw: bytes, found: Executable) -> str:
    for section in found.sections:
        if section.name in _PACKER_SECTIONS:
            return _PACKER_SECTIONS[section.name]
    return "UPX" if b"UPX!" in raw[:4096] or b"UPX!" in raw[-64:] else ""


def _texts(raw: bytes) -> list[str]:
    found: dict[str, None] = {}
    # Windows keeps much of its text in two bytes for each character.
    wide = [match.replace(b"\0", b"") for match in _WIDE.findall(raw)] if raw.startswith(b"MZ") else []
    for searched in (raw, b"\0".join(wide)):
        lower = searched.lower()
        for word in _WORDS:
            at = lower.find(word)
            for _ in range(MAX_OCCURRENCES):
                if at < 0 or len(found) >= MAX_TEXTS:
                    break
                match = _TELLING.search(searched[max(0, at - 24) : at + 300])
                if match is not None:
                    found[match[0].decode("latin-1")] = None
                at = lower.find(word, at + len(word))
    return list(found)


def _read_elf(raw: bytes) -> Executable | None:
    if len(raw) < 20:
        return None
    is_wide, order = raw[4:5] == b"\x02", ">" if raw[5:6] == b"\x02" else "<"
    view, found = _Bytes(raw, order), Executable("ELF")
    try:
        found.machine = _ELF_MACHINES.get(view.unpack("H", 18)[0], "")
        start = view.unpack("Q", 40)[0] if is_wide else view.unpack("I", 32)[0]
        size, count, names_at = view.unpack("HHH", 58 if is_wide else 46)
        form = "IIQQQQIIQQ" if is_wide else "IIIIIIIIII"
        headers = [view.unpack(form, start + number * size) for number in range(min(count, MAX_SECTIONS))]
    except struct.error:
        return found
    names = headers[names_at][4] if names_at < len(headers) else -1
    for name, kind, flags, _, offset, length, link, _, _, step in headers:
        label = view.name(names + name) if names >= 0 else ""
        found.sections.append(view.section(label, offset, 0 if kind == 8 else length, runs=bool(flags & 4)))
        if kind in {6, 11} and link < len(headers):
            _read_elf_table(view, found, (kind, offset, length, step), headers[link][4], is_wide=is_wide)
    return found


def _read_elf_table(
    view: _Bytes, found: Executable, table: tuple[int, int, int, int], strings: int, *, is_wide: bool
) -> None:
    """The libraries of a dynamic section (6), or the functions that dynamic symbols (11) leave undefined."""
    kind, offset, length, _ = table
    step = (16 if is_wide else 8) if kind == 6 else (24 if is_wide else 16)
    for number in range(min(length // step, MAX_IMPORTS)):
        try:
            if kind == 6:
                tag, value = view.unpack("QQ" if is_wide else "II", offset + number * step)
                if tag == 1 and len(found.libraries) < MAX_LIBRARIES:
                    found.libraries.append(view.name(strings + value))
                continue
            name = view.unpack("I", offset + number * step)[0]
            section = view.unpack("H", offset + number * step + (6 if is_wide else 14))[0]
        except struct.error:
            return
        if section == 0 and name:
            found.imports.append(view.name(strings + name))


def _read_pe(raw: bytes) -> Executable | None:
    view, found = _Bytes(raw), Executable("PE")
    try:
        start = view.unpack("I", 60)[0]
        if raw[start : start + 4] != b"PE\0\0":
            return None
        machine, count, _, _, _, optional, _ = view.unpack("HHIIIHH", start + 4)
        is_wide = view.unpack("H", start + 24)[0] == 0x20B
        found.machine = _PE_MACHINES.get(machine, "")
        mapped: list[tuple[int, int, int]] = []
        end = 0
        for number in range(min(count, MAX_SECTIONS)):
            at = start + 24 + optional + number * 40
            virtual_size, address, size, offset = view.unpack("IIII", at + 8)
            flags = view.unpack("I", at + 36)[0]
            name = raw[at : at + 8].rstrip(b"\0").decode("latin-1")
            found.sections.append(view.section(name, offset, size, runs=bool(flags & 0x20000000)))
            mapped.append((address, max(virtual_size, size), offset))
            end = max(end, offset + size)
        found.overlay = max(0, len(raw) - end)
        _read_pe_imports(view, found, mapped, view.unpack("I", start + 24 + (120 if is_wide else 104))[0], is_wide)
    except struct.error:
        return found if found.machine else None
    return found


def _read_pe_imports(
    view: _Bytes, found: Executable, mapped: list[tuple[int, int, int]], table: int, is_wide: bool
) -> None:
    def offset_of(address: int) -> int:
        for start, size, offset in mapped:
            if start <= address < start + size:
                return offset + address - start
        return -1

    for number in range(MAX_LIBRARIES):
        entries, _, _, name, thunks = view.unpack("IIIII", offset_of(table) + number * 20)
        if not name:
            return
        found.libraries.append(view.name(offset_of(name)))
        width, ordinal = (8, 1 << 63) if is_wide else (4, 1 << 31)
        at = offset_of(entries or thunks)
        while at >= 0 and len(found.imports) < MAX_IMPORTS:
            thunk = view.unpack("Q" if is_wide else "I", at)[0]
            if not thunk:
                break
            if not thunk & ordinal:
                found.imports.append(view.name(offset_of(thunk) + 2))
            at += width


def _read_mach(raw: bytes) -> Executable | None:
    start = 0
    if raw[:4] == b"\xca\xfe\xba\xbe":  # several programs in one file: the first stands for all
        if len(raw) < 28 or not 0 < int.from_bytes(raw[4:8], "big") <= 45:
            return None  # a class file of Java
        start = int.from_bytes(raw[16:20], "big")
    magic = raw[start : start + 4]
    if magic not in {b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xfe\xed\xfa\xce"}:
        return Executable("Mach-O")
    is_wide = b"\xcf" in magic
    view, found = _Bytes(raw[start:], "<" if magic.endswith(b"\xfe") else ">"), Executable("Mach-O")
    try:
        _, machine, _, _, count = view.unpack("IIIII", 0)
        found.machine = _MACH_MACHINES.get(machine, "")
        at = 32 if is_wide else 28
        for _ in range(min(count, MAX_SECTIONS)):
            command, size = view.unpack("II", at)
            _read_load_command(view, found, command & 0x7FFFFFFF, at, is_wide)
            if size < 8:
                break
            at += size
    except struct.error:
        pass
    return found


def _read_load_command(view: _Bytes, found: Executable, command: int, at: int, is_wide: bool) -> None:
    if command in {0x0C, 0x18, 0x1F} and len(found.libraries) < MAX_LIBRARIES:
        found.libraries.append(view.name(at + view.unpack("I", at + 8)[0]))
    elif command == (0x19 if is_wide else 0x01):
        first, step, form = (at + 72, 80, "QQI") if is_wide else (at + 56, 68, "III")
        for number in range(view.unpack("I", at + (64 if is_wide else 48))[0]):
            if len(found.sections) >= MAX_SECTIONS:
                return
            place = first + number * step
            _, size, offset = view.unpack(form, place + 32)
            flags = view.unpack("I", place + (64 if is_wide else 56))[0]
            found.sections.append(view.section(view.name(place)[:16], offset, size, runs=bool(flags & 0x80000400)))
    elif command == 0x02:
        symbols, count, strings, _ = view.unpack("IIII", at + 8)
        for number in range(min(count, MAX_IMPORTS)):
            name, kind = view.unpack("IB", symbols + number * (16 if is_wide else 12))
            if kind & 0x0E == 0 and kind & 1 and name:
                found.imports.append(view.name(strings + name).removeprefix("_"))


_READERS = (
    (b"\x7fELF", _read_elf),
    (b"MZ", _read_pe),
    *(
        (magic, _read_mach)
        for magic in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa", b"\xca\xfe\xba\xbe")
    ),
)
