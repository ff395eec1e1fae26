"""The operating system as a durable store needs it: few calls, each doing one thing, each error saying what to do.

`LocalStore` changes the disk through a `Disk` and in no other way. That is the seam at which the tests cut the power
after every single call and look at what survived.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wheelmark.errors import Unavailable

# Not the process's umask: whoever may enter the store's root (the web server in front of us, a backup) may read it.
FILE_MODE = 0o644

_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_LINKS = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}


class Disk:
    """The calls that change the disk. None of them is durable before the `sync` that covers it."""

    def create(self, path: Path) -> int:
        """Open a new file for writing; fails where one exists."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def write(self, descriptor: int, chunk: bytes) -> None:
        """Append all of a chunk."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """Bring a file's bytes onto the medium."""
        _flush(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a file that was created here."""
        os.close(descriptor)

    def sync_file(self, path: Path) -> int:
        """Give a finished file of somebody else our mode, bring its bytes onto the medium, and return its size."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, f"expected {path} to be a plain file, got something else")
            os.fchmod(descriptor, FILE_MODE)
            _flush(descriptor)
            return found.st_size
        finally:
            os.close(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Bring a folder's entries (names that came, went or changed) onto the medium."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _flush(descriptor)
        finally:
            os.close(descriptor)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name in one step; fails where the name is taken."""
        target.hardlink_to(source)

    def replace(self, source: Path, target: Path) -> None:
        """Move a file over another in one step."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Make one folder below an existing one."""
        path.mkdir()

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder; fails when it is not empty."""
        path.rmdir()


def _flush(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        # There, fsync leaves the bytes in the drive's own cache (fsync(2), macOS).
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


@contextmanager
def converted(root: Path, *, writing: bool) -> Iterator[None]:
    """Turn what the operating system says into `Unavailable` that tells the operator what to do.

    Wrap calls to the disk only: an OSError of a caller's stream (its network) must pass through unchanged.
    """
    try:
        yield
    except OSError as error:
        raise unavailable(root, error, writing=writing) from error


def unavailable(root: Path, error: OSError, *, writing: bool) -> Unavailable:
    """The `Unavailable` for an OSError, with a stable code."""
    said = error.strerror or str(error)
    if error.errno in _FULL:
        return Unavailable(f"the disk of {root} is full ({said}): free or add space, then retry", code="store-full")
    if error.errno in _NO_LINKS:
        message = f"{root} must lie on one file system that has hard links ({said}): move it to such a one"
        return Unavailable(message, code="store-no-hard-links")
    if error.errno in _READ_ONLY and writing:
        message = (
            f"{root} cannot be written ({said}): mount it read-write, and let this user write and link files there"
        )
        return Unavailable(message, code="store-read-only")
    if error.errno in _READ_ONLY:
        message = f"{root} cannot be read ({said}): give this user the right to read all that lies there"
        return Unavailable(message, code="store-denied")
    return Unavailable(f"the disk of {root} failed ({said}): look at the system log, then retry", code="store-io")
