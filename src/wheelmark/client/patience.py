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
SECONDS = (0.1, 3600.0)
SPEEDS = (1.0, 1e9)  # bytes a second; with 0 an endless drip could hold the installer for ever
MAX_CONNECT_SECONDS = 10.0
METADATA_FACTOR = 3


def limits_from(environment: Mapping[str, str]) -> Limits:
    """The limits that the environment asks for; those of `Limits` when it says nothing.

    Raises:
        Refused: not a number, or outside the bounds.
    """
    usual = Limits()
    faults: list[Fault] = []
    seconds = _number(environment, TIMEOUT_VARIABLE, SECONDS, faults) or usual.gap_seconds
    speed = _number(environment, SPEED_VARIABLE, SPEEDS, faults) or usual.min_bytes_per_second
    if faults:
        raise Refused(faults)
    return Limits(
        connect_seconds=min(MAX_CONNECT_SECONDS, seconds),
        gap_seconds=seconds,
        headers_seconds=seconds,
        delta_seconds=min(usual.delta_seconds, seconds),
        metadata_seconds=METADATA_FACTOR * seconds,
        grace_seconds=seconds,
        min_bytes_per_second=int(speed),
    )


def _number(
    environment: Mapping[str, str], name: str, bounds: tuple[float, float], faults: list[Fault]
) -> float | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if bounds[0] <= number <= bounds[1]:  # never true for what is not a number
        return number
    faults.append(Fault("limit", name, f"expected a number from {bounds[0]:g} to {bounds[1]:.0f}, got {text[:40]!r}"))
    return None
