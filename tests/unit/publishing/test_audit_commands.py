"""`wheelmark trust audit` and `trust status`, in this process, on the test's own index; `tests/e2e/test_recover.py`
runs them, and `trust recover`, as an administrator would.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from support.publishing import FoundedIndex, found_index
from support.recovery import METADATA
from support.rows import a_file
from wheelmark.errors import Refused
from wheelmark.server import bootstrap
from wheelmark.server.commands import trust
from wheelmark.server.config import Config
from wheelmark.server.metrics import exposition
from wheelmark.server.publishing.keys import file_key, metadata_key
from wheelmark.server.publishing.models import Attempt, PublishedPage, RoleVersion
from wheelmark.server.publishing.signing_log import SigningLog
from wheelmark.server.stores import current_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def index(config: Config, monkeypatch: pytest.MonkeyPatch) -> FoundedIndex:
    """An index in the folder of the settings that has published a project, with the log on disk."""
    monkeypatch.setattr(bootstrap, "bootstrap_existing", lambda data: config)
    index = found_index(current_store(), now=timezone.now(), signing_log=SigningLog(config.signing_log_path))
    file = a_file("alpha", "1.0", metadata=METADATA)
    index.store.put(file_key(file.sha256), [file.filename.encode()], immutable=True)
    index.store.put(metadata_key(file.metadata_sha256), [METADATA], immutable=True)
    index.publisher().publish_due()
    return index


def test_audit_of_an_honest_index_says_that_everything_agrees(
    index: FoundedIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trust.main(["audit", "--files", "--since", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith("Everything agrees, also with 1.\n")
    assert printed.out.startswith("root 1, snapshot 2: ")
    assert printed.err == ""


def test_audit_names_each_fault_and_ends_with_1(index: FoundedIndex, capsys: pytest.CaptureFixture[str]) -> None:
    page = PublishedPage.objects.get()
    index.store.delete(f"pages/alpha/{page.sha256}.json")
    assert trust.main(["audit", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [(fault["code"], fault["field"]) for fault in report["faults"]] == [("page-missing", "alpha")]
    assert (report["snapshot"], report["pages"], report["fault_count"]) == (2, 1, 1)
    assert trust.main(["audit"]) == 1
    printed = capsys.readouterr()
    assert "! alpha: expected the page" in printed.err
    assert "1 faults." in printed.out


def test_audit_against_another_root_trusts_nothing(
    index: FoundedIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "root.json"
    other.write_bytes(b"{}")
    assert trust.main(["audit", "--root", str(other), "--json"]) == 1
    assert "unreadable" in {fault["code"] for fault in json.loads(capsys.readouterr().out)["faults"]}
    with pytest.raises(Refused):
        trust.main(["audit", "--root", str(tmp_path / "nothing")])


def test_log_of_another_machine_is_read_too(index: FoundedIndex, config: Config, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other.jsonl"
    config.signing_log_path.rename(elsewhere)
    assert trust.main(["audit"]) == 1
    assert trust.main(["audit", "--log", str(elsewhere)]) == 0
    with pytest.raises(Refused):
        trust.main(["audit", "--log", str(tmp_path / "nothing")])


def test_earlier_log_of_this_machine_accounts_for_what_it_logged(
    index: FoundedIndex, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = tmp_path / "earlier.jsonl"
    config.signing_log_path.rename(earlier)
    a_file("beta", "1.0")
    index.publisher().publish_due()
    capsys.readouterr()  # what the publisher said
    trust.main(["audit", "--json"])
    alone = json.loads(capsys.readouterr().out)["faults"]
    trust.main(["audit", "--json", "--log", str(earlier)])
    together = json.loads(capsys.readouterr().out)["faults"]
    assert "unlogged" in {fault["code"] for fault in alone}
    assert "unlogged" not in {fault["code"] for fault in together}
    with pytest.raises(SystemExit):
        trust.main(["audit", "--help"])
    assert "or an earlier log of this one" in " ".join(capsys.readouterr().out.split())


def test_help_of_recover_says_what_its_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trust.main(["recover", "--help"])
    assert "Ends with 1 if it names something for people to do" in " ".join(capsys.readouterr().out.split())


def test_status_shows_every_role_with_its_keys_and_says_that_nothing_is_to_be_done(
    index: FoundedIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trust.main(["status", "--without-keys", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert set(status["roles"]) == {"root", "targets", "bins", "snapshot", "timestamp"}
    assert status["roles"]["timestamp"]["keyids"] == [index.signers.publish.keyid]
    assert status["bins"]["keyids"] == [index.signers.bins.keyid]
    assert (status["roles"]["root"]["threshold"], status["bins"]["count"]) == (1, 8)
    assert [(one["code"], one["urgency"]) for one in status["advice"]] == [("root-alone", "note")]
    assert trust.main(["status", "--without-keys"]) == 0
    printed = capsys.readouterr().out
    assert index.signers.publish.keyid[:16] in printed
    assert "1. one key alone can replace all others" in printed


def test_status_says_first_what_is_most_urgent_and_ends_with_1(
    index: FoundedIndex, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    RoleVersion.objects.filter(role="root").update(expires_at=timezone.now() + timedelta(days=30))
    with config.signing_log_path.open("ab") as log:
        log.write(b"not a line of it\n")
    # The folder of the keys is empty: this machine cannot sign.
    assert trust.main(["status", "--json"]) == 1
    codes = [one["code"] for one in json.loads(capsys.readouterr().out)["advice"]]
    assert codes == ["cannot-sign", "signing-log", "expires-soon", "root-alone"]


def status_of(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Code and text of what `status` says, but for the root of one key that this index has."""
    ended = trust.main(["status", "--without-keys", "--json"])
    advice = json.loads(capsys.readouterr().out)["advice"]
    assert ended == (1 if any(one["urgency"] != "note" for one in advice) else 0)
    return {one["code"]: one["text"] for one in advice if one["code"] != "root-alone"}


