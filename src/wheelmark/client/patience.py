"""How long a slow or silent index may hold up an installer, as the user says it in the environment.

One number stands for all the waits, because nobody wants to learn five: `WHEELMARK_TIMEOUT`, the seconds that an index
may be silent. A whole metadata file may take three times as long, and after that many seconds a file must have come at
`WHEELMARK_MIN_SPEED` bytes a second on average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from wheelmark.client.fetching import Limits
from wheelmark.errors import Fault, Refused

TIMEOUT_VARIABLE = "WHEELMARK_TIMEOUT"
SPEED_VARIABLE = "WHEELMARK_MIN_SPEED"
LEAST_SECONDS, MOST_SECONDS = 0.1, 3600.0
LEAST_SPEED, MOST_SPEED = 1.0, 1e9  # bytes a second; 0 would let an endless drip hold the installer for ever
MAX_CONNECT_SECONDS = 10.0
METADATA_FACTOR = 3


def limits_from(environment: Mapping[str, str]) -> Limits:
    """The limits that the environment asks for; those of `Limits` when it says nothing.

    Raises:
        Refused: not a number, or outside the bounds.
    """
    faults: list[Fault] = []
    usual = Limits()
    seconds = _number(environment, TIMEOUT_VARIABLE, usual.gap_seconds, LEAST_SECONDS, MOST_SECONDS, faults)
    speed = _number(environment, SPEED_VARIABLE, usual.min_bytes_per_second, LEAST_SPEED, MOST_SPEED, faults)
    if faults:
        raise Refused(faults)
    return Limits(
        connect_seconds=min(MAX_CONNECT_SECONDS, seconds),
        gap_seconds=seconds,
        headers_seconds=seconds,
        metadata_seconds=METADATA_FACTOR * seconds,
        grace_seconds=seconds,
        min_bytes_per_second=int(speed),
    )


def _number(
    environment: Mapping[str, str], name: str, usual: float, least: float, most: float, faults: list[Fault]
) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return usual
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:  # also false for what is not a number
        faults.append(Fault("limit", name, f"expected a number from {least:g} to {most:.0f}, got {text[:40]!r}"))
        return usual
    return number
