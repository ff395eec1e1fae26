"""Under which keys the objects of the index lie in the store. Pure; the publisher and intake write, delivery reads.

Everything here is written once and never changed: each key holds a hash or a version. `timestamp.json` has no key,
because it lies in the database (see `commit.py`).
"""

from __future__ import annotations


def page_key(name: str, sha256: str) -> str:
    """The JSON of a project page: a TUF target."""
    return f"pages/{name}/{sha256}.json"


def file_key(sha256: str) -> str:
    """A distribution. The file name is not part of it: the same bytes lie there once."""
    return f"files/{sha256[:2]}/{sha256}"


def metadata_key(sha256: str) -> str:
    """The core metadata of a distribution."""
    return f"metadata/{sha256[:2]}/{sha256}"


def role_key(version: int, role: str) -> str:
    """One version of a TUF role's metadata, under the name that consistent snapshots give it."""
    return f"tuf/{version}.{role}.json"


def role_file_key(file_name: str) -> str:
    """The same, by the file name that `wheelmark.trust` gives: `7.bins-0a3.json`."""
    return f"tuf/{file_name}"
