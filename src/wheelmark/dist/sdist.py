"""The parts of a source distribution: one top folder, `PKG-INFO`, something to build with, licence files.

Source: PEP 625 and the source distribution format; PEP 518; PEP 639.
"""

from __future__ import annotations

from wheelmark.dist.contents import Contents
from wheelmark.dist.faults import FaultLog, quoted
from wheelmark.dist.filenames import Filename
from wheelmark.dist.metadata import MAX_METADATA_BYTES, CoreMetadata

BUILD_FILES = ("pyproject.toml", "setup.py")


def wanted_of_sdist(filename: Filename) -> dict[str, int]:
    """The members whose bytes the check needs, with the most bytes that each may have."""
    return {f"{filename.stem}/PKG-INFO": MAX_METADATA_BYTES}


def check_sdist(filename: Filename, contents: Contents, metadata: CoreMetadata | None, log: FaultLog) -> None:
    """Note every fault of what an sdist holds; `metadata` is None when it could not be read, as noted elsewhere."""
    top = filename.stem
    for path in sorted({path.partition("/")[0] for path in contents.kinds} - {top}):
        log.add("sdist-top-folder", f"expected everything below {top!r}, got {quoted(path)}")
    if contents.kinds.get(top, "directory") != "directory":
        log.add("sdist-top-folder", f"expected the folder {top!r}, got a {contents.kinds[top]}")
    if not any(f"{top}/{name}" in contents.kinds for name in BUILD_FILES):
        log.add("sdist-build-file", f"expected one of {', '.join(BUILD_FILES)} in {top!r}, got none")
    if metadata is not None and metadata.license_files_are_defined:
        for path in metadata.license_files:
            # A link will do: that it stays in the tree is checked with the archive.
            if contents.kinds.get(f"{top}/{path}", "directory") == "directory":
                log.add("license-file-missing", f"expected the licence file {quoted(path)}, got none")
