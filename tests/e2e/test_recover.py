"""The runbooks' commands as an administrator types them, on an index of real processes (docs/how-to/recover.md), and
an unmodified TUF client over HTTP that knew the state before.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tuf.ngclient import Updater  # type: ignore[attr-defined]  # tuf re-exports without saying so

from support.distributions import build_wheel
from support.server import RunningIndex


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RunningIndex]:
    with RunningIndex(tmp_path / "data") as running:
        yield running


def published(index: RunningIndex, name: str, token: str) -> str:
    filename = f"{name}-1.0-py3-none-any.whl"
    answer = index.upload(filename, build_wheel(name, "1.0"), token=token)
    assert answer.status == 200, answer.data
    index.wait_published(name, filename)
    return filename


def client_sees(index: RunningIndex, root: bytes, folder: Path, *names: str) -> dict[str, list[str] | None]:
    """What python-tuf's client, with its memory in this folder, gets of these projects."""
    folder.mkdir(exist_ok=True)
    updater = Updater(
        metadata_dir=str(folder),
        metadata_base_url=f"{index.base_url}/tuf/",
        target_base_url=f"{index.base_url}/tuf/targets/",
        target_dir=str(folder),
        bootstrap=root,
    )
    updater.refresh()
    seen: dict[str, list[str] | None] = {}
    for name in names:
        target = updater.get_targetinfo(f"simple/{name}/index.json")
        page = json.loads(Path(updater.download_target(target)).read_bytes()) if target else None
        seen[name] = [file["filename"] for file in page["files"]] if page else None
    return seen


