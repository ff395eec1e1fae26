"""Descriptions for pages: rendered in a process of its own with limits, and remembered.

A description that breaks a limit is shown as plain text. So a hostile one costs its project's page the layout, and
the index a few seconds of one core, once.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import asdict
from functools import lru_cache

from wheelmark.server.web.readme import Readme, plain, render

CPU_SECONDS = 3
WALL_SECONDS = 6.0
MEMORY_BYTES = 512_000_000
"""Address space of the child."""
MAX_HTML_CHARS = 600_000
REMEMBERED = 128


def rendered(description: str, content_type: str) -> Readme | None:
    """A description as HTML that is safe to put into a page; None when there is none."""
    return _rendered(description, content_type) if description.strip() else None


@lru_cache(maxsize=REMEMBERED)
def _rendered(description: str, content_type: str) -> Readme:
    if content_type.strip().lower().startswith("text/plain"):
        return plain(description, as_meant=True)
    try:
        child = subprocess.run(
            [sys.executable, "-I", "-m", __name__],
            input=json.dumps([description, content_type]).encode(),
            capture_output=True,
            timeout=WALL_SECONDS,
            check=True,
            env={},
        )
        return Readme(**json.loads(child.stdout))
    except (subprocess.SubprocessError, OSError, ValueError, TypeError):
        return plain(description)


def main() -> int:
    """The child: a description on standard input, what `render` makes of it on standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    description, content_type = json.load(sys.stdin)
    readme = render(description, content_type)
    if len(readme.html) > MAX_HTML_CHARS:
        return 1
    sys.stdout.write(json.dumps(asdict(readme)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
