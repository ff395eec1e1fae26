"""The app `intake`."""

from django.apps import AppConfig


class IntakeConfig(AppConfig):
    """See the package's docstring for what this app is for."""

    name = "wheelmark.server.intake"
    label = "intake"