def pages_in(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM publishing_publishedpage ORDER BY name")]


def test_index_comes_back_from_an_older_backup_of_its_database(index: RunningIndex, tmp_path: Path) -> None:
    token, root, known = index.token(), index.root, tmp_path / "client"
    alpha = published(index, "alpha", token)
    copy = tmp_path / "backup.sqlite3"
    saved = json.loads(index.command("admin", "backup", str(copy), "--json").stdout)
    assert saved["projects"] == 1
    assert saved["keep_too"] == [
        str(index.data / name)
        for name in ("store", "secrets/django", "signing-log.jsonl", "keys", "secrets/online-keys")
    ]
    beta = published(index, "beta", token)
    assert client_sees(index, root, known, "alpha", "beta") == {"alpha": [alpha], "beta": [beta]}
    assert index.command("trust", "audit").returncode == 0
    running = index.command("trust", "recover", check=False)
    assert running.returncode != 0
    assert "stop `wheelmark serve`" in running.stderr
    running = index.command("admin", "restore", str(copy), check=False)
    assert running.returncode != 0
    assert "stop it first" in running.stderr

    index.kill("supervisor")  # so that what was written last lies beside the database
    assert (index.data / "wheelmark.sqlite3-wal").stat().st_size
    restored = json.loads(index.command("admin", "restore", str(copy), "--json").stdout)
    assert (restored["snapshot"], restored["missing"]) == (saved["snapshot"], [])
    assert restored["next"].startswith("wheelmark trust recover")
    assert pages_in(Path(restored["replaced"])) == ["alpha", "beta"]
    assert pages_in(index.data / "wheelmark.sqlite3") == ["alpha"]
    audited = index.command("trust", "audit", check=False)
    assert audited.returncode == 1
    assert "version-ahead" in audited.stderr
    recovered = index.command("trust", "recover", "--json", check=False)
    done = json.loads(recovered.stdout)
    assert recovered.returncode == 1, "there is something to tell people"
    assert [(lost["project"], lost["filename"], lost["in_store"]) for lost in done["withdrawn"]["lost"]] == [
        ("beta", beta, True)
    ]
    assert done["remaining"] == []

    index.start()
    index.wait_ready()
    assert client_sees(index, root, known, "alpha", "beta") == {"alpha": [alpha], "beta": None}
    assert client_sees(index, root, tmp_path / "new", "alpha", "beta") == {"alpha": [alpha], "beta": None}
    published(index, "beta", token)
    assert client_sees(index, root, known, "beta") == {"beta": [beta]}
    audited = index.command("trust", "audit", "--files", check=False)
    assert (audited.returncode, audited.stderr) == (0, "")


OLDER = """\
import sys
from pathlib import Path
from wheelmark.server.bootstrap import bootstrap
bootstrap(Path(sys.argv[1]))
from django.core.management import call_command
call_command("migrate", "publishing", "0002", verbosity=0)
call_command("migrate", "review", "0001", verbosity=0)
"""


def test_backup_of_an_older_version_is_brought_up_to_date(index: RunningIndex, tmp_path: Path) -> None:
    token, root = index.token(), index.root
    alpha = published(index, "alpha", token)
    index.stop()
    database, copy = index.data / "wheelmark.sqlite3", tmp_path / "backup.sqlite3"
    older = tmp_path / "older"
    older.mkdir()
    shutil.copyfile(database, older / database.name)
    subprocess.run([sys.executable, "-c", OLDER, str(older)], check=True, timeout=60)
    with closing(sqlite3.connect(older / database.name)) as old:
        assert not old.execute("SELECT 1 FROM sqlite_master WHERE name = 'publishing_filetarget'").fetchone()
        with closing(sqlite3.connect(copy)) as target:
            old.backup(target)
    index.command("admin", "restore", str(copy))
    assert index.command("trust", "recover").returncode == 0
    index.start()
    index.wait_ready()
    beta = published(index, "beta", token)
    assert client_sees(index, root, tmp_path / "new", "alpha", "beta") == {"alpha": [alpha], "beta": [beta]}


def test_lost_objects_of_the_store_are_made_again(index: RunningIndex, tmp_path: Path) -> None:
    token, root, known = index.token(), index.root, tmp_path / "client"
    alpha = published(index, "alpha", token)
    client_sees(index, root, known, "alpha")
    index.stop()
    for path in (index.data / "store" / "pages" / "alpha").iterdir():
        path.unlink()
    newest = max((index.data / "store" / "tuf").glob("*.snapshot.json"), key=lambda path: int(path.name.split(".")[0]))
    newest.unlink()
    audited = index.command("trust", "audit", check=False)
    assert audited.returncode == 1
    assert "page-missing" in audited.stderr
    assert "missing" in audited.stderr
    recovered = index.command("trust", "recover", check=False)
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert "1 pages that the store had lost" in recovered.stdout
    index.start()
    index.wait_ready()
    assert client_sees(index, root, known, "alpha") == {"alpha": [alpha]}
    assert client_sees(index, root, tmp_path / "new", "alpha") == {"alpha": [alpha]}
    assert index.command("trust", "audit").returncode == 0
    assert index.command("trust", "status").returncode == 0


def test_holders_sign_the_very_files_that_are_taken_in() -> None:
    """`trust sign` signs in place: what is imported must have been copied first."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "recover.md").read_text(encoding="utf-8")
    [taken] = re.findall(r"\$ wheelmark trust ceremony import (.*)\n", page)
    signed = re.findall(r"\$ cp ceremony.json (\S+)\n *\$ wheelmark trust sign \1 ", page)
    assert signed == [taken.split()[0]]


def test_lost_offline_roles_come_back_from_the_memory_of_a_client(index: RunningIndex, tmp_path: Path) -> None:
    token, root, known = index.token(), index.root, tmp_path / "client"
    alpha = published(index, "alpha", token)
    client_sees(index, root, known, "alpha")
    index.stop()
    tuf, lost = index.data / "store" / "tuf", ("root", "targets", "bins")
    for role in lost:
        (tuf / f"1.{role}.json").unlink()
    begun = index.command("trust", "ceremony", "begin", "--renew", "--out", str(tmp_path / "c.json"), check=False)
    assert begun.returncode == 1
    assert "a client's state folder" in begun.stderr
    for role, kept in (("root", "root_history/1.root.json"), ("targets", "targets.json"), ("bins", "bins.json")):
        (tuf / f"1.{role}.json").write_bytes((known / kept).read_bytes())
    audited = index.command("trust", "audit", "--files", check=False)
    assert (audited.returncode, audited.stderr) == (0, "")
    index.start()
    index.wait_ready()
    assert client_sees(index, root, tmp_path / "new", "alpha") == {"alpha": [alpha]}


def hold(index: RunningIndex, folder: Path, *change: str) -> None:
    """The ceremony of the runbook, with the quick start's one holder: begin, sign, take in, put into force."""
    path, key = folder / "ceremony.json", index.data / "offline-keys-move-me-away"
    begun = json.loads(index.command("trust", *change, "--json", "--out", str(path)).stdout)
    signed = index.plain(
        "trust",
        "sign",
        str(path),
        "--key",
        f"pkcs8:{key / 'root.pem'}",
        "--passphrase-from",
        f"file:{key / 'passphrase'}",
        "--fingerprint",
        begun["fingerprint"],
    )
    assert signed.returncode == 0, signed.stderr
    index.command("trust", "ceremony", "import", str(path))
    finished = index.command("trust", "ceremony", "finish", check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("lost", [False, True], ids=["stolen", "lost"])
def test_online_keys_that_were_stolen_or_lost_are_replaced(index: RunningIndex, tmp_path: Path, lost: bool) -> None:
    token, root, known = index.token(), index.root, tmp_path / "client"
    alpha = published(index, "alpha", token)
    assert client_sees(index, root, known, "alpha") == {"alpha": [alpha]}
    before = json.loads(index.command("trust", "status", "--json", check=False).stdout)
    index.stop()
    if lost:
        for path in (index.data / "keys").glob("*.pem"):
            path.unlink()
        status = index.command("trust", "status", check=False)
        assert status.returncode == 1
        assert "cannot-sign" in status.stdout
    hold(index, tmp_path, "rotate", "online-keys")
    recovered = index.command("trust", "recover", check=False)
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    index.start()
    index.wait_ready()
    beta = published(index, "beta", token)
    expected = {"alpha": [alpha], "beta": [beta]}
    assert client_sees(index, root, known, "alpha", "beta") == expected
    assert client_sees(index, root, tmp_path / "new", "alpha", "beta") == expected
    audited = index.command("trust", "audit", "--files", check=False)
    assert (audited.returncode, audited.stderr) == (0, "")
    after = json.loads(index.command("trust", "status", "--json").stdout)
    assert after["roles"]["root"]["version"] == 2
    assert not {*before["bins"]["keyids"], *before["roles"]["timestamp"]["keyids"]} & {
        *after["bins"]["keyids"],
        *after["roles"]["timestamp"]["keyids"],
    }
