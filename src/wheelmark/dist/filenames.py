"""Names of distribution files, parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from packaging.tags import Tag
from packaging.utils import (
    BuildTag,
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from wheelmark.dist.faults import FaultLog, fault, quoted
from wheelmark.dist.names import normalize
from wheelmark.errors import Refused

DistributionKind = Literal["sdist", "bdist_wheel"]

MAX_FILENAME_CHARS = 255
"""The longest name that common file systems take."""
MAX_TAGS = 256
"""What the compressed tag sets of one wheel may expand to."""

_FORBIDDEN = re.compile(r"[^A-Za-z0-9._+!-]")

_ARCHITECTURES = "x86_64|i686|aarch64|armv7l|ppc64le|ppc64|s390x|riscv64|loongarch64"
_PLATFORM = re.compile(
    "|".join(
        (
            r"any",
            r"win32|win_amd64|win_arm64|win_ia64",
            rf"manylinux(?:1|2010|2014)_(?:{_ARCHITECTURES})",
            rf"(?:many|musl)linux_[0-9]+_[0-9]+_(?:{_ARCHITECTURES})",
            r"linux_armv[67]l",
            r"macosx_[0-9]+_[0-9]+_(?:arm64|intel|fat|fat3|fat32|fat64|universal|universal2|i386|ppc|ppc64|x86_64)",
            r"ios_[0-9]+_[0-9]+_(?:arm64|x86_64)_(?:iphoneos|iphonesimulator)",
            r"android_[0-9]+_(?:armeabi_v7a|arm64_v8a|x86|x86_64)",
            r"pyemscripten_[0-9]{4}_[0-9]+_wasm32",
        )
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filename:
    """The name of a distribution file and what it says."""

    text: str
    name: NormalizedName
    version: Version
    kind: DistributionKind
    python_tag: str
    """`source` for a source distribution, else as written, like `py3` or `cp311`."""
    tags: frozenset[Tag] = frozenset()
    build: BuildTag = ()

    def __str__(self) -> str:
        return self.text

    @property
    def stem(self) -> str:
        """`name-version` as written: the top folder of an sdist, and what a wheel's `.dist-info` is named after."""
        if self.kind == "sdist":
            return self.text.removesuffix(".tar.gz").removesuffix(".zip")
        return "-".join(self.text.split("-")[:2])


def parse_filename(text: str, *, strict: bool = True) -> Filename:
    """What the name of a file says.

    `strict` is for uploads. Without it the names that older tools gave are taken too: `.zip` source distributions,
    upper case and dots in the project's part, unusual platforms.

    Raises:
        Refused: it is no name of a distribution; all its faults are given.
    Source: PEP 427 § File name convention, PEP 625, PEP 491; for the platforms PEP 600, 656, 730, 738, 783.
    """
    log = FaultLog()
    if len(text) > MAX_FILENAME_CHARS:
        log.add("filename-length", f"expected at most {MAX_FILENAME_CHARS} characters, got {len(text)}")
    if _FORBIDDEN.search(text):
        log.add("filename-characters", f"expected ASCII letters, digits and `._+!-`, got {quoted(text)}")
    if not text.endswith((".whl", ".tar.gz") if strict else (".whl", ".tar.gz", ".zip")):
        log.add("filename-extension", f"expected a name that ends in .whl or .tar.gz, got {quoted(text)}")
    if log:
        raise Refused(log.found())
    parsed = _parse_wheel(text) if text.endswith(".whl") else _parse_sdist(text)
    if strict:
        _check_spelling(parsed, log)
        if log:
            raise Refused(log.found())
    return parsed


def _parse_wheel(text: str) -> Filename:
    components = text.removesuffix(".whl").split("-")[-3:]
    expanded = 1
    for component in components:
        expanded *= component.count(".") + 1
    if expanded > MAX_TAGS:
        raise Refused([fault("filename-tags", f"expected at most {MAX_TAGS} tags, got {expanded}")])
    try:
        name, version, build, tags = parse_wheel_filename(text)
    except InvalidWheelFilename as error:
        raise Refused([fault("filename-form", f"expected the name of a wheel, got {error}")]) from error
    return Filename(
        text=text,
        name=normalize(name),
        version=version,
        kind="bdist_wheel",
        python_tag=components[0],
        tags=tags,
        build=build,
    )


def _parse_sdist(text: str) -> Filename:
    try:
        name, version = parse_sdist_filename(text)
    except InvalidSdistFilename as error:
        message = f"expected the name of a source distribution, got {error}"
        raise Refused([fault("filename-form", message)]) from error
    return Filename(text=text, name=normalize(name), version=version, kind="sdist", python_tag="source")


def _check_spelling(parsed: Filename, log: FaultLog) -> None:
    """That a file can have one name only, and that installers on some platform will take it."""
    name_part, _, version_part = parsed.stem.rpartition("-")
    expected_name = parsed.name.replace("-", "_")
    if name_part != expected_name:
        log.add("filename-name", f"expected the normalized name {expected_name!r}, got {quoted(name_part)}")
    if version_part != str(parsed.version):
        log.add(
            "filename-version", f"expected the normalized version {str(parsed.version)!r}, got {quoted(version_part)}"
        )
    for platform in sorted({tag.platform for tag in parsed.tags}):
        if not _PLATFORM.fullmatch(platform):
            log.add("filename-platform", f"expected a platform that an index may carry, got {quoted(platform)}")
