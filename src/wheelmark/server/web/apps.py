"""The app `web`."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """See the package's docstring for what this app is for."""

    name = "wheelmark.server.web"
    label = "web"
