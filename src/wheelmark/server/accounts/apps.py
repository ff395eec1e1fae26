"""The app `accounts`."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """See the package's docstring for what this app is for."""

    name = "wheelmark.server.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Connect the receivers of allauth's signals."""
        from wheelmark.server.accounts import signals  # noqa: F401  (importing connects them)
