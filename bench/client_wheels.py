"""Fifty wheels of about 30 MB together, made anew and always the same: what a project of some size installs.

Sizes from 25 kB to 2.5 MB, each step a tenth larger: many small distributions and a few large ones. Three quarters of
the bytes do not compress, as in a library for numbers; the rest are modules of some kilobytes, as everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from support.distributions import build_wheel, wheel_filename

COUNT = 50
TOTAL_BYTES = 33_000_000  # before the modules are compressed
LARGEST_OVER_SMALLEST = 100
MODULE_BYTES = 2300  # compressed, about
FUNCTIONS = 60
MODULES_IN_A_FOLDER = 20


def project(number: int) -> str:
    """The name of one of the projects."""
    return f"measured-{number}"


def wheels() -> Iterator[tuple[str, bytes]]:
    """File name and bytes of each."""
    steps = [LARGEST_OVER_SMALLEST ** (number / (COUNT - 1)) for number in range(COUNT)]
    for number, step in enumerate(steps):
        yield _wheel(number, int(TOTAL_BYTES * step / sum(steps)))


def _wheel(number: int, size: int) -> tuple[str, bytes]:
    source, name = random.Random(number), project(number)
    folder = name.replace("-", "_")
    files = {
        f"{folder}/part_{module // MODULES_IN_A_FOLDER}/module_{module}.py": _module(source)
        for module in range(max(3, size // 4 // MODULE_BYTES))
    }
    return wheel_filename(name), build_wheel(name, files=files, payload_size=size * 3 // 4)


def _module(source: random.Random) -> bytes:
    lines = ['"""A module of a wheel that is only measured."""', ""]
    for number in range(FUNCTIONS):
        lines.append(f"def value_{number}_{source.randrange(1 << 24):06x}(number):")
        lines += [f"    return number * {source.randrange(1 << 30)} + {source.randrange(1 << 30)}", ""]
    return "\n".join(lines).encode()
