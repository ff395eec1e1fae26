"""The parts of a wheel that make it a wheel: `.dist-info`, `WHEEL`, `RECORD`, entry points, licence files.

Source: PEP 427 and the binary distribution format; PEP 376 for `RECORD`; PEP 815 for its signatures; PEP 639 for
licence files; the entry points specification.
"""

from __future__ import annotations

import base64
import configparser
import csv
import email.parser
import io
import re
from collections.abc import Iterator

from wheelmark.dist.bounds import KIB, MIB
from wheelmark.dist.contents import Contents
from wheelmark.dist.faults import FaultLog, quoted
from wheelmark.dist.filenames import Filename
from wheelmark.dist.metadata import MAX_METADATA_BYTES, CoreMetadata
from wheelmark.dist.names import Sha256

MAX_WHEEL_FILE_BYTES = 64 * KIB
MAX_RECORD_BYTES = 32 * MIB
MAX_ENTRY_POINTS_BYTES = MIB

DATA_SCHEMES = frozenset({"purelib", "platlib", "headers", "scripts", "data"})
RECORD_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
SCRIPT_GROUPS = ("console_scripts", "gui_scripts")

_OBJECT_REFERENCE = re.compile(r"[\w.]+\s*(?::\s*[\w.]+\s*)?(?:\[[\w\s,.-]*\]\s*)?")
# Installers write a script of this name into a folder of executables.
_SCRIPT_NAME = re.compile(r"[\w.-][\w. -]*")
_ENTRY_POINT_NAME = re.compile(r"[^\s=\[][^=\x00-\x1f]*")


def dist_info(filename: Filename) -> str:
    """The folder of a wheel's own metadata."""
    return f"{filename.stem}.dist-info"


def wanted_of_wheel(filename: Filename) -> dict[str, int]:
    """The members whose bytes the check needs, with the most bytes that each may have."""
    folder = dist_info(filename)
    return {
        f"{folder}/METADATA": MAX_METADATA_BYTES,
        f"{folder}/WHEEL": MAX_WHEEL_FILE_BYTES,
        f"{folder}/RECORD": MAX_RECORD_BYTES,
        f"{folder}/entry_points.txt": MAX_ENTRY_POINTS_BYTES,
    }


def check_wheel(filename: Filename, contents: Contents, metadata: CoreMetadata | None, log: FaultLog) -> None:
    """Note every fault of what a wheel holds; `metadata` is None when it could not be read, as noted elsewhere."""
    _check_top_level(filename, contents, log)
    _check_wheel_file(filename, contents, log)
    _check_record(filename, contents, log)
    _check_entry_points(filename, contents, log)
    if metadata is not None and metadata.license_files_are_defined:
        files = contents.files()
        for path in metadata.license_files:
            if f"{dist_info(filename)}/licenses/{path}" not in files:
                log.add("license-file-missing", f"expected the licence file {quoted(path)} below `licenses/`, got none")


def _check_top_level(filename: Filename, contents: Contents, log: FaultLog) -> None:
    """The folders that installers treat in a special way may be the wheel's own only."""
    own_data = f"{filename.stem}.data"
    tops = {path.partition("/")[0] for path in contents.kinds}
    for top in sorted(tops):
        lowered = top.lower()
        if lowered.endswith(".dist-info") and top != dist_info(filename):
            log.add("wheel-dist-info", f"expected the only folder {dist_info(filename)!r}, got {quoted(top)}")
        elif lowered.endswith(".data") and top != own_data:
            log.add("wheel-data-folder", f"expected no folder of files to spread but {own_data!r}, got {quoted(top)}")
    if dist_info(filename) not in tops:
        log.add("wheel-dist-info", f"expected the folder {dist_info(filename)!r}, got none")
    for path, kind in contents.kinds.items():
        parts = path.split("/")
        if parts[0] != own_data or (len(parts) == 1 and kind == "directory"):
            continue
        if len(parts) == 1 or parts[1] not in DATA_SCHEMES or (len(parts) == 2 and kind != "directory"):
            log.add("wheel-data-folder", f"expected one of {sorted(DATA_SCHEMES)} in {own_data!r}, got {quoted(path)}")
        elif len(parts) > 2 and parts[1] in ("purelib", "platlib") and parts[2].lower().endswith(".dist-info"):
            # It would install the metadata of another project.
            log.add("wheel-data-folder", f"expected no metadata among files to spread, got {quoted(path)}")


