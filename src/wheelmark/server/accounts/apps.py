"""The app `accounts`."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """See the package's docstring for what this app is for."""

    name = "wheelmark.server.accounts"
    label = "accounts"
