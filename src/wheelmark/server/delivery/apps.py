"""The app `delivery`."""

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    """See the package's docstring for what this app is for."""

    name = "wheelmark.server.delivery"
    label = "delivery"
