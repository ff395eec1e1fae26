"""The index's own addresses, as commands on pages need them."""

from __future__ import annotations

from django.conf import settings


def addresses() -> dict[str, str]:
    """For a template's context: `base_url` (no slash at the end), `index_url`, `upload_url`."""
    base = settings.CONFIG.base_url
    return {"base_url": base, "index_url": f"{base}/simple/", "upload_url": f"{base}/legacy/"}
