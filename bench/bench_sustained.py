"""50 changed projects a second for a minute, on an index of 100,000, while a client verifies snapshot after snapshot.

A running `wheelmark serve` publishes; another process changes projects through `projects.lifecycle`, as a worker does
that has scanned a file; an unmodified TUF client refreshes beside both, and fetches a page that has just changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # types-psutil is not among our tools
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # tuf re-exports without saying so

from figures import Figure
from scale_index import project_name
from support.server import RunningIndex
from wheelmark.trust import page_target_path

PROJECTS = 100_000
SECONDS = 60.0
LOOK_SECONDS = 0.1
"""Between two looks at the timestamp; every `REFRESH_EVERY`th is a whole refresh, which costs a client a snapshot."""
REFRESH_EVERY = 3


@dataclass
class Seen:
    """What the client saw."""

    refreshes: int = 0
    faults: list[str] = field(default_factory=list)
    timestamps: int = 0
    oldest: float = 0.0  # seconds between two timestamps, at most


def figures(quick: bool) -> list[Figure]:
    """The rate that was kept, how long changes waited, and what the client saw."""
    projects, seconds = (10_000, 10.0) if quick else (PROJECTS, SECONDS)
    script = [sys.executable, str(Path(__file__).with_name("scale_index.py")), "--projects", str(projects)]
    with tempfile.TemporaryDirectory(prefix="wheelmark-bench-") as folder:
        data = Path(folder) / "data"
        script += ["--data", str(data)]
        subprocess.run([*script, "--make"], check=True, stdout=subprocess.DEVNULL)
        with RunningIndex(data, scan_workers=0) as index:
            publisher = psutil.Process(index.pid("publisher"))
            before = sum(publisher.cpu_times()[:2])
            driver = subprocess.Popen([*script, "--drive", str(seconds)], stdout=subprocess.PIPE, text=True)
            seen = watch(index, Path(folder), while_running=lambda: driver.poll() is None)
            output, _ = driver.communicate()
            cpu = sum(publisher.cpu_times()[:2]) - before
    driven = json.loads(output.splitlines()[-1])
    rate, worst = driven["rate"], driven["worst"]
    return [
        Figure("changes a second, kept up", f"{rate:.1f}", ">= 49", rate >= 49),
        Figure("changes that no snapshot had in the end", str(driven["unpublished"]), "0", driven["unpublished"] == 0),
        Figure("from a change's commit to a signed snapshot, median", f"{driven['median']:.2f} s"),
        Figure("the same, worst", f"{worst:.2f} s", "<= 2 s", worst <= 2.0),
        Figure(
            "between two timestamps as a client sees them, worst", f"{seen.oldest:.2f} s", "<= 2 s", seen.oldest <= 2
        ),
        Figure("timestamps that the client saw", str(seen.timestamps)),
        Figure("refreshes of an unmodified TUF client, each with a page", str(seen.refreshes)),
        Figure("of these, not verified", str(len(seen.faults)), "0", not seen.faults),
        Figure("the publisher's share of a core", f"{100 * cpu / seconds:.0f} %"),
    ]


def watch(index: RunningIndex, folder: Path, *, while_running: Callable[[], bool]) -> Seen:
    """Verify for as long as changes come. From the first new timestamp on, its age is measured."""
    seen, turn = Seen(), 0
    root, cache = index.root, folder / "client"
    cache.mkdir()
    known, changed_at = index.get("/tuf/timestamp.json").data, 0.0
    while while_running():
        now, current = time.monotonic(), index.get("/tuf/timestamp.json").data
        if current != known:
            if changed_at:
                seen.oldest = max(seen.oldest, now - changed_at)
            known, changed_at, seen.timestamps = current, now, seen.timestamps + 1
        turn += 1
        if seen.timestamps and turn % REFRESH_EVERY == 0:  # before, the page's bytes lie nowhere
            try:
                refresh(index, root, cache, project_name(seen.refreshes))
                seen.refreshes += 1
            except (RepositoryError, DownloadError, LookupError) as error:
                seen.faults.append(f"{type(error).__name__}: {error}")
        time.sleep(LOOK_SECONDS)
    for fault in seen.faults[:5]:
        print(f"  {fault}", file=sys.stderr)
    return seen


def refresh(index: RunningIndex, root: bytes, cache: Path, name: str) -> None:
    """One verified look: refresh, and fetch a page that was published while we watch."""
    updater = Updater(
        metadata_dir=str(cache),
        metadata_base_url=f"{index.base_url}/tuf/",
        target_dir=str(cache),
        target_base_url=f"{index.base_url}/tuf/targets/",
        bootstrap=root,
    )
    updater.refresh()
    target = updater.get_targetinfo(page_target_path(name))
    if target is None:
        raise LookupError(f"{name} is proven absent")
    updater.download_target(target)