@pytest.mark.parametrize("role", ["root", "targets", "bins"])
def test_status_names_a_signed_offline_file_that_the_store_has_lost(
    index: FoundedIndex, capsys: pytest.CaptureFixture[str], role: str
) -> None:
    assert status_of(capsys) == {}
    kept = index.store.read_all(f"tuf/1.{role}.json", max_bytes=1_000_000)
    index.store.delete(f"tuf/1.{role}.json")
    said = status_of(capsys)
    assert list(said) == ["offline-missing"]
    assert f"lost 1.{role}.json" in said["offline-missing"]
    index.store.put(f"tuf/1.{role}.json", [kept.replace(b'"version":1', b'"version":2')], immutable=True)
    assert "not what was signed" in status_of(capsys)["offline-missing"]


def test_status_names_an_old_root_that_is_lost_and_an_older_file_in_a_later_ones_place(
    index: FoundedIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    for role in ("root", "targets"):
        RoleVersion.objects.filter(role=role).update(version=2)
        old = index.store.read_all(f"tuf/1.{role}.json", max_bytes=1_000_000)
        index.store.put(f"tuf/2.{role}.json", [old], immutable=True)
    index.store.delete("tuf/1.root.json")
    text = status_of(capsys)["offline-missing"]
    assert "lost 1.root.json" in text
    assert "2.targets.json in the store says that it is version 1" in text


def test_status_says_that_the_signing_log_is_gone_or_cut_short(
    index: FoundedIndex, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = config.signing_log_path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for left in (lines[:-1], [*lines[:-1], lines[-1][:40]], [], lines[:1]):
        config.signing_log_path.write_bytes(b"".join(left))
        assert "no line for timestamp 2" in status_of(capsys)["signing-log"], len(left)
    config.signing_log_path.unlink()
    assert "there is no signing log" in status_of(capsys)["signing-log"]
    config.signing_log_path.write_bytes(whole + lines[-1][:40])
    assert status_of(capsys) == {}, "a torn line behind the timestamp in force was never of use"


def test_metrics_tell_versions_the_log_and_what_is_open(index: FoundedIndex, config: Config) -> None:
    def metric(name: str) -> dict[str, float]:
        families = {family.name: family for family in text_string_to_metric_families(exposition()[0].decode())}
        return {next(iter(sample.labels.values()), ""): sample.value for sample in families[name].samples}

    assert metric("wheelmark_role_version") == {"root": 1, "targets": 1, "bins": 1}
    assert set(metric("wheelmark_role_expiry_seconds")) >= {"root", "targets", "bins", "snapshot", "timestamp"}
    assert metric("wheelmark_ceremony_waiting") == {"": 0}
    assert metric("wheelmark_signing_log_whole") == {"": 1}
    assert metric("wheelmark_signing_log_bytes") == {"": config.signing_log_path.stat().st_size}
    assert 0 <= metric("wheelmark_signing_log_age_seconds")[""] < 600
    assert metric("wheelmark_publication_attempt_seconds") == {"": 0}
    Attempt.objects.create(started_at=timezone.now() - timedelta(hours=1), versions={})
    assert metric("wheelmark_publication_attempt_seconds")[""] > 3000
    lines = config.signing_log_path.read_bytes().splitlines(keepends=True)
    config.signing_log_path.write_bytes(b"".join([*lines[:-2], lines[-1]]))
    assert metric("wheelmark_signing_log_whole") == {"": 0}
