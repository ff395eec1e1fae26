"""The app `review`."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """See the package's docstring for what this app is for."""

    name = "wheelmark.server.review"
    label = "review"
