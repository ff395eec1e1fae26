"""An index of many projects, its rows made at once: founded as a first start does, imported without uploads.

    python scale_index.py --projects 700000 --data FOLDER     what its publisher costs, as JSON

A process of its own, so that the memory measured is that of a publisher and of nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import structlog

from process_memory import own_peak_bytes

ROWS_AT_ONCE = 2_000
CHANGED_PAGES = 200
WITH_FILES = 6_000
RATE = 50
"""Changes a second, in `--drive`."""
TOGETHER = 5
"""Changes in one transaction, in `--drive`: the rate is to be the publisher's trial and not the driver's."""
LEAST_PAUSE_SECONDS = 0.02
WATCH_SECONDS = 0.05
PATIENCE_SECONDS = 30.0


def project_name(number: int) -> str:
    """Names about as long as real ones, in order (rows are made faster), whose bins are in none."""
    return f"project-{number:07}-{hashlib.sha256(b'%d' % number).hexdigest()[:6]}"


def start(data: Path, projects: int, **settings: object) -> None:
    """Make Django use this folder, and found an index there for so many projects."""
    os.environ.update(
        {f"WHEELMARK_{name.upper()}": str(value) for name, value in settings.items()},
        WHEELMARK_EXPECTED_PROJECTS=str(projects),
    )
    from wheelmark.server.bootstrap import bootstrap

    bootstrap(data)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def found_now(data: Path) -> None:
    """Found the index, unless it is founded."""
    from django.conf import settings
    from django.utils import timezone

    from wheelmark.server.founding import found, prepare_folders
    from wheelmark.server.stores import current_store

    prepare_folders(settings.CONFIG)
    found(settings.CONFIG, current_store(), now=timezone.now())


def import_projects(projects: int) -> None:
    """Rows of so many published projects, as if they had been uploaded and published; their bytes lie nowhere.

    The first `WITH_FILES` of them have a release with a file, and so can be changed.
    """
    from django.contrib.auth import get_user_model
    from django.db import connection, transaction
    from django.utils import timezone

    from wheelmark.server.projects.models import File, Project, Release
    from wheelmark.server.publishing.models import PublishedFile, PublishedPage, Repository
    from wheelmark.trust import Layout, page_target_path

    user, now = get_user_model().objects.earliest("pk"), timezone.now()
    layout = Layout(Repository.objects.get().bit_length)
    with connection.cursor() as cursor:
        # For the import alone: nothing of it is worth keeping, and its indexes are to stay in memory.
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.execute("PRAGMA cache_size=-400000")
    for first in range(0, projects, ROWS_AT_ONCE):
        names = [project_name(number) for number in range(first, min(first + ROWS_AT_ONCE, projects))]
        with transaction.atomic():
            made = Project.objects.bulk_create(
                [Project(name=name, normalized_name=name, lookalike_name=name, created_at=now) for name in names]
            )
            PublishedPage.objects.bulk_create(
                PublishedPage(
                    name=name,
                    bin=layout.bin_of(page_target_path(name)),
                    sha256=_digest(name),
                    size=600,
                    serial=1,
                    snapshot=1,
                )
                for name in names
            )
            if first >= WITH_FILES:
                continue
            releases = Release.objects.bulk_create(
                Release(project=project, version="1.0", version_key="1", created_at=now) for project in made
            )
            files = File.objects.bulk_create(
                a_file(release, release.project.normalized_name, 0, uploader=user.pk, state="published")
                for release in releases
            )
            PublishedFile.objects.bulk_create(
                PublishedFile(
                    filename=file.filename,
                    sha256=file.sha256,
                    size=file.size,
                    metadata_sha256=file.metadata_sha256,
                    metadata_size=file.metadata_size,
                    page_id=file.release.project.normalized_name,
                    snapshot=1,
                    at=now,
                )
                for file in files
            )


def a_file(release: Any, name: str, build: int, *, uploader: int, state: str) -> Any:
    """The row of a wheel of release 1.0; nothing of it lies in the store."""
    from wheelmark.server.projects.models import File

    filename = f"{name.replace('-', '_')}-1.0-{build}-py3-none-any.whl"
    return File(
        release=release,
        filename=filename,
        kind="bdist_wheel",
        python_tag="py3",
        size=20_000,
        sha256=_digest(filename),
        blake2b_256=_digest(filename + "b"),
        metadata_sha256=_digest(filename + "m"),
        metadata_size=400,
        state=state,
        uploaded_by_id=uploader,
        uploaded_with="bench",
    )


def change_project(number: int, build: int) -> str:
    """A new file of this project, uploaded and scanned: what the publisher is to publish next. Returns its name."""
    from django.db import transaction
    from django.utils import timezone

    from wheelmark.server.projects.lifecycle import transition
    from wheelmark.server.projects.models import File
    from wheelmark.server.projects.rules import FileState

    name = project_name(number)
    with transaction.atomic():
        known = File.objects.select_related("release").filter(release__project__normalized_name=name).earliest("pk")
        file = a_file(known.release, name, build, uploader=known.uploaded_by_id, state=FileState.VALIDATED)
        file.save()
        transition(file.pk, FileState.SCANNED, actor="bench", now=timezone.now())
    return str(file.filename)


def first_releases(count: int) -> list[Any]:
    """The releases of the first projects, in their order."""
    from wheelmark.server.projects.models import Release

    return list(Release.objects.select_related("project").order_by("pk")[:count])


def change_together(releases: list[Any]) -> int:
    """A new file for each of these releases, uploaded and scanned, in one transaction; the serial after it."""
    from django.db import transaction
    from django.utils import timezone

    from wheelmark.server.projects.lifecycle import transition_all
    from wheelmark.server.projects.models import File, JournalEntry
    from wheelmark.server.projects.rules import FileState

    files = [
        a_file(release, release.project.normalized_name, time.time_ns(), uploader=1, state=FileState.VALIDATED)
        for release in releases
    ]
    with transaction.atomic():
        made = File.objects.bulk_create(files)
        transition_all([file.pk for file in made], FileState.SCANNED, actor="bench", now=timezone.now())
        return int(JournalEntry.objects.order_by("-serial").values_list("serial", flat=True)[0])


def drive(rate: int, seconds: float) -> dict[str, float]:
    """Change so many projects each second beside a running publisher; say how long each waited for its snapshot."""
    from django.db import connection

    from wheelmark.server.publishing.models import Snapshot

    waiting: deque[tuple[int, float]] = deque()
    delays: list[float] = []
    stop = threading.Event()
    releases = first_releases(int(rate * seconds) + TOGETHER)

    def watch() -> None:
        """Note when each change is in a committed snapshot."""
        while not stop.wait(WATCH_SECONDS):
            current = Snapshot.current()
            serial, now = current.serial if current else 0, time.monotonic()
            while waiting and waiting[0][0] <= serial:
                delays.append(now - waiting.popleft()[1])
        connection.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, number = time.monotonic(), 0
    while number < rate * seconds:
        serial = change_together(releases[number : number + TOGETHER])
        number += TOGETHER
        waiting.extend([(serial, time.monotonic())] * TOGETHER)
        # Whoever is late still leaves the database to others in between.
        stop.wait(max(LEAST_PAUSE_SECONDS, began + number / rate - time.monotonic()))
    took = time.monotonic() - began
    deadline = time.monotonic() + PATIENCE_SECONDS
    while waiting and time.monotonic() < deadline:
        stop.wait(WATCH_SECONDS)
    stop.set()
    watcher.join()
    delays.sort()
    return {
        "changes": number,
        "rate": number / took,
        "unpublished": len(waiting),
        "median": delays[len(delays) // 2],
        "worst": delays[-1],
    }


def a_publisher(**options: Any) -> Any:
    """The publisher of this index, as `wheelmark serve` makes it."""
    from django.conf import settings

    from wheelmark.server.publishing.publisher import Publisher
    from wheelmark.server.publishing.signing import named_keys, online_signers
    from wheelmark.server.publishing.signing_log import SigningLog
    from wheelmark.server.stores import current_store

    store, config = current_store(), settings.CONFIG
    return Publisher(store, online_signers(config, named_keys(store)), SigningLog(config.signing_log_path), **options)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _cpu(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def publish_all_bins() -> float:
    """CPU seconds of a publication that signs every bin, from rows to committed snapshot."""
    from wheelmark.server.publishing import publisher as module
    from wheelmark.server.publishing.models import RoleVersion

    # Every bin is due at once, and all in one batch: what nobody does, but a restored index may have to.
    module.RESIGN_BATCH = 1 << 16
    RoleVersion.objects.filter(role__startswith="bins-").update(expires_at="2020-01-01T00:00:00Z")
    publisher = a_publisher()
    return _cpu(publisher.publish_due)


def main() -> int:
    """Make or open the index, and print what its publisher costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--projects", type=int, required=True)
    parser.add_argument("--make", action="store_true", help="only make the rows")
    parser.add_argument("--changes", type=int, default=CHANGED_PAGES, help="publications of one page each")
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--drive", type=float, metavar="SECONDS", help="change 50 projects a second for so long")
    arguments = parser.parse_args()
    start(arguments.data, arguments.projects)
    found_now(arguments.data)
    if arguments.make:
        import_projects(arguments.projects)
        return 0
    if arguments.drive:
        print(json.dumps(drive(RATE, arguments.drive)))
        return 0
    build = publish_all_bins()
    publisher = a_publisher()
    publisher.publish_due()
    single = []
    profile = None
    if arguments.profile:
        import cProfile

        profile = cProfile.Profile()
    for turn in range(arguments.changes):
        change_project(turn, time.time_ns())
        if profile:
            profile.enable()
        single.append(_cpu(publisher.publish_due))
        if profile:
            profile.disable()
    if profile:
        profile.dump_stats(arguments.profile)
    for number in range(arguments.changes, arguments.changes + 50):
        change_project(number, time.time_ns())
    batch = _cpu(publisher.publish_due)
    rss = own_peak_bytes()
    single.sort()
    print(json.dumps({"build": build, "publish": single[len(single) // 2], "batch_of_50": batch, "max_rss": rss}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
