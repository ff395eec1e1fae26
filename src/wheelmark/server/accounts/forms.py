"""Forms of the account pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from allauth.account.forms import LoginForm, SignupForm
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


class LogInForm(LoginForm):  # type: ignore[misc]  # allauth has no types
    """Allauth's, with labels that say what is wanted and no second text inside the fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "User name or e-mail address"
        _without_placeholders(self)


class SignUpForm(SignupForm):  # type: ignore[misc]  # allauth has no types
    """The same for a new account."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"
        self.fields["username"].help_text = "Letters, digits, “.”, “_” and “-”. Shown beside what you publish."
        self.fields["email"].label = "E-mail address"
        self.fields["email"].help_text = "Shown to nobody; for what happens to your account and your projects."
        _without_placeholders(self)


def _without_placeholders(form: forms.Form) -> None:
    for field in form.fields.values():
        field.widget.attrs.pop("placeholder", None)
