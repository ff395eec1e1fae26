"""Deltas between two versions of a role's metadata. Pure.

A delta is the new file as a zstd frame whose dictionary is the old file (RFC 8878 § 5), the way of RFC 9842. It names
neither file and nobody signs it: whoever rebuilds the new file verifies it as if it had come whole.
"""

from __future__ import annotations

import zstandard

MAX_DELTA_SIDE_BYTES = 4 * 1024 * 1024
"""Neither file may be larger. Both together are the window that a client must hold, and clients take 8 MiB (RFC 8878
§ 3.1.1.1.2); the snapshot of an index with 65,536 bins has 2.2 MB."""

# Measured on snapshots of 256 to 16,384 bins: higher levels save a few bytes in a hundred, and cost 3 to 100 times as
# much time; lower ones lose the thread in the largest.
_LEVEL = 3
_MIN_WINDOW_LOG = 10  # zstd knows no smaller one
# Above this size the level's own tables forget the beginning of the old file: at 65,536 bins, 90 kB and not 200 bytes.
_LARGE_BYTES = 1024 * 1024
_LARGE_TABLE_LOG = 18


def make_delta(old: bytes, new: bytes) -> bytes:
    """The bytes that make `new` out of `old`: about 120 for one changed bin, 1,300 for a thousand (0.3 to 1.5 ms)."""
    if max(len(old), len(new)) > MAX_DELTA_SIDE_BYTES:
        raise ValueError(f"expected at most {MAX_DELTA_SIDE_BYTES} bytes on each side, got {len(old)} and {len(new)}")
    # All of the old file must be in reach from the last byte of the new one.
    window_log = max(_MIN_WINDOW_LOG, (len(old) + len(new) - 1).bit_length())
    tables = {"hash_log": _LARGE_TABLE_LOG, "chain_log": _LARGE_TABLE_LOG} if len(old) > _LARGE_BYTES else {}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        source_size=len(new),
        dict_size=len(old),
        window_log=window_log,
        write_content_size=True,
        # Four bytes that tell a client at once that it holds another old file than we think.
        write_checksum=True,
        **tables,
    )
    return zstandard.ZstdCompressor(compression_params=parameters, dict_data=_dictionary(old)).compress(new)


def _dictionary(old: bytes) -> zstandard.ZstdCompressionDict:
    # "Raw content": an old file that happened to begin like a trained dictionary must not be read as one.
    return zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
