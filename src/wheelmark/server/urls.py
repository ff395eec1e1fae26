"""Addresses that Django answers. The read path (`/simple/`, `/tuf/`, `/files/`) never comes here: see `delivery`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("legacy/", include("wheelmark.server.intake.urls")),
    path("account/", include("wheelmark.server.accounts.urls")),
    path("review/", include("wheelmark.server.review.urls")),
    path("", include("wheelmark.server.web.urls")),
]
