"""Django's settings, derived from `Config`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from wheelmark.server.config import Config
from wheelmark.server.current import CONFIG


def _database(config: Config) -> dict[str, Any]:
    if not config.on_postgresql:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": config.database_file,
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                # IMMEDIATE: a transaction that will write takes its lock at the start and waits there, instead of
                # failing in the middle. FULL: a commit that was answered survives a power cut, in WAL mode too.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
            },
        }
    parts = urlsplit(config.database)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,  # seconds: a host that is gone must not hold the readers
            # A machine that loses power must not keep the publisher's lock until TCP notices, which takes hours.
            "keepalives_idle": 4,
            "keepalives_interval": 1,
            "keepalives_count": 3,
            "options": "-c tcp_keepalives_idle=4 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3",
        },
    }


def _secret_key(config: Config) -> str:
    """The key that first start wrote; before it, one that lives as long as this process."""
    path = config.secrets_folder / "django"
    return path.read_text(encoding="ascii").strip() if path.exists() else secrets.token_urlsafe(48)


SECRET_KEY = _secret_key(CONFIG)
DEBUG = CONFIG.debug
_public_host = urlsplit(CONFIG.base_url).hostname or "localhost"
# Whoever is let in from other machines without a public address is reached under names that we cannot know.
_NAMED = bool(CONFIG.public_url) or CONFIG.host in {"127.0.0.1", "localhost", "::1"}
ALLOWED_HOSTS = [_public_host, "localhost", "127.0.0.1", "[::1]"] if _NAMED else ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True
ROOT_URLCONF = "wheelmark.server.urls"
WSGI_APPLICATION = "wheelmark.server.wsgi.django_application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": _database(CONFIG)}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_tasks",
    *([] if CONFIG.on_postgresql else ["django_tasks_db"]),
    *(["procrastinate.contrib.django"] if CONFIG.on_postgresql else []),
    "wheelmark.server.accounts",
    "wheelmark.server.projects",
    "wheelmark.server.intake",
    "wheelmark.server.review",
    "wheelmark.server.publishing",
    "wheelmark.server.delivery",
    "wheelmark.server.web",
]

MIDDLEWARE = [
    "wheelmark.server.accounts.middleware.PageHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "wheelmark.server.accounts.middleware.SessionActivity",  # allauth's, but once a minute
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            # Our templates come before those of the libraries, whatever the order of the apps.
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        (
                            "django.template.loaders.filesystem.Loader",
                            [Path(__file__).parent / "web" / "templates"],
                        ),
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
        },
    }
]

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

TASKS = {
    "default": {
        "BACKEND": "wheelmark.server.jobs.ProcrastinateBackend"
        if CONFIG.on_postgresql
        else "django_tasks_db.DatabaseBackend"
    }
}

# Uploads are streamed to the disk that holds the store, so that storing them is a rename.
FILE_UPLOAD_TEMP_DIR = str(CONFIG.data / "incoming") if (CONFIG.data / "incoming").is_dir() else None
FILE_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 20_000_000
DATA_UPLOAD_MAX_NUMBER_FILES = 4

from wheelmark.server.accounts.settings import *  # noqa: E402, F403  (they have their own page)
