"""`wheelmark trust log`, in this process: what a real publisher wrote is shown, and tampering is said."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from support.publishing import FoundedIndex, found_index
from support.rows import NOW, a_file
from wheelmark.server import bootstrap
from wheelmark.server.commands import trust
from wheelmark.server.config import Config
from wheelmark.server.publishing.signing_log import SigningLog

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def index(config: Config, monkeypatch: pytest.MonkeyPatch) -> FoundedIndex:
    """An index that has published twice, an hour apart."""
    monkeypatch.setattr(bootstrap, "bootstrap_existing", lambda data: config)
    index = found_index()
    index.signing_log = SigningLog(config.signing_log_path)
    a_file("alpha", "1.0")
    index.publisher().publish_due()
    index.now = NOW + timedelta(hours=1)
    a_file("beta", "1.0")
    index.publisher().publish_due()
    return index


def test_each_use_is_a_line_and_the_log_is_whole(index: FoundedIndex, capsys: pytest.CaptureFixture[str]) -> None:
    assert trust.main(["log"]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("snapshot ") == 2
    assert printed.out.count("timestamp ") == 2
    assert printed.out.count(index.signers.bins.keyid[:16]) == 2
    assert printed.out.endswith("6 lines, the log is whole.\n")
    assert printed.err == ""


def test_machines_get_an_object_a_line_and_a_summary(index: FoundedIndex, capsys: pytest.CaptureFixture[str]) -> None:
    assert trust.main(["log", "--json", "--since", (NOW + timedelta(minutes=1)).isoformat()]) == 0
    *lines, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert summary == {"lines": 6, "torn": False, "faults": []}
    assert [line["role"] for line in lines][1:] == ["snapshot", "timestamp"]
    assert {line["version"] for line in lines[1:]} == {3}
    assert all(line["serial_to"] > line["serial_from"] for line in lines)
    assert lines[-1]["keyid"] == index.signers.publish.keyid


@pytest.mark.parametrize("line", range(6))
def test_removed_line_is_said_wherever_it_stood(
    index: FoundedIndex, config: Config, capsys: pytest.CaptureFixture[str], line: int
) -> None:
    lines = config.signing_log_path.read_bytes().splitlines(keepends=True)
    del lines[line]
    config.signing_log_path.write_bytes(b"".join(lines))
    assert trust.main(["log", "--json"]) == 1
    [fault] = json.loads(capsys.readouterr().out.splitlines()[-1])["faults"]
    assert fault["code"] == ("signing-log-end" if line == 5 else "signing-log-broken")
    assert trust.main(["log"]) == 1
    printed = capsys.readouterr()
    assert "THE LOG IS NOT WHOLE" in printed.out
    assert "! " in printed.err


def test_torn_line_is_said_and_no_fault(
    index: FoundedIndex, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    with config.signing_log_path.open("ab") as file:
        file.write(b'{"at":"20')
    assert trust.main(["log"]) == 0
    assert "line 7 is torn" in capsys.readouterr().out


def test_copy_is_verified_without_an_index(
    index: FoundedIndex, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = config.signing_log_path.read_bytes().splitlines(keepends=True)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(b"".join(lines[:4]))
    assert trust.main(["log", "--file", str(copy)]) == 0
    copy.write_bytes(b"".join(lines[1:4]))
    assert trust.main(["log", "--file", str(copy)]) == 1
    assert trust.main(["log", "--file", str(tmp_path / "none")]) == 1
    assert "got no file" in capsys.readouterr().err


def test_time_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trust.main(["log", "--since", "yesterday"])
    assert "expected a time such as 2026-11-25T14:30, got 'yesterday'" in capsys.readouterr().err
