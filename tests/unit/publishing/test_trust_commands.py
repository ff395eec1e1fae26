"""`wheelmark trust ceremony`, `sign` and `key`, in this process; `tests/e2e` follows the runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

import wheelmark.trust
from support.publishing import MemorySigningLog
from wheelmark.errors import Refused, Unavailable, Untrusted
from wheelmark.server import bootstrap, founding, logs
from wheelmark.server.ceremonies import open_path
from wheelmark.server.commands import trust, trust_ceremony
from wheelmark.server.config import Config
from wheelmark.server.founding import found, prepare_folders
from wheelmark.server.publishing import offline
from wheelmark.server.publishing.models import OfflineChange, Repository, RoleVersion, Snapshot
from wheelmark.server.publishing.publisher import open_publisher
from wheelmark.server.publishing.rows import load_state
from wheelmark.server.publishing.signing import bins_key_uris, named_keys, online_signers, timestamp_key_uris
from wheelmark.server.stores import current_store
from wheelmark.server.web.root import read_root
from wheelmark.store import MemoryStore
from wheelmark.trust import check_metadata_set, generate_key

pytestmark = pytest.mark.django_db(transaction=True)

Run = Callable[..., Any]


@pytest.fixture
def run(config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `wheelmark trust …` with `--json` in a folder of its own; gives what it prints. Django is set up already."""

    def cheap(path: Path, **options: Any) -> object:
        return generate_key(path, **(options | {"scrypt_cost": 2**4}))

    monkeypatch.setattr(wheelmark.trust, "generate_key", cheap)
    monkeypatch.setattr(founding, "generate_key", cheap)
    monkeypatch.setattr(bootstrap, "bootstrap", lambda data: config)
    monkeypatch.setattr(bootstrap, "bootstrap_existing", lambda data: config)
    monkeypatch.setattr(logs, "configure_logs", lambda *_words, **_options: None)  # for all that follow, too
    monkeypatch.setenv("WHEELMARK_DATA", str(config.data))
    monkeypatch.chdir(tmp_path)
    Path("words").write_text("the words of a holder\n")

    def run_command(*words: str, status: int = 0) -> Any:
        assert trust.main([*words, "--json"]) == status
        return json.loads(capsys.readouterr().out.splitlines()[-1])  # the log of this process may stand before it

    return run_command


@pytest.fixture
def founded(config: Config, run: Run) -> Config:
    """The quick start: one offline key, in the data folder."""
    prepare_folders(config)
    found(config, current_store(), now=timezone.now())
    config.database_file.touch()
    return config


def three_keys(run: Run) -> list[str]:
    for name in ("ann", "bo", "cy"):
        run("key", "new", f"{name}.pem", "--passphrase-from", "file:words")
    return [word for name in ("ann", "bo", "cy") for word in ("--holder", f"{name}.pem.pub")]


def signed(run: Run, file: str, fingerprint: str, *names: str) -> Any:
    for name in names:
        said = run(
            "sign", file, "--key", f"pkcs8:{name}.pem", "--passphrase-from", "file:words", "--fingerprint", fingerprint
        )
    return said


def quick_signed(run: Run, config: Config, file: str, fingerprint: str) -> Any:
    folder = config.offline_folder
    key = ("--key", f"pkcs8:{folder / 'root.pem'}", "--passphrase-from", f"file:{folder / 'passphrase'}")
    return run("sign", file, *key, "--fingerprint", fingerprint)


def check_whole() -> None:
    current, store = Snapshot.current(), current_store()
    assert current is not None
    timestamp = bytes(current.timestamp)

    def fetch(name: str) -> bytes | None:
        if name == "timestamp.json":
            return timestamp
        return store.read_all(f"tuf/{name}", max_bytes=10_000_000) if store.head(f"tuf/{name}") else None

    root = store.read_all("tuf/1.root.json", max_bytes=1_000_000)
    assert check_metadata_set(fetch, root, timezone.now()).faults == ()


def test_index_is_founded_by_two_of_three_and_keeps_no_offline_key(config: Config, run: Run) -> None:
    begun = run("ceremony", "begin", *three_keys(run), "--out", "c.json")
    assert begun["file"] == "c.json"
    assert [demand["threshold"] for demand in begun["demands"]] == [2, 2, 2]
    signed(run, "c.json", begun["fingerprint"], "ann", "cy")
    assert run("ceremony", "import", "c.json")["ready"]
    done = run("ceremony", "finish")
    assert done["root_version"] == 1
    assert done["admin_password"]
    check_whole()
    assert not config.offline_folder.exists()
    assert not open_path(config).exists()
    assert found(config, current_store(), now=timezone.now()) is None, "a start finds it founded"