def _check_wheel_file(filename: Filename, contents: Contents, log: FaultLog) -> None:
    path = f"{dist_info(filename)}/WHEEL"
    raw = contents.wanted_bytes(path, log, missing_code="wheel-file", too_large_code="wheel-file")
    if raw is None:
        return
    # The parser of mail raises ValueErrors on malformed headers; LookupError on unknown character sets.
    try:
        fields = email.parser.Parser().parsestr(raw.decode("utf-8"))
        versions = [str(value) for value in fields.get_all("Wheel-Version", [])]
        pure = [str(value) for value in fields.get_all("Root-Is-Purelib", [])]
    except (ValueError, LookupError):
        log.add("wheel-file", "expected `WHEEL` to have headers in UTF-8, got something else")
        return
    if len(versions) != 1 or not re.fullmatch(r"1\.[0-9]+", versions[0].strip()):
        log.add("wheel-file", f"expected `Wheel-Version` 1.x once, got {quoted(', '.join(versions))}")
    if len(pure) != 1 or pure[0].strip().lower() not in ("true", "false"):
        log.add("wheel-file", f"expected `Root-Is-Purelib` true or false once, got {quoted(', '.join(pure))}")


def _check_record(filename: Filename, contents: Contents, log: FaultLog) -> None:
    """That `RECORD` lists every file with its right digest and size, and nothing else."""
    path = f"{dist_info(filename)}/RECORD"
    for signature in RECORD_SIGNATURES:
        if f"{dist_info(filename)}/{signature}" in contents.kinds:
            log.add("wheel-record-signature", f"expected no signature of `RECORD`, got {signature}")
    raw = contents.wanted_bytes(path, log, missing_code="wheel-record-missing", too_large_code="wheel-record-form")
    if raw is None:
        return
    listed: set[str] = set()
    files = contents.files()
    try:
        for member, digest, size in _record_rows(raw):
            if member in listed:
                log.add("wheel-record-form", f"expected each path once, got {quoted(member)} again")
            elif member not in files:
                log.add("wheel-record-extra", f"expected only files of the wheel, got {quoted(member)}")
            elif member == path:
                if digest or size:
                    log.add("wheel-record-form", "expected no digest and size of `RECORD` itself, got some")
            else:
                _check_row(member, digest, size, contents.sha256_and_size(member), log)
            listed.add(member)
    except (ValueError, csv.Error) as error:
        log.add("wheel-record-form", f"expected rows of path, digest and size, got {quoted(str(error))}")
        return
    for member in sorted(files - listed):
        log.add("wheel-record-unlisted", f"expected every file to be listed, got {quoted(member)} unlisted")


def _record_rows(raw: bytes) -> Iterator[tuple[str, str, str]]:
    for row in csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True):
        if not row:
            continue
        if len(row) != 3:
            raise ValueError(f"a row of {len(row)} columns")
        yield row[0], row[1], row[2]


def _check_row(member: str, digest: str, size: str, actual: tuple[Sha256, int], log: FaultLog) -> None:
    sha256, actual_size = actual
    expected = "sha256=" + base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
    if digest.rstrip("=") != expected:
        log.add("wheel-record-digest", f"expected {expected} for {quoted(member)}, got {quoted(digest)}")
    if size != str(actual_size):
        log.add("wheel-record-size", f"expected {actual_size} bytes for {quoted(member)}, got {quoted(size)}")


def _check_entry_points(filename: Filename, contents: Contents, log: FaultLog) -> None:
    path = f"{dist_info(filename)}/entry_points.txt"
    if contents.kinds.get(path) != "file":
        return
    raw = contents.wanted_bytes(path, log, missing_code="entry-points", too_large_code="entry-points")
    if raw is None:
        return
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep letters as they are
    try:
        parser.read_string(raw.decode("utf-8"))
    except (ValueError, configparser.Error) as error:
        log.add("entry-points", f"expected groups of `name = object`, got {type(error).__name__}")
        return
    for group in parser.sections():
        form = _SCRIPT_NAME if group in SCRIPT_GROUPS else _ENTRY_POINT_NAME
        for name, reference in parser.items(group):
            if not form.fullmatch(name) or name in (".", ".."):
                log.add("entry-points", f"expected the name of an entry point in {quoted(group)}, got {quoted(name)}")
            if not _OBJECT_REFERENCE.fullmatch(reference):
                log.add("entry-points", f"expected `module:object` for {quoted(name)}, got {quoted(reference)}")
