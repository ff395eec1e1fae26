"""The app `publishing`."""

from django.apps import AppConfig


class PublishingConfig(AppConfig):
    """See the package's docstring for what this app is for."""

    name = "wheelmark.server.publishing"
    label = "publishing"