def test_quick_start_does_not_found_over_an_open_ceremony(config: Config, run: Run) -> None:
    run("ceremony", "begin", *three_keys(run))
    with pytest.raises(Refused, match="trust ceremony finish") as refusal:
        found(config, MemoryStore(), now=timezone.now())
    assert refusal.value.code == "ceremony-open"
    assert not Repository.objects.exists()
    run("ceremony", "abandon")
    assert found(config, MemoryStore(), now=timezone.now()) is not None


class PowerCut(Exception):
    """The process dies here."""


@pytest.mark.parametrize("step", ["migrate", "online_signers", "found_on", "commit", "_create_admin"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_founding_by_ceremony_that_is_cut_short_goes_on(
    config: Config, run: Run, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    begun = run("ceremony", "begin", *three_keys(run), "--out", "c.json")
    signed(run, "c.json", begun["fingerprint"], "ann", "bo")
    run("ceremony", "import", "c.json")
    real = getattr(founding, step)

    def dying(*arguments: object, **options: object) -> None:
        if after:
            real(*arguments, **options)
        raise PowerCut(step)

    with monkeypatch.context() as patched:
        patched.setattr(founding, step, dying)
        with pytest.raises(PowerCut):
            run("ceremony", "finish")
    assert run("ceremony", "finish")["root_version"] == 1
    check_whole()


def test_quick_start_is_handed_over_and_root_page_follows(founded: Config, run: Run) -> None:
    begun = run("ceremony", "begin", *three_keys(run), "--out", "c.json")
    assert begun["ready"] is False
    assert run("ceremony", "status", status=1)["fingerprint"] == begun["fingerprint"]
    quick_signed(run, founded, "c.json", begun["fingerprint"])
    signed(run, "c.json", begun["fingerprint"], "bo", "cy")
    run("ceremony", "import", "c.json")
    assert run("ceremony", "finish")["root_version"] == 2
    check_whole()
    shown = read_root(current_store())
    assert shown is not None
    assert (shown.version, shown.roles["root"].threshold, len(shown.roles["root"].keyids)) == (2, 2, 3)
    assert shown.fingerprint != shown.current_fingerprint


def named_keyid(keyid: str) -> str:
    return f"{keyid[:4]} {keyid[4:8]}"


def test_status_says_whose_signatures_the_open_ceremony_waits_for(founded: Config, run: Run) -> None:
    def said(status: int) -> dict[str, str]:
        advice = run("status", "--without-keys", status=status)["advice"]
        return {one["code"]: one["text"] for one in advice if one["code"] != "root-alone"}

    assert list(said(0)) == ["offline-key-here"]
    begun = run("ceremony", "begin", *three_keys(run), "--out", "c.json")
    waits = said(1)["ceremony-open"]
    assert begun["fingerprint"][:8] in waits
    old = named_keyid(begun["demands"][0]["absent"][0])
    assert f"root     1 of the 1 keys of root 1: 0 of 1, waits for 1 of: {old}" in waits
    quick_signed(run, founded, "c.json", begun["fingerprint"])
    signed(run, "c.json", begun["fingerprint"], "bo", "cy")
    run("ceremony", "import", "c.json")
    assert "waits for nothing but `wheelmark trust ceremony finish`" in said(1)["ceremony-open"]
    run("ceremony", "finish")
    assert list(said(0)) == ["offline-key-here"]
    shutil.rmtree(founded.offline_folder)
    assert said(0) == {}
    open_path(founded).write_text("{")
    assert "cannot be read" in said(1)["ceremony-open"]


def test_rotation_of_online_keys_makes_them_and_signs_with_them(founded: Config, run: Run) -> None:
    before = named_keys(current_store())
    begun = run("rotate", "online-keys", "--out", "c.json")
    quick_signed(run, founded, "c.json", begun["fingerprint"])
    run("ceremony", "import", "c.json")
    run("ceremony", "finish")
    now = named_keys(current_store())
    assert {now.bins, now.publish}.isdisjoint({before.bins, before.publish})
    names = [Path(uri.partition(":")[2]).name for uri in bins_key_uris(founded)]
    assert names == ["bins.pem", f"bins-{now.bins.keyid[:8]}.pem"]
    assert online_signers(founded, now).publish.public == now.publish
    check_whole()
    (founded.keys_folder / "bins.pem").unlink()
    (founded.keys_folder / "timestamp.pem").unlink()
    assert open_publisher(founded, current_store(), MemorySigningLog()).signers.bins.public == now.bins


def places(run: Run, status: int = 0) -> dict[str, tuple[str, str]]:
    """What `trust status` says of each key file of the bins."""
    found = run("status", status=status)["signers"]
    return {Path(place["uri"]).name: (place["keyid"], place["state"]) for place in found if place["signs"] == "bins"}


def test_status_says_which_key_files_may_be_deleted(
    founded: Config, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    first = named_keys(current_store()).bins.keyid
    begun = run("rotate", "online-keys", "--out", "c.json")
    [new] = (keyid for name, (keyid, _) in places(run, status=1).items() if name != "bins.pem")
    file = f"bins-{new[:8]}.pem"
    assert places(run, status=1) == {"bins.pem": (first, "in force"), file: (new, "named by the open ceremony")}
    quick_signed(run, founded, "c.json", begun["fingerprint"])
    run("ceremony", "import", "c.json")
    run("ceremony", "finish")
    assert places(run) == {"bins.pem": (first, "not named, may be deleted"), file: (new, "in force")}
    trust.main(["status"])
    printed = capsys.readouterr().out
    assert re.search(rf"online key \(bins\) +{new[:16]} +in force +pkcs8:.*/{file}\n", printed)
    assert re.search(rf"online key \(bins\) +{first[:16]} +not named, may be deleted +pkcs8:.*/bins.pem\n", printed)
    (founded.keys_folder / "bins.pem").write_text("not a key")
    assert places(run) == {"bins.pem": (None, "does not open"), file: (new, "in force")}
    RoleVersion.objects.filter(role__in=["root", "bins"]).update(version=1)  # as an older backup has it
    assert {state for _, state in places(run, status=1).values()} == {"does not open", "not named"}


def test_new_key_never_gets_the_place_of_an_old_one(founded: Config, run: Run) -> None:
    seen = set[str]()
    for number in range(3):
        begun = run("rotate", "bins-key", "--out", f"{number}.json")
        quick_signed(run, founded, f"{number}.json", begun["fingerprint"])
        run("ceremony", "import", f"{number}.json")
        run("ceremony", "finish")
        names = set(places(run))
        assert len(names - seen) == 1 + (number == 0)
        seen |= names
        for name, (_, state) in places(run).items():
            if state == "not named, may be deleted":
                (founded.keys_folder / name).unlink()
        assert list(founded.keys_folder.glob(".*")) == []


def test_abandon_names_the_keys_that_were_made_for_it(founded: Config, run: Run) -> None:
    run("rotate", "bins-key")
    [made] = set(founded.keys_folder.glob("bins-*.pem"))
    assert run("ceremony", "abandon") == {"abandoned": True, "unused_keys": [str(made)]}
    run("ceremony", "begin", "--renew")
    assert run("ceremony", "abandon") == {"abandoned": True, "unused_keys": []}


def renewal_taken_in(founded: Config, run: Run) -> None:
    """An open renewal that every holder has signed."""
    begun = run("ceremony", "begin", "--renew", "--out", "c.json")
    quick_signed(run, founded, "c.json", begun["fingerprint"])
    run("ceremony", "import", "c.json")


def finished_without_a_publisher(founded: Config, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that every holder has signed, and that nobody applies."""
    renewal_taken_in(founded, run)
    with monkeypatch.context() as patched:
        patched.setattr(trust_ceremony, "APPLY_SECONDS", 0.0)
        with pytest.raises(Unavailable, match="run this command again") as away:
            run("ceremony", "finish")
    assert away.value.code == "ceremony-waiting"


def test_finish_again_goes_on_where_a_publisher_was_missing(
    founded: Config, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_without_a_publisher(founded, run, monkeypatch)
    assert OfflineChange.objects.filter(waiting=True).exists()
    assert run("ceremony", "finish")["root_version"] == 2
    assert RoleVersion.objects.get(role="root").version == 2


def test_finished_ceremony_that_waits_is_taken_back(founded: Config, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    finished_without_a_publisher(founded, run, monkeypatch)
    run("ceremony", "abandon")
    open_publisher(founded, current_store(), MemorySigningLog()).publish_due()
    assert RoleVersion.objects.get(role="root").version == 1


def test_begun_ceremony_that_may_not_be_dropped_stays_open_and_is_finished(
    founded: Config, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_without_a_publisher(founded, run, monkeypatch)
    OfflineChange.objects.update(begun_at=timezone.now())
    with pytest.raises(Refused, match="trust ceremony finish") as refusal:
        run("ceremony", "abandon")
    assert refusal.value.code == "ceremony-begun"
    assert open_path(founded).exists()
    assert run("ceremony", "finish")["root_version"] == 2


def test_ceremony_that_a_recovery_took_over_is_finished_at_once(
    founded: Config, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewal_taken_in(founded, run)
    with monkeypatch.context() as patched:
        patched.setattr(offline, "commit", dying)
        with pytest.raises(PowerCut):
            run("ceremony", "finish")
    done = run("recover")
    assert done["adopted"] == {"root": 2, "targets": 2, "bins": 2}
    finished = run("ceremony", "finish")
    assert (finished["root_version"], finished["snapshot"]) == (2, done["snapshot"])
    run("ceremony", "begin", "--renew")


def test_thiefs_files_in_the_store_do_not_stop_finish(founded: Config, run: Run) -> None:
    store, first = current_store(), load_state()[0].layout.bin_names[0]
    names = [f"2.{first}", f"3.{first}", f"9.{first}", "2.snapshot", f"{2**52}.snapshot"]
    store.put_many([(f"tuf/{name}.json", b"a thief's") for name in names], immutable=True)
    begun = run("rotate", "online-keys", "--out", "c.json")
    quick_signed(run, founded, "c.json", begun["fingerprint"])
    run("ceremony", "import", "c.json")
    assert run("ceremony", "finish")["root_version"] == 2
    assert RoleVersion.objects.get(role=first).version == 10
    assert RoleVersion.objects.get(role="snapshot").version == 3, "nobody follows a version that is out of reach"
    check_whole()


def test_thiefs_root_in_the_store_is_named_by_finish(founded: Config, run: Run) -> None:
    store = current_store()
    store.put_many([("tuf/2.root.json", b"a thief's")], immutable=True)
    renewal_taken_in(founded, run)
    with pytest.raises(Unavailable, match="move it out of the store"):
        run("ceremony", "finish")
    store.delete("tuf/2.root.json")
    assert run("ceremony", "finish")["root_version"] == 2
    check_whole()


def dying(*_arguments: object, **_options: object) -> None:
    raise PowerCut


def test_second_ceremony_waits_for_the_first(founded: Config, run: Run) -> None:
    run("ceremony", "begin", "--renew", "--out", "c.json")
    with pytest.raises(Refused, match="trust ceremony abandon") as refusal:
        run("rotate", "bins-key")
    assert refusal.value.code == "ceremony-open"
    assert len(bins_key_uris(founded)) == 1, "no key is made for a ceremony that is not begun"


def test_copy_of_another_ceremony_is_not_taken_in(founded: Config, run: Run) -> None:
    run("ceremony", "begin", "--renew", "--out", "one.json")
    run("ceremony", "abandon")
    run("ceremony", "begin", "--threshold", "1", "--renew", "--role", "root", "--out", "two.json")
    kept = open_path(founded).read_bytes()
    with pytest.raises(Untrusted) as refusal:
        run("ceremony", "import", "one.json")
    assert refusal.value.code == "ceremony-other"
    assert open_path(founded).read_bytes() == kept


@pytest.mark.parametrize("typed", ["0" * 16, "12", ""])
def test_wrong_fingerprint_signs_nothing(founded: Config, run: Run, typed: str) -> None:
    run("ceremony", "begin", "--renew", "--out", "c.json")
    before = Path("c.json").read_bytes()
    with pytest.raises(Untrusted, match="nothing was signed") as refusal:
        quick_signed(run, founded, "c.json", typed)
    assert refusal.value.code == "ceremony-fingerprint"
    assert Path("c.json").read_bytes() == before


def test_script_without_a_fingerprint_is_refused_and_not_asked(founded: Config, run: Run) -> None:
    run("ceremony", "begin", "--renew", "--out", "c.json")
    with pytest.raises(Refused) as refusal:
        run("sign", "c.json", "--key", "pkcs8:any.pem", "--passphrase-from", "file:words")
    assert refusal.value.code == "ceremony-fingerprint"


def test_holder_with_a_root_of_their_own_is_shown_no_other_past(founded: Config, run: Run) -> None:
    begun = run("ceremony", "begin", "--renew", "--out", "c.json")
    Path("mine.json").write_bytes(b"another root")
    folder = founded.offline_folder
    key = ("--key", f"pkcs8:{folder / 'root.pem'}", "--passphrase-from", f"file:{folder / 'passphrase'}")
    with pytest.raises(Untrusted) as refusal:
        run("sign", "c.json", *key, "--fingerprint", begun["fingerprint"], "--root", "mine.json")
    assert refusal.value.code == "ceremony-root"
    Path("mine.json").write_bytes(current_store().read_all("tuf/1.root.json", max_bytes=100_000))
    assert run("sign", "c.json", *key, "--fingerprint", begun["fingerprint"], "--root", "mine.json")["ready"]


def test_holder_who_left_root_leaves_the_rest_without_being_asked_for_roles(config: Config, run: Run) -> None:
    begun = run("ceremony", "begin", *three_keys(run), "--threshold", "1", "--out", "c.json")
    ann = json.loads(Path("ann.pem.pub").read_bytes())["keyid"]
    for change in (["--remove", ann[:8], "--role", "root"], ["--remove", ann[:8]], []):
        signed(run, "c.json", begun["fingerprint"], "bo")
        run("ceremony", "import", "c.json")
        run("ceremony", "finish")
        config.database_file.touch()
        if change:
            begun = run("ceremony", "begin", *change, "--out", "c.json")
    roles = run("status", "--without-keys")["roles"]
    assert [len(roles[role]["keyids"]) for role in ("root", "targets", "bins")] == [2, 2, 2]
    assert all(ann not in roles[role]["keyids"] for role in ("root", "targets", "bins"))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), "ceremony-empty"),
        (("--bins", "300"), "bit-length"),
        (("--bins", "512"), "rebin-keys"),
        (("--remove", "ffff"), "holder-unknown"),
        (("--add", "nowhere.pub"), "public-key-file"),
        (("--add", "words"), "public-key-file"),
        (("--threshold", "2"), "role-threshold"),
        (("--bins-key", "pkcs8:elsewhere.pem"), "online-key-setting"),
    ],
)
def test_change_that_cannot_be_made_is_refused_and_leaves_no_ceremony(
    founded: Config, run: Run, options: tuple[str, ...], code: str
) -> None:
    with pytest.raises(Refused) as refusal:
        run("ceremony", "begin", *options)
    assert refusal.value.code == code
    assert not open_path(founded).exists()


def test_rehearsal_reads_the_real_index_and_writes_nothing(founded: Config, run: Run) -> None:
    before = sorted(founded.data.rglob("*"))
    seen = "\n".join(run("ceremony", "rehearse")["seen"])
    assert "a renewal of this index would be" in seen
    assert seen.count("refused: a copy that was changed on its way") == 2
    assert sorted(founded.data.rglob("*")) == before
    assert not OfflineChange.objects.exists()


def test_public_half_of_a_key_is_handed_out_again(run: Run) -> None:
    made = run("key", "new", "ann.pem", "--algorithm", "ecdsa-p256", "--passphrase-from", "file:words")
    again = run("key", "public", "pkcs8:ann.pem", "--passphrase-from", "file:words", "--out", "again.pub")
    assert again["keyid"] == made["keyid"]
    assert Path("again.pub").read_bytes() == Path("ann.pem.pub").read_bytes()
    with pytest.raises(Refused) as refusal:
        run("key", "new", "ann.pem", "--passphrase-from", "file:words")
    assert refusal.value.code == "key-exists"


@pytest.mark.parametrize("words", [("key", "new", "k.pem"), ("sign", "c.json", "--key", "pkcs8:k.pem")])
def test_holders_commands_need_neither_django_nor_a_data_folder(founded: Config, run: Run, words: Any) -> None:
    begun = run("ceremony", "begin", "--renew", "--out", "c.json")
    run("key", "new", "k.pem", "--passphrase-from", "file:words")
    words = (*words[:2], "other.pem") if words[0] == "key" else (*words, "--fingerprint", begun["fingerprint"])
    script = (
        "import sys\nfrom wheelmark.cli import main\n"
        f"status = main({['trust', *words, '--passphrase-from', 'file:words']!r})\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'django'], 'Django was imported'\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    expected = 0 if words[0] == "key" else 1  # that key holds nothing: refused, without Django all the same
    assert done.returncode == expected, done.stderr
    assert "Traceback" not in done.stderr


def test_settings_may_name_several_keys_and_paths_with_spaces(tmp_path: Path) -> None:
    config = Config(data=tmp_path, bins_key="pkcs8:/my keys/bins.pem  hsm:2?label=index\npkcs8:/b.pem")
    assert bins_key_uris(config) == ("pkcs8:/my keys/bins.pem", "hsm:2?label=index", "pkcs8:/b.pem")
    assert timestamp_key_uris(config) == (f"pkcs8:{tmp_path / 'keys' / 'timestamp.pem'}",)


def test_key_that_does_not_open_is_in_nobodys_way(founded: Config) -> None:
    (founded.keys_folder / "bins-0.pem").write_text("not a key")
    named = named_keys(current_store())
    assert online_signers(founded, named).bins.public == named.bins
