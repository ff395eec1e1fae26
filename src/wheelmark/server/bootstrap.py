"""Setting Django up for a command: which data folder, which settings, once for each process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django

from wheelmark.errors import Refused
from wheelmark.server.ceremonies import open_path
from wheelmark.server.config import PREFIX, Config, load_config


def bootstrap(data: Path | None = None, **overrides: Any) -> Config:
    """Set Django up on a data folder and return its settings; `overrides` are fields of `Config` (None: not given).

    The folder and the overrides are put into this process's environment, so that processes started from here see
    the same. Calling it again with the same settings does nothing more.

    Raises:
        Refused: a setting is unknown or has the wrong form.
        RuntimeError: Django is set up already, with other settings.
    """
    config = load_config(os.environ, data=data, **overrides)
    given = {key: value for key, value in overrides.items() if value is not None}
    os.environ[PREFIX + "DATA"] = str(config.data)
    for name, value in given.items():
        os.environ[PREFIX + name.upper()] = str(value)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wheelmark.server.settings")
    django.setup()
    from django.conf import settings

    if config != settings.CONFIG:
        raise RuntimeError(f"Django is set up already on {settings.CONFIG.data}, cannot switch to {config.data}")
    return config


def bootstrap_existing(data: Path | None = None) -> Config:
    """The same, for commands that work on an index that is there already.

    Raises:
        Refused: there is no index in that folder (`no-data-folder`).
    """
    config = load_config(os.environ, data=data)
    if not config.on_postgresql and not config.database_file.exists():
        got = f"expected a folder with an index, got {config.data}"
        start = f": start one there with `wheelmark serve --data {config.data}`"
        if open_path(config).exists():
            start = f", whose founding is not finished: `wheelmark trust ceremony status --data {config.data}`"
        raise Refused.because("no-data-folder", "--data", got + start)
    return bootstrap(data)
