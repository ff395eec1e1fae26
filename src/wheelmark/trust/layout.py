"""Which roles exist, which role signs which target, and how many bins there are.

    root ─┬─ targets ─┬─ claims   (reserved: who owns a project; always before bins)
          │           └─ bins ─── bins-000 … bins-fff
          ├─ snapshot
          └─ timestamp

A target is a project page, `simple/<normalized name>/index.json`. The bin of a target follows from its path alone, so
client and index agree without a list, and a name that its bin does not hold is proven absent.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from packaging.utils import is_normalized_name

from wheelmark.errors import Refused

ROOT = "root"
TARGETS = "targets"
CLAIMS = "claims"
BINS = "bins"
SNAPSHOT = "snapshot"
TIMESTAMP = "timestamp"

DELEGATION_ORDER = (CLAIMS, BINS)
"""The order of the delegations of `targets`. A client asks them in turn and the bins are terminating, so whatever
stands behind `bins` is never asked: claims come first even while nobody signs any."""

BINS_PATHS = ("simple/*", "simple/*/index.json", "files/*/*")
"""What the online bins may speak for: the project list, project pages, and files (`sign_files`). Not `claims/*`, so
that a thief of the online keys cannot write claims. A `*` never matches a slash (TUF spec § 4.5, PATHPATTERN)."""

MAX_BIT_LENGTH = 16
"""Beyond 65,536 bins the snapshot alone passes 2 MB, which every client would fetch."""

MAX_PATH_LENGTH = 512
"""Characters in a target path; the longest file name of a wheel on PyPI has about 200."""

MIN_CHOSEN_BITS, MAX_CHOSEN_BITS = 8, 13
"""`choose_bit_length` stays between 256 and 8,192 bins."""

BYTES_PER_TARGET = 53.0
"""What one page adds to its bin, bytes after gzip (measured on bins of 171 pages)."""

BYTES_PER_SNAPSHOT_ENTRY = 4.6
"""What one bin adds to the snapshot, bytes after gzip (measured at 16,384 bins)."""

PROJECTS_PER_LOOKUP = 3
"""Projects that are looked up together: one by a tool that asks for a name, ten by the install of an application. In
between (their geometric mean) neither costs more than half above its own optimum."""

_PATH_PREFIX_BITS = 32

PATH_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!+,-._~"
"""What a segment of a target path may hold: enough for every project and file name, and nothing that JSON, URLs or file
systems escape (a quote, a backslash, `%`, a control character) or fold (anything beyond ASCII)."""

_SEGMENT = re.compile(rf"[{re.escape(PATH_CHARACTERS)}]+")


@dataclass(frozen=True)
class Layout:
    """The bins of one index: `2**bit_length` of them, chosen when the index is founded and fixed from then on.

    Changing the number later is not transparent: a client that knows a bin refuses every snapshot that lacks it
    (TUF spec § 5.5.5).

    Source: TAP 15 § Specification.
    """

    # No slots: the names are computed once per layout and kept, and `cached_property` needs a `__dict__` for that.
    bit_length: int

    def __post_init__(self) -> None:
        if type(self.bit_length) is not int or not 1 <= self.bit_length <= MAX_BIT_LENGTH:
            raise Refused.because(
                "bit-length",
                "bit_length",
                f"expected a whole number from 1 to {MAX_BIT_LENGTH}, got {self.bit_length!r}",
            )

    @property
    def bin_count(self) -> int:
        return 1 << self.bit_length

    @cached_property
    def bin_names(self) -> tuple[str, ...]:
        """The role names of all bins, by index. They are in sorted order, too."""
        return _bin_names(self.bit_length)

    def bin_name(self, index: int) -> str:
        """The role name of one bin.

        Raises:
            Refused: there is no bin of this index.
        """
        if not 0 <= index < self.bin_count:
            raise Refused.because("bin-index", "index", f"expected 0 to {self.bin_count - 1}, got {index}")
        return self.bin_names[index]

    def bin_of(self, target_path: str) -> int:
        """The index of the bin that signs a target: the leading bits of the SHA-256 of its path."""
        prefix = hashlib.sha256(target_path.encode()).digest()[: _PATH_PREFIX_BITS // 8]
        return int.from_bytes(prefix, "big") >> (_PATH_PREFIX_BITS - self.bit_length)


@lru_cache(maxsize=4)
def _bin_names(bit_length: int) -> tuple[str, ...]:
    count = 1 << bit_length
    digits = len(f"{count - 1:x}")
    return tuple(f"{BINS}-{index:0{digits}x}" for index in range(count))


def choose_bit_length(expected_projects: int) -> int:
    """The number of bins, as a power of two, with which an index of that many projects costs its clients least.

    A client that looks up k projects in B bins fetches about

        cost(B) = s·B + k·(e·n/B + f)      bytes: snapshot, and k bins of n/B pages each

    with n projects, e bytes a page, s bytes a snapshot entry and f for each file whatever its content. The derivative
    s - k·e·n/B² vanishes at B = sqrt(k·n·e/s). The optimum is flat, so the nearest power of two is good enough, and the
    bounds keep a small index able to grow (256) and the snapshot of a large one small (8,192).

    Expect growth: four times too many bins cost each client a few KB once, too few cost every lookup for ever.

    Raises:
        Refused: fewer than zero projects.
    """
    if expected_projects < 0:
        raise Refused.because("expected-projects", "expected_projects", f"expected 0 or more, got {expected_projects}")
    best = math.sqrt(PROJECTS_PER_LOOKUP * max(1, expected_projects) * BYTES_PER_TARGET / BYTES_PER_SNAPSHOT_ENTRY)
    return min(MAX_CHOSEN_BITS, max(MIN_CHOSEN_BITS, round(math.log2(best))))


def page_target_path(name: str) -> str:
    """The target path of a project's page. `name` is the normalized name (PEP 503): another spelling has another bin.

    Raises:
        Refused: the name is not normalized, or too long.
    """
    if not is_normalized_name(name):
        raise Refused.because("name-not-normalized", "name", f"expected a normalized name (PEP 503), got {name!r}")
    path = f"simple/{name}/index.json"
    if len(path) > MAX_PATH_LENGTH:
        raise Refused.because("target-path", "name", f"expected a path of at most {MAX_PATH_LENGTH}, got {len(path)}")
    return path


def file_target_path(sha256: str, filename: str) -> str:
    """The target path of a distribution (`sign_files`); its core metadata has the same with `.metadata` behind it.

    Raises:
        Refused: the hash or the file name has another form, or the path is too long.
    """
    path = f"files/{sha256}/{filename}"
    if not is_target_path(path) or path.count("/") != 2:
        raise Refused.because("target-path", "filename", f"expected a plain file name, got {filename!r}")
    return path


def is_target_path(path: str) -> bool:
    """Whether a path can be a target: segments of `PATH_CHARACTERS`, none of them empty or starting with a dot."""
    return len(path) <= MAX_PATH_LENGTH and all(
        _SEGMENT.fullmatch(segment) and not segment.startswith(".") for segment in path.split("/")
    )
