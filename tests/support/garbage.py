"""What garbage collection must leave: everything that a snapshot names, found the way a client finds it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from support.publishing import FoundedIndex
from support.rows import a_file
from wheelmark.server.projects.models import File
from wheelmark.server.publishing.keys import page_key, role_key
from wheelmark.server.publishing.models import Snapshot

MAX_BYTES = 10_000_000


def closure(index: FoundedIndex, row: Snapshot) -> set[str]:
    """The keys of all that a snapshot names, itself included."""
    keys = {role_key(row.version, "snapshot")}
    listed = read(index, role_key(row.version, "snapshot"))["signed"]["meta"]
    for name, entry in listed.items():
        key = role_key(entry["version"], name.removesuffix(".json"))
        keys.add(key)
        for path, target in read(index, key)["signed"]["targets"].items():
            keys.add(page_key(path.split("/")[1], target["hashes"]["sha256"]))
    return keys


def read(index: FoundedIndex, key: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(index.store.read_all(key, max_bytes=MAX_BYTES))
    return document


def stored(index: FoundedIndex) -> set[str]:
    return {found.key for found in index.store.list("")}


def snapshots() -> list[Snapshot]:
    """Newest first."""
    return list(Snapshot.objects.order_by("-timestamp_version"))


def publish(index: FoundedIndex, project: str = "demo", *, after: timedelta = timedelta()) -> None:
    """A release more of a project, published when so much time has gone."""
    index.now += after
    count = File.objects.filter(release__project__normalized_name=project).count()
    a_file(project, f"{count + 1}.0")
    assert index.publisher().publish_due()
