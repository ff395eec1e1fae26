"""Verify and install: a TUF client for an index, a verifying proxy on this machine, `wheelmark pip` and `uv`.

The names below are imported when first used: python-tuf takes longer to import than the proxy takes to listen,
and it can be imported while pip is still starting.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wheelmark.client.fetching import Fetcher, Kind, Limits
    from wheelmark.client.http_fetcher import HttpFetcher
    from wheelmark.client.proxy import VerifyingProxy
    from wheelmark.client.verifier import Verifier
    from wheelmark.client.walk import WalkSummary, verify_repository

__all__ = [
    "Fetcher",
    "HttpFetcher",
    "Kind",
    "Limits",
    "Verifier",
    "VerifyingProxy",
    "WalkSummary",
    "verify_repository",
]

_HOMES = {
    "Fetcher": "fetching",
    "HttpFetcher": "http_fetcher",
    "Kind": "fetching",
    "Limits": "fetching",
    "Verifier": "verifier",
    "VerifyingProxy": "proxy",
    "WalkSummary": "walk",
    "verify_repository": "walk",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
