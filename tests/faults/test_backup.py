"""A backup is whole whatever is written meanwhile, and goes back whole whatever lies beside the database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.server import founded
from wheelmark.errors import Refused, Unavailable
from wheelmark.server.backup import BESIDE, back_up, postgresql_refusal, restore, truncate_wal

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
PAIRS = 2_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The database of a founded index, with a table of ours to count in."""
    path = tmp_path / "data" / "wheelmark.sqlite3"
    path.parent.mkdir()
    shutil.copyfile(founded().folder / path.name, path)
    with closing(opened(path)) as connection:
        connection.execute("CREATE TABLE tally (number INTEGER PRIMARY KEY, half INTEGER)")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.sqlite3"


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    return connection


def count(connection: sqlite3.Connection, numbers: range) -> None:
    """Two rows in each transaction: half of one is never seen."""
    for number in numbers:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO tally (half) VALUES (?)", [(number,), (number,)])
        connection.execute("COMMIT")


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM tally").fetchone()[0])


def left_beside(path: Path) -> list[str]:
    return [ending for ending in BESIDE if path.with_name(path.name + ending).exists()]


@pytest.fixture
def killed(database: Path) -> Iterator[Path]:
    """The database of a process that was killed: what it wrote last lies in the `-wal` alone."""
    writer = opened(database)
    writer.execute("PRAGMA wal_autocheckpoint=0")
    count(writer, range(50))
    for ending in ("", "-wal"):
        shutil.copyfile(f"{database}{ending}", f"{database}.killed{ending}")
    writer.close()
    for ending in ("", "-wal"):
        shutil.move(f"{database}.killed{ending}", f"{database}{ending}")
    yield database


def test_backup_while_others_write_is_of_one_moment(database: Path, file: Path) -> None:
    with closing(opened(database)) as writer:
        count(writer, range(10))
        thread = threading.Thread(target=count, args=(writer, range(10, PAIRS)))
        thread.start()
        try:
            contents = back_up(database, file)
            assert thread.is_alive(), "it was written to while it was copied"
        finally:
            thread.join()
    assert rows(database) == 2 * PAIRS
    assert 20 <= rows(file) <= 2 * PAIRS
    assert rows(file) % 2 == 0, "a transaction is in the copy whole, or not at all"
    assert (contents.snapshot, contents.projects, contents.size) == (1, 0, file.stat().st_size)
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in file.parent.iterdir()} == {"data", file.name}


def test_backup_holds_what_lies_in_the_wal_alone(killed: Path, file: Path) -> None:
    alone = file.with_name("copied.sqlite3")
    shutil.copyfile(killed, alone)
    assert rows(alone) == 0, "a copy of the main file is no backup"
    back_up(killed, file)
    assert rows(file) == 100
    assert left_beside(file) == []


def test_backup_never_overwrites(database: Path, file: Path) -> None:
    file.write_text("older")
    with pytest.raises(Refused) as refused:
        back_up(database, file)
    assert refused.value.code == "backup-exists"
    assert file.read_text() == "older"


