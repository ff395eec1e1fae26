"""How much memory this process had at most."""

from __future__ import annotations

import re
import resource
from pathlib import Path


def own_peak_bytes() -> int:
    """The resident peak of this process, or since `clear_refs` was written (proc(5)).

    Not `ru_maxrss`, where there is another way: it begins with what the process had that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
