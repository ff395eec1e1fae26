"""Strict PEP 458 mode (`sign_files`): distributions and their core metadata are targets of their own.

A page already binds each of its files by hash and size, so this adds nothing for a client that reads pages. It lets any
TUF client fetch a file by its path, and costs about twenty times as many targets.

Source: PEP 458 § Signing Distributions and Simple Pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wheelmark.server.projects.models import File
from wheelmark.server.publishing.contents import Changes
from wheelmark.server.publishing.models import FileTarget, PublishedFile
from wheelmark.server.publishing.pages import RenderedPage, served_metadata_sha256
from wheelmark.trust import TargetRow, file_target_path

_BATCH = 500


def change_file_targets(changes: Changes, pages: Iterable[RenderedPage]) -> list[FileTarget]:
    """Add to `changes` what these pages list anew and no longer list; return the rows of the new targets."""
    listed = {page.name: {file.filename: file for file in page.files} for page in pages}
    served: dict[str, set[str]] = {name: set() for name in listed}
    for file in _served(listed):
        served[file.page_id].add(file.filename)
        if file.filename not in listed[file.page_id]:
            for path, _, _ in _targets_of_served(file):
                changes.remove(path)
    return [
        _put(changes, filename, path, size, sha256)
        for name, files in listed.items()
        for filename, file in files.items()
        if filename not in served[name]
        for path, size, sha256 in _targets_of(file)
    ]


def add_all_files(changes: Changes) -> list[FileTarget]:
    """Add every served file to `changes`; return the rows of the new targets."""
    return [
        _put(changes, file.filename, path, size, sha256)
        for file in PublishedFile.objects.iterator(chunk_size=_BATCH)
        for path, size, sha256 in _targets_of_served(file)
    ]


def remove_all_files(changes: Changes) -> None:
    """Take every file away in `changes`."""
    for path in FileTarget.objects.values_list("path", flat=True).iterator(chunk_size=_BATCH):
        changes.remove(path)


def _served(names: Iterable[str]) -> Iterator[PublishedFile]:
    ordered = sorted(names)
    for start in range(0, len(ordered), _BATCH):
        yield from PublishedFile.objects.filter(page_id__in=ordered[start : start + _BATCH])


def _put(changes: Changes, filename: str, path: str, size: int, sha256: str) -> FileTarget:
    index = changes.put(TargetRow(path, size, sha256))
    return FileTarget(path=path, bin=index, sha256=sha256, size=size, file_id=filename)


def _targets_of(file: File) -> Iterator[tuple[str, int, str]]:
    """Path, size and hash of the file and of what is served beside it."""
    return _targets(file.sha256, file.filename, file.size, served_metadata_sha256(file), file.metadata_size)


def _targets_of_served(file: PublishedFile) -> Iterator[tuple[str, int, str]]:
    return _targets(file.sha256, file.filename, file.size, file.metadata_sha256, file.metadata_size)


def _targets(
    sha256: str, filename: str, size: int, metadata_sha256: str, metadata_size: int
) -> Iterator[tuple[str, int, str]]:
    path = file_target_path(sha256, filename)
    yield path, size, sha256
    if metadata_sha256:
        yield f"{path}.metadata", metadata_size, metadata_sha256
