"""`wheelmark admin collect-garbage`: what the publisher does every hour, now, or only counted."""

from __future__ import annotations

import argparse
from typing import Any


def collect_garbage(arguments: argparse.Namespace) -> dict[str, Any]:
    """One pass; a line of progress on a terminal, and what was freed."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from wheelmark.server.publishing.garbage import collect
    from wheelmark.server.stores import current_store

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=arguments.json or not console.is_terminal, transient=True) as bars:
        task = bars.add_task("reading which snapshots are kept")
        collected = collect(
            current_store(),
            dry_run=arguments.dry_run,
            progress=lambda what, count: bars.update(task, description=f"{what}: {count:,} looked at"),
        )
    return {
        "dry_run": arguments.dry_run,
        "oldest_snapshot": collected.oldest_snapshot,
        "roles": collected.roles,
        "pages": collected.pages,
        "orphans": collected.orphans,
        "orphans_sought": collected.orphans_sought,
        "freed_bytes": collected.freed_bytes,
    }