def test_backup_where_nothing_can_be_written_says_so(database: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as unavailable:
        back_up(database, tmp_path / "missing" / "backup.sqlite3")
    assert unavailable.value.code == "backup-failed"


def test_backup_of_a_damaged_database_is_refused(database: Path, file: Path) -> None:
    damage(database)
    with pytest.raises(Refused) as refused:
        back_up(database, file)
    assert refused.value.code == "backup-damaged"
    assert not file.exists()


def damage(path: Path) -> None:
    """What a disk error leaves: a page that nobody reads before its row is asked for, and that is none."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        [page] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tally'").fetchone()
        [size] = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as content:
        content.seek((page - 1) * size)
        content.write(b"\xa5" * size)


def test_restore_is_not_undone_by_an_older_wal_beside_it(database: Path, file: Path) -> None:
    back_up(database, file)
    writer = opened(database)
    writer.execute("PRAGMA wal_autocheckpoint=0")
    count(writer, range(50))
    shutil.copyfile(f"{database}-wal", f"{file}.wal")
    writer.close()
    shutil.copyfile(f"{file}.wal", f"{database}-wal")
    contents, aside = restore(file, database, now=NOW)
    assert contents.snapshot == 1
    assert rows(database) == 0
    assert left_beside(database) == []
    assert database.stat().st_mode & 0o777 == 0o600
    assert aside == database.with_name("wheelmark.sqlite3.replaced-20261127T120000Z")
    assert rows(aside) == 100
    assert rows(file) == 0


def test_replaced_database_is_kept_with_its_wal(killed: Path, file: Path) -> None:
    before = [Path(f"{killed}{ending}").read_bytes() for ending in ("", "-wal")]
    shutil.copyfile(founded().folder / killed.name, file)
    _, first = restore(file, killed, now=NOW)
    _, second = restore(file, killed, now=NOW)
    assert first is not None
    assert second is not None
    assert second != first, "a second restore keeps what the first replaced"
    assert [Path(f"{first}{ending}").read_bytes() for ending in ("", "-wal")] == before
    assert rows(first) == 100


def test_damaged_database_can_be_replaced(killed: Path, file: Path) -> None:
    shutil.copyfile(founded().folder / killed.name, file)
    killed.write_bytes(b"not a database" * 1_000)
    _, aside = restore(file, killed, now=NOW)
    assert aside is not None
    assert aside.read_bytes().startswith(b"not a database")
    assert Path(f"{aside}-wal").exists()
    back_up(killed, file.with_name("again.sqlite3"))


def test_restore_into_an_empty_folder(database: Path, file: Path) -> None:
    back_up(database, file)
    for ending in ("", *BESIDE):
        Path(f"{database}{ending}").unlink(missing_ok=True)
    assert restore(file, database, now=NOW)[1] is None
    assert rows(database) == 0


def test_restore_is_refused_while_another_program_has_the_database_open(database: Path, file: Path) -> None:
    back_up(database, file)
    with closing(opened(database)) as other:
        count(other, range(1))
        with pytest.raises(Unavailable) as unavailable:
            restore(file, database, now=NOW)
    assert unavailable.value.code == "data-in-use"
    assert rows(database) == 2
    assert list(database.parent.glob("*replaced*")) == []


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def forget_journal(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE projects_journalentry")


def unfound(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM publishing_snapshot")


def come_from_the_future(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('publishing', '0999_later', '2027-01-01')"
        )


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (truncate, "backup-damaged"),
        (damage, "backup-damaged"),
        (lambda file: file.write_bytes(b"no database at all" * 1_000), "backup-damaged"),
        (empty, "backup-foreign"),
        (forget_journal, "backup-foreign"),
        (unfound, "backup-unfounded"),
        (come_from_the_future, "backup-newer"),
        (Path.unlink, "backup-missing"),
    ],
    ids=["truncated", "damaged", "text", "empty", "foreign", "unfounded", "newer", "missing"],
)
def test_what_is_no_whole_backup_changes_nothing(killed: Path, file: Path, spoil: object, code: str) -> None:
    back_up(killed, file)
    assert callable(spoil)
    spoil(file)
    with pytest.raises(Refused) as refused:
        restore(file, killed, now=NOW)
    assert refused.value.code == code
    assert "expected" in str(refused.value)
    assert "got" in str(refused.value)
    assert rows(killed) == 100
    assert {path.name for path in killed.parent.iterdir()} <= {f"{killed.name}{ending}" for ending in ("", *BESIDE)}


def test_database_is_no_backup_of_itself(database: Path) -> None:
    with pytest.raises(Refused) as refused:
        restore(database, database, now=NOW)
    assert refused.value.code == "backup-in-place"


def test_clean_stop_leaves_everything_in_the_main_file(killed: Path, tmp_path: Path) -> None:
    truncate_wal(killed)
    alone = tmp_path / "copied.sqlite3"
    shutil.copyfile(killed, alone)
    assert rows(alone) == 100
    truncate_wal(tmp_path / "none.sqlite3")
    assert not (tmp_path / "none.sqlite3").exists()


def test_on_postgresql_the_command_is_named_without_the_password() -> None:
    refused = postgresql_refusal("backup", "postgresql://ada:secret@db:5433/index?sslmode=require", Path("/b/x"))
    assert refused.code == "backup-postgresql"
    assert "pg_dump --format=custom --file=/b/x 'postgresql://ada@db:5433/index?sslmode=require'" in str(refused)
    assert "secret" not in str(refused)
    assert "pg_restore" in str(postgresql_refusal("restore", "postgresql://db/index", Path("/b/x")))
