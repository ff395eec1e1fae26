"""Addresses of the upload APIs."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from wheelmark.server.intake.views import upload

urlpatterns: list[URLPattern | URLResolver] = [path("", upload, name="upload")]
