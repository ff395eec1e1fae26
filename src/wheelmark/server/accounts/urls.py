"""Addresses of the app `accounts`, below `/account/`. Log-in, second factors and sessions are allauth's."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from wheelmark.server.accounts import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.overview, name="account_overview"),
    path("events/", views.events, name="account_events"),
    path("tokens/", views.tokens, name="account_tokens"),
    path("tokens/new/", views.token_new, name="account_token_new"),
    path("tokens/<uuid:pk>/revoke/", views.token_revoke, name="account_token_revoke"),
    path("sessions/<int:pk>/end/", views.session_end, name="account_session_end"),
    path("", include("allauth.urls")),
]
