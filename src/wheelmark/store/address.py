"""Opens the store that an address names."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from wheelmark.errors import Refused
from wheelmark.store.keys import MAX_PREFIX_CHARS, key_faults
from wheelmark.store.local import LocalStore
from wheelmark.store.memory import MemoryStore
from wheelmark.store.model import Store

_FORMS = "file:///absolute/folder, s3://bucket/prefix?endpoint=https://host&region=name or memory://"
_S3_PARAMETERS = {"endpoint", "region"}


def open_store(url: str) -> Store:
    """The store at an address: `file:///folder`, `s3://bucket/prefix?endpoint=…&region=…` or `memory://`.

    Credentials for S3 come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and the other `AWS_*`
    names, or the machine's role), never from the address: addresses end up in logs and process lists.
    Open a store in the process that uses it: an S3 store does not survive a fork.

    Raises:
        Refused: the address is none of these forms. The message repeats nothing of it that could be a secret.
        Unavailable: the folder can be neither found nor made.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _refused("an address that cannot be taken apart") from error
    if parts.username is not None or parts.password is not None:
        raise _refused("credentials in the address: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead")
    if parts.fragment:
        raise _refused("a #fragment")
    match parts.scheme:
        case "memory" if not (parts.netloc or parts.path or parts.query):
            return MemoryStore()
        case "file":
            return _open_local(parts)
        case "s3":
            return _open_s3(parts)
        case scheme:
            raise _refused(f"the scheme {scheme!r}")


def _open_local(parts: SplitResult) -> LocalStore:
    folder = unquote(parts.path)
    if parts.netloc or parts.query or not folder.startswith("/") or "\0" in folder:
        raise _refused("a file address with a host, a query or a relative folder")
    store = LocalStore(Path(folder))
    store.sweep(now=time.time())
    return store


def _open_s3(parts: SplitResult) -> Store:
    # Imported late: most installations have no S3, and the library takes its time.
    from wheelmark.store.s3 import S3Location, S3Store

    given = parse_qsl(parts.query, keep_blank_values=True)
    parameters = dict(given)
    if unknown := sorted(parameters.keys() - _S3_PARAMETERS):
        raise _refused(f"the unknown parameters {', '.join(unknown)}")
    if len(given) != len(parameters) or "" in parameters.values():
        raise _refused("an empty parameter, or one given twice")
    if not parts.netloc:
        raise _refused("no bucket")
    endpoint = parameters.get("endpoint")
    if endpoint is not None:
        _check_endpoint(endpoint)
    prefix = parts.path.strip("/")
    if faults := key_faults(prefix, field="prefix", max_chars=MAX_PREFIX_CHARS) if prefix else []:
        raise Refused(faults)
    return S3Store(S3Location(parts.netloc, prefix, endpoint, parameters.get("region")))


def _check_endpoint(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        # Reading the port is what checks it.
        well_formed = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        raise _refused("an endpoint that is no http:// or https:// address")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise _refused(
            "an endpoint with credentials or a query: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        )


def _refused(got: str) -> Refused:
    return Refused.because("store-url", "url", f"expected {_FORMS}, got {got}")
