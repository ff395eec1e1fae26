"""Every setting of the server, typed, in one place.

A setting is a `WHEELMARK_*` variable or a line in `wheelmark.toml` in the data folder (the variable wins). The
table that `wheelmark serve --help` and the reference page print is generated from the fields of `Config`.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wheelmark.errors import Fault, Refused

PREFIX = "WHEELMARK_"
FILE_NAME = "wheelmark.toml"

MEGABYTE = 1_000_000


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an operator can choose. Sizes are bytes, durations seconds."""

    data: Path = _setting(Path("data"), "the data folder: database, store, keys, secrets (embedded default)")
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(8000, "port to listen on")
    public_url: str = _setting("", "address by which users reach the index; empty: http://HOST:PORT")
    trusted_proxies: int = _setting(0, "proxies in front of the index whose X-Forwarded-For is believed")
    database: str = _setting("", "postgresql://user:password@host/name; empty: SQLite in the data folder")
    store: str = _setting("", "s3://bucket/prefix?endpoint=…&region=…; empty: files in the data folder")
    keys: str = _setting("", "folder of the online keys; empty: DATA/keys")
    bins_key: str = _setting(
        "", "signer URIs of online key 1 (bins): the one that the index names signs; empty: pkcs8:KEYS/bins*.pem"
    )
    timestamp_key: str = _setting(
        "", "signer URIs of online key 2 (snapshot, timestamp), likewise; empty: pkcs8:KEYS/timestamp*.pem"
    )
    key_passphrase: str = _setting(
        "", "where the passphrase (PIN) of the online keys is read: file:PATH, credential:NAME or command:WORDS"
    )
    key_passphrase_file: str = _setting(
        "", "file with the passphrase of the online keys; empty: DATA/secrets/online-keys"
    )
    signing_log: str = _setting("", "file with one line for every use of an online key; empty: DATA/signing-log.jsonl")
    expected_projects: int = _setting(1_000, "projects expected in some years: fixes the number of bins at first start")
    sign_files: bool = _setting(
        False, "sign each file as a target of its own, too (strict PEP 458): costs every client"
    )
    web_threads: int = _setting(512, "requests answered at once; slow clients occupy one each")
    web_page_slots: int = _setting(8, "requests inside Django at once; the read path is not counted")
    scan_workers: int = _setting(1, "scan worker processes of `wheelmark serve`")
    scan_seconds: float = _setting(60.0, "wall time of one scan; longer is incomplete")
    scan_memory: int = _setting(1_000 * MEGABYTE, "address space of one scan")
    hold_suspicious: bool = _setting(
        False, "hold suspicious files, too; else they are published and the desk lists them"
    )
    hold_on_context: bool = _setting(
        True, "hold new files against which name, texts or changes speak strongly; else the desk lists them as noticed"
    )
    context_lists: str = _setting(
        "", "TOML file with well-known and internal names and states of context checks; empty: DATA/context.toml"
    )
    rules: str = _setting(
        "", "folders of further scanner rules, separated by colons: their files are code that the scanner runs"
    )
    rescan: bool = _setting(True, "when rules change, scan listed and held files again, while no upload waits")
    hold_on_rescan: bool = _setting(
        False, "take a listed file off when newer rules call it malicious; else the desk lists it"
    )
    max_file: int = _setting(1_000 * MEGABYTE, "largest distribution that is accepted")
    max_project: int = _setting(10_000 * MEGABYTE, "all files of one project together")
    release_days: int = _setting(14, "days after which a release takes no new files; 0: never closes")
    uploads: bool = _setting(True, "accept uploads")
    new_projects: bool = _setting(True, "accept uploads that create a project")
    sign_up: bool = _setting(True, "let people create accounts")
    email: str = _setting("console:", "smtp://user:password@host:port, or console: (mail is written to the log)")
    email_from: str = _setting("wheelmark@localhost", "sender of mails")
    log_format: str = _setting("auto", "console, json, or auto (console on a terminal)")
    debug: bool = _setting(False, "Django's debug pages; never on an index that others reach")

    @property
    def database_file(self) -> Path:
        """Where SQLite lies, when it is used."""
        return self.data / "wheelmark.sqlite3"

    @property
    def on_postgresql(self) -> bool:
        """Whether the database is PostgreSQL (and jobs run on Procrastinate)."""
        return bool(self.database)

    @property
    def store_url(self) -> str:
        """The store's address, with the embedded default filled in."""
        return self.store or (self.data / "store").absolute().as_uri()

    @property
    def keys_folder(self) -> Path:
        """Where the online keys lie."""
        return Path(self.keys) if self.keys else self.data / "keys"

    @property
    def secrets_folder(self) -> Path:
        """Where the generated secrets lie (mode 0700)."""
        return self.data / "secrets"

    @property
    def offline_folder(self) -> Path:
        """Where the quick start leaves the offline key, to be moved away."""
        return self.data / "offline-keys-move-me-away"

    @property
    def bins_key_uri(self) -> str:
        """Signer of the bins (online key 1)."""
        return self.bins_key or f"pkcs8:{self.keys_folder / 'bins.pem'}"

    @property
    def timestamp_key_uri(self) -> str:
        """Signer of snapshot and timestamp (online key 2)."""
        return self.timestamp_key or f"pkcs8:{self.keys_folder / 'timestamp.pem'}"

    @property
    def passphrase_file(self) -> Path:
        """Where the passphrase of the online keys lies."""
        return Path(self.key_passphrase_file) if self.key_passphrase_file else self.secrets_folder / "online-keys"

    @property
    def signing_log_path(self) -> Path:
        """The append-only log of what the online keys signed."""
        return Path(self.signing_log) if self.signing_log else self.data / "signing-log.jsonl"

    @property
    def rules_folders(self) -> tuple[Path, ...]:
        """The folders of further scanner rules."""
        return tuple(Path(folder) for folder in self.rules.split(os.pathsep) if folder)

    @property
    def base_url(self) -> str:
        """Address for users, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def load_config(environ: Mapping[str, str], *, data: Path | None = None, **overrides: Any) -> Config:
    """Read the settings: defaults, then `wheelmark.toml`, then the environment, then `overrides`.

    Raises:
        Refused: a setting is unknown or has the wrong form; every fault is named.
    """
    folder = data or Path(environ.get(PREFIX + "DATA") or Config().data)
    known = {item.name: item for item in dataclasses.fields(Config)}
    faults: list[Fault] = []
    given: dict[str, Any] = {}
    path = folder / FILE_NAME
    if path.exists():
        try:
            given |= tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            faults.append(Fault("config-syntax", str(path), f"expected TOML, got: {error}"))
    given |= {
        key.removeprefix(PREFIX).lower(): value
        for key, value in environ.items()
        if key.startswith(PREFIX) and key.removeprefix(PREFIX).lower() in known
    }
    given |= {key: value for key, value in overrides.items() if value is not None}
    given["data"] = folder.absolute()
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            faults.append(Fault("config-unknown", name, f"expected one of {', '.join(sorted(known))}"))
            continue
        try:
            values[name] = _convert(value, type(known[name].default))
        except (TypeError, ValueError):
            kind = type(known[name].default).__name__
            faults.append(Fault("config-value", name, f"expected {kind}, got {value!r}"))
    if faults:
        raise Refused(faults)
    return Config(**values)


def _convert(value: Any, kind: type) -> Any:
    if kind is bool and isinstance(value, str):
        lowered = value.strip().lower()
        if lowered not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
            raise ValueError(value)
        return lowered in {"1", "true", "yes", "on"}
    if kind is bool and not isinstance(value, bool):
        raise TypeError(value)
    if kind is Path:
        return Path(value)
    return kind(value)


def settings_table() -> list[tuple[str, str, str]]:
    """Variable, default and meaning of every setting, for the help text and the reference page."""
    return [
        (PREFIX + item.name.upper(), str(item.default), item.metadata["help"]) for item in dataclasses.fields(Config)
    ]
