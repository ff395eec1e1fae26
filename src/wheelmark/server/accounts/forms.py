"""Forms of the account pages."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import forms

from wheelmark.server.accounts.tokens import MAX_DESCRIPTION_CHARS

EXPIRY_CHOICES = (
    ("30", "in 30 days"),
    ("90", "in 90 days"),
    ("365", "in a year"),
    ("730", "in two years"),
    ("", "never: only when it is revoked"),
)
DEFAULT_EXPIRY = "365"


class TokenForm(forms.Form):
    """A new upload token."""

    description = forms.CharField(
        max_length=MAX_DESCRIPTION_CHARS,
        help_text="Where you will keep it, such as “laptop” or “CI of demo”: for you to know it again.",
    )
    project = forms.CharField(
        required=False,
        max_length=100,
        label="Project",
        help_text="Good for this project only, which need not exist yet. Empty: for all your projects.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false", "list": "your-projects"}),
    )
    expires = forms.ChoiceField(choices=EXPIRY_CHOICES, required=False, initial=DEFAULT_EXPIRY, label="Stops working")

    def expires_at(self, now: datetime) -> datetime | None:
        """When the token is to expire; `None`: never."""
        days: str = self.cleaned_data["expires"]
        return now + timedelta(days=int(days)) if days else None
