"""Where bytes lie: durable local files, S3-compatible stores, and memory for tests."""

from wheelmark.store.address import open_store
from wheelmark.store.keys import MAX_KEY_CHARS, MAX_SEGMENT_CHARS, check_key
from wheelmark.store.local import LocalStore
from wheelmark.store.memory import MemoryStore
from wheelmark.store.model import CHUNK_BYTES, Conflict, Missing, Store, Stored, StoreReader

__all__ = [
    "CHUNK_BYTES",
    "MAX_KEY_CHARS",
    "MAX_SEGMENT_CHARS",
    "Conflict",
    "LocalStore",
    "MemoryStore",
    "Missing",
    "Store",
    "StoreReader",
    "Stored",
    "check_key",
    "open_store",
]
