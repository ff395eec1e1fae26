"""An index as its thieves, its accidents and its administrators see it: root by three holders, and a backup."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from django.db.models import AutoField, BigAutoField, Model

from support.ceremonies import change, holders_of
from support.publishing import POLICY, Client, FoundedIndex, MemorySigningLog, found_index
from support.rows import a_file
from wheelmark.server.projects.models import File
from wheelmark.server.publishing.audit import AuditReport, audit
from wheelmark.server.publishing.keys import file_key, metadata_key
from wheelmark.server.publishing.models import OfflineChange
from wheelmark.server.publishing.recovery import Recovery, adopt_offline_roles, recover
from wheelmark.store import MemoryStore
from wheelmark.trust import (
    OfflineRole,
    OfflineRoles,
    OnlineSigner,
    open_signer,
)
from wheelmark.trust.ceremony import Wish
from wheelmark.trust.terms import OFFLINE_ROLES

METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def a_key() -> OnlineSigner:
    return open_signer("memory:ed25519", passphrase=bytes)


@dataclass
class Rehearsal:
    """A founded, published index with root 2 of 3, a client that knows it, and everything that may happen to it."""

    holders: tuple[OnlineSigner, ...] = field(default_factory=lambda: tuple(a_key() for _ in range(3)))
    log: MemorySigningLog = field(default_factory=MemorySigningLog)
    index: FoundedIndex = field(init=False)
    old_client: Client = field(init=False)

    def __post_init__(self) -> None:
        role = OfflineRole(self.holders[:2], threshold=2, absent=(self.holders[2].public,))
        self.index = found_index(MemoryStore(), offline=OfflineRoles.all_by(role), signing_log=self.log)
        for name in ("alpha", "beta", "gamma"):
            self.upload(name)
        self.publish()
        self.old_client = Client(self.index)
        assert self.sees("alpha") == {"alpha": ["alpha-1.0-py3-none-any.whl"]}

    @property
    def store(self) -> MemoryStore:
        assert isinstance(self.index.store, MemoryStore)
        return self.index.store

    def upload(self, name: str, version: str = "1.0") -> File:
        """A scanned file whose bytes lie in the store."""
        file = a_file(name, version, metadata=METADATA)
        self.store.put(file_key(file.sha256), [file.filename.encode()], immutable=True)
        self.store.put(metadata_key(file.metadata_sha256), [METADATA], immutable=True)
        return file

    def publish(self) -> None:
        publisher = self.index.publisher()
        while publisher.publish_due():
            pass

    def audit(self, **options: Any) -> AuditReport:
        return audit(
            self.store, [self.log.appended], now=self.index.now, policy=POLICY, sleep=lambda seconds: None, **options
        )

    def codes(self, **options: Any) -> set[str]:
        return {fault.code for fault in self.audit(**options).faults}

    def recover(self) -> Recovery:
        adopted = adopt_offline_roles(self.store, now=self.index.now)
        return recover(self.index.publisher(), [self.log.appended], adopted=adopted)

    def sees(self, *names: str) -> dict[str, list[str] | None]:
        """What a client that knew the state before gets, after making sure that a new one gets the same."""
        seen = self.old_client.sees(*names)
        assert self.index.client_sees(*names) == seen, "a new client"
        return seen

    def hold_ceremony(
        self,
        *,
        bins: OnlineSigner | None = None,
        publish: OnlineSigner | None = None,
        holders: tuple[OnlineSigner, ...] | None = None,
        present: Iterable[int] = (0, 1),
        renew: bool = False,
    ) -> None:
        """A ceremony that names new keys, signed by those who are present, and put into force by the publisher."""
        wish = Wish(
            bins_key=bins.public if bins else None,
            publish_key=publish.public if publish else None,
            holders=holders_of(*holders, threshold=2) if holders else {},
            renew=frozenset(OFFLINE_ROLES) if renew else frozenset(),
        )
        self.index.online += [key for key in (bins, publish) if key]
        change(self.index, wish, *(self.holders[at] for at in present))
        self.publish()
        assert not OfflineChange.objects.filter(waiting=True).exists()
        self.holders = holders or self.holders


_APPS = ("projects", "publishing")


class Backup:
    """The rows of projects and publishing as they are now, to be put back later as a restored database would."""

    def __init__(self) -> None:
        self._rows: list[tuple[type[Model], list[Model]]] = [
            (model, list(model._default_manager.all()))
            for app in _APPS
            for model in apps.get_app_config(app).get_models()
        ]

    def restore(self) -> None:
        """Every later row is gone, and serials and keys start again where they were."""
        with transaction.atomic(), connection.constraint_checks_disabled():
            for model, _ in reversed(self._rows):
                model._default_manager.all()._raw_delete("default")
            for model, rows in self._rows:
                model._default_manager.bulk_create(rows)
                _count_on_from(model, max((row.pk for row in rows if isinstance(row.pk, int)), default=0))


def _count_on_from(model: type[Model], highest: int) -> None:
    """Let the database give the next new row the key above this one."""
    key = model._meta.pk
    if not isinstance(key, AutoField | BigAutoField):
        return
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("UPDATE sqlite_sequence SET seq = %s WHERE name = %s", [highest, table])
        else:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, %s), %s, %s)",
                [table, key.column, max(1, highest), highest > 0],
            )
