"""Addresses of the app `web`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from wheelmark.server.web import manage, views

app_name = "web"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("search", views.search, name="search"),
    path("appearance", views.appearance, name="appearance"),
    path("trust/", views.trust, name="trust"),
    path("journal/", views.journal, name="journal"),
    path("project/<str:name>/", views.project, name="project"),
    path("project/<str:name>/releases/", views.releases, name="releases"),
    path("project/<str:name>/<str:version>/", views.project, name="release"),
    path("manage/", manage.overview, name="manage"),
    path("manage/<str:name>/", manage.project, name="manage-project"),
    path("manage/<str:name>/status", manage.status, name="manage-status"),
    path("manage/<str:name>/collaborators", manage.add_collaborator, name="manage-add-collaborator"),
    path("manage/<str:name>/collaborators/<str:user>", manage.remove_collaborator, name="manage-remove-collaborator"),
    path("manage/<str:name>/files/<str:filename>/remove", manage.remove_file, name="manage-remove-file"),
    path("manage/<str:name>/releases/<str:version>/yank", manage.yank, name="manage-yank"),
    path("manage/<str:name>/releases/<str:version>/remove", manage.remove_release, name="manage-remove-release"),
]
