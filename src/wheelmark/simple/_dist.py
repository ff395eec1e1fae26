"""Stand-in until `wheelmark.dist` publishes its names: the same signatures, on `packaging` alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from wheelmark.errors import Refused

NormalizedName = NewType("NormalizedName", str)


def is_normalized(text: str) -> bool:
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text) is not None


@dataclass(frozen=True, slots=True)
class Filename:
    name: NormalizedName
    version: Version


def parse_filename(text: str, *, strict: bool = True) -> Filename:
    del strict
    try:
        name, version = parse_wheel_filename(text)[:2] if text.endswith(".whl") else parse_sdist_filename(text)
    except (InvalidSdistFilename, InvalidWheelFilename) as error:
        raise Refused.because("filename", "filename", str(error)) from error
    return Filename(NormalizedName(name), version)
