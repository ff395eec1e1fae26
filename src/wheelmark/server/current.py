"""The settings of this process: the only module that reads them from its environment, once."""

from __future__ import annotations

import os

from wheelmark.server.config import Config, load_config

CONFIG: Config = load_config(os.environ)
