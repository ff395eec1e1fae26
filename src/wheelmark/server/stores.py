"""The store of this process, opened once."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from wheelmark.store import Store, open_store


def current_store() -> Store:
    """The store that the settings name."""
    return _opened(settings.CONFIG.store_url)


@lru_cache(maxsize=8)  # More than one only in tests, each with a store of its own.
def _opened(url: str) -> Store:
    return open_store(url)
