"""The distributions that the rows speak of, looked for in the store. Memory: a 256th of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from wheelmark.errors import Fault, Refused
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key, metadata_key
from wheelmark.store import Missing, Store

KEPT = (FileState.UPLOADED, FileState.VALIDATED, FileState.SCANNED, FileState.HELD, FileState.PUBLISHED)
"""The states in which the bytes are still needed; what was rejected or removed may be gone."""

_SHARDS = 256


def missing_files(
    store: Store, *, read: bool, progress: Callable[[str, int, int], None]
) -> Iterator[tuple[Fault | None, int]]:
    """Every needed object that is not in the store or has another size; with `read`, or has other bytes.

    Gives a fault or None, and how many distributions were looked at for it.
    """
    what = "reading files" if read else "looking for files"
    for number in range(_SHARDS):
        progress(what, number, _SHARDS)
        shard = f"{number:02x}"
        yield from _shard(store, shard, read=read)
    progress(what, _SHARDS, _SHARDS)


def _shard(store: Store, shard: str, *, read: bool) -> Iterator[tuple[Fault | None, int]]:
    """The files, and the core metadata, whose digests begin with these two characters."""
    states = [state.value for state in KEPT]
    rows = File.objects.filter(state__in=states, sha256__startswith=shard)
    # The rows first: a file is stored before its row is written.
    files = [
        (name, file_key(digest), digest, size) for name, digest, size in rows.values_list("filename", "sha256", "size")
    ]
    beside = File.objects.filter(state__in=states, metadata_sha256__startswith=shard, kind="bdist_wheel")
    files += [
        (f"{name}.metadata", metadata_key(digest), digest, size)
        for name, digest, size in beside.values_list("filename", "metadata_sha256", "metadata_size")
    ]
    if not files:
        return
    sizes = {stored.key: stored.size for prefix in ("files", "metadata") for stored in store.list(f"{prefix}/{shard}/")}
    for name, key, digest, size in files:
        seen = not name.endswith(".metadata")
        if key not in sizes:
            yield Fault("file-missing", name, f"expected its bytes at {key}, got no such object"), seen
        elif sizes[key] != size:
            yield Fault("file-damaged", name, f"expected {size} bytes at {key}, got {sizes[key]}"), seen
        elif read and (found := _sha256(store, key)) != digest:
            yield Fault("file-damaged", name, f"expected sha256 {digest} at {key}, got {found}"), seen
        else:
            yield None, seen


def _sha256(store: Store, key: str) -> str:
    digest = hashlib.sha256()
    try:
        for chunk in store.read(key):
            digest.update(chunk)
    except (Missing, Refused) as error:
        return f"none ({error})"
    return digest.hexdigest()
