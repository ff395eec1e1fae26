"""Sphinx configuration of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

from wheelmark import __version__

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_all

write_all()

project = "Wheelmark"
author = "the Wheelmark developers"
copyright = "2026, the Wheelmark developers"  # noqa: A001  (Sphinx's name for it)
version = release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Wheelmark"
html_static_path = ["_static"]
