"""Importing python-tuf without what a verifier never uses.

python-tuf imports securesystemslib's signers, and each of those imports its backend where one is installed: boto3
alone takes longer than all the rest of the client. A client never signs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

SIGNING_BACKENDS = ("azure", "boto3", "google.cloud", "hvac", "keylet", "pkcs11")


@contextmanager
def without_signing_backends() -> Iterator[None]:
    """Imports in this block do not find the signers' backends, unless they were imported before.

    securesystemslib remembers for the life of the process that they were missing. So this is for processes that only
    verify, our commands, and not for a library to do behind its user's back.
    """
    hidden = [name for name in SIGNING_BACKENDS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is the documented way to halt an import
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
