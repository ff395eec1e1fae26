"""Django's and allauth's settings about accounts; `wheelmark.server.settings` takes them over whole."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

# The settings module imports this one at its end, so it is loaded as far as these names.
from wheelmark.server.current import CONFIG

_HTTPS = CONFIG.base_url.startswith("https://")
_MAIL = urlsplit(CONFIG.email)
_MAIL_IS_SENT = _MAIL.scheme in {"smtp", "smtps"}
_HALF_A_DAY = 12 * 60 * 60
_HALF_AN_HOUR = 30 * 60
_A_YEAR = 365 * 24 * 60 * 60

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "account_overview"
LOGOUT_REDIRECT_URL = "/"

# --- Passwords: argon2 for new ones; the others so that accounts brought from elsewhere can log in once and move over.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "wheelmark.server.accounts.passwords.LengthBound"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "wheelmark.server.accounts.passwords.DecoratedCommonPassword"},
]
# Put there by the operator, who has it from wherever such lists are offered; read when a process starts.
_BREACHED_PASSWORDS = CONFIG.data / "breached-passwords.txt"
if _BREACHED_PASSWORDS.is_file():
    AUTH_PASSWORD_VALIDATORS += [
        {
            "NAME": "wheelmark.server.accounts.passwords.BreachedPassword",
            "OPTIONS": {"path": str(_BREACHED_PASSWORDS)},
        }
    ]

# --- Sessions and cookies.
SESSION_COOKIE_AGE = _HALF_A_DAY
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = _HTTPS
_PARTS = urlsplit(CONFIG.base_url)
CSRF_TRUSTED_ORIGINS = [f"{_PARTS.scheme}://{_PARTS.netloc}"]

# How many proxies stand in front, each of which adds to X-Forwarded-For the address that it was asked from.
TRUSTED_PROXIES = CONFIG.trusted_proxies

# --- Headers; what Django has no setting for is added by `accounts.middleware`.
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = _A_YEAR if _HTTPS else 0
X_FRAME_OPTIONS = "DENY"

# --- Counters of rate limits, and codes used once, must be the same for every process: hence the database.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "wheelmark_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- Mail.
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _MAIL_IS_SENT else 'console'}.EmailBackend"
EMAIL_HOST = _MAIL.hostname or ""
EMAIL_PORT = _MAIL.port or (465 if _MAIL.scheme == "smtps" else 587)
EMAIL_HOST_USER = unquote(_MAIL.username or "")
EMAIL_HOST_PASSWORD = unquote(_MAIL.password or "")
EMAIL_USE_SSL = _MAIL.scheme == "smtps"
# A password is never sent in the clear; a relay on this machine, which asks for none, may do without TLS.
EMAIL_USE_TLS = _MAIL.scheme == "smtp" and bool(_MAIL.password)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = CONFIG.email_from

# --- Accounts (allauth).
ACCOUNT_ADAPTER = "wheelmark.server.accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "wheelmark.server.accounts.forms.LogInForm",
    "signup": "wheelmark.server.accounts.forms.SignUpForm",
}
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if _HTTPS else "http"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_PRESERVE_USERNAME_CASING = False
ACCOUNT_USERNAME_MIN_LENGTH = 2
ACCOUNT_USERNAME_VALIDATORS = "wheelmark.server.accounts.names.USER_NAME_VALIDATORS"
# Where mail is really sent, nobody gets in before confirming an address. On a laptop nobody could confirm one.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if _MAIL_IS_SENT else "optional"
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 1
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = _HALF_AN_HOUR
ACCOUNT_SESSION_REMEMBER = True
# How often one address, account or key may try; beyond it the answer is 429, or the form says when to come back.
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "20/5m/ip,10/5m/key",
    "signup": "20/h/ip",
    "reset_password": "20/h/ip,5/d/key",
    "reset_password_from_key": "20/h/ip",
    "change_password": "5/5m/user",
    "manage_email": "5/5m/user",
    "reauthenticate": "10/5m/user",
    "confirm_email": "1/3m/key",
}

# --- Second factors and sessions (allauth).
MFA_ADAPTER = "wheelmark.server.accounts.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODE_COUNT = 8
MFA_RECOVERY_CODE_DIGITS = 12
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = not _MAIL_IS_SENT
USERSESSIONS_ADAPTER = "wheelmark.server.accounts.adapters.SessionsAdapter"
USERSESSIONS_TRACK_ACTIVITY = True
