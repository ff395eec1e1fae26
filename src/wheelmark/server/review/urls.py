"""Addresses of the app `review`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from wheelmark.server.review import evidence_views, views

app_name = "review"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.queue, name="queue"),
    path("files/<int:file_id>/", views.case, name="case"),
    path("files/<int:file_id>/code/", evidence_views.code, name="code"),
    path("files/<int:file_id>/new/", evidence_views.compare, name="compare"),
    path("files/<int:file_id>/decide", views.decide, name="decide"),
    path("projects/<str:name>/quarantine", views.quarantine, name="quarantine"),
]
