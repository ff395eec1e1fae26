"""The peer: an imitation of its command, what is made of its answers, and that nothing of a sample stays behind."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

import scan_guarddog
from scan_guarddog import GuardDog, PeerVerdict, peer_verdicts
from scan_samples import benign_samples, malicious_samples
from support.samples import filled

IMITATION = """#!{python}
import json, os, pathlib, sys
if "--version" in sys.argv:
    print("3.2.0")
    raise SystemExit
target = pathlib.Path(sys.argv[3])
lists = pathlib.Path(os.environ["GUARDDOG_TOP_PACKAGES_CACHE_LOCATION"])
with open({seen!r}, "a") as out:
    document = json.loads(next(lists.glob("top_pypi*.json")).read_text())
    out.write(json.dumps([str(target), document["downloaded_timestamp"], sorted(os.environ)]) + "\\n")
if target.name.startswith("calm"):
    sys.exit("Failed to unpack")
score = 8.2 if b"\\x1f\\x8b" == target.read_bytes()[:2] and target.name.startswith("aaaa") else 5.0
print(json.dumps({{"risk_score": {{"score": score}}, "errors": {{}}}}))
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment that seems to have GuardDog."""
    root = tmp_path / "environment"
    lists = root / "lib" / "python3.11" / "site-packages" / "guarddog" / "analyzer" / "metadata" / "resources"
    lists.mkdir(parents=True)
    (lists / "top_pypi_packages.json").write_text(json.dumps({"downloaded_timestamp": 1, "packages": ["widget"]}))
    command = root / "bin" / "guarddog"
    command.parent.mkdir()
    command.write_text(IMITATION.format(python=sys.executable, seen=str(tmp_path / "seen.jsonl")))
    command.chmod(0o755)
    return root


def seen(tmp_path: Path) -> list[list[object]]:
    return [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]


def test_scores_refusals_and_costs_are_those_of_the_command(environment: Path, tmp_path: Path) -> None:
    made = filled(tmp_path / "samples")
    samples = [*malicious_samples(made.malicious_list), *benign_samples(made.places, kinds=("ordinary",))]
    with GuardDog.installed(environment) as dog:
        assert dog.version == "3.2.0"
        found = {sample.group: verdict for sample, verdict in peer_verdicts(samples, dog, mirror=made.places.mirror)}
    assert (found["aaaa"].score, found["aaaa"].suspicious, found["aaaa"].high) == (8.2, True, True)
    assert (found["bbbb"].score, found["bbbb"].suspicious, found["bbbb"].high) == (5.0, True, False)
    assert (found["calm"].score, found["calm"].suspicious) == (None, False)
    assert found["calm"].refused == "no report, exit status 1"
    assert all(verdict.cpu_seconds >= 0 and verdict.peak_bytes > 2**20 for verdict in found.values())


def test_its_memory_is_its_own_and_not_that_of_the_benchmark(environment: Path, tmp_path: Path) -> None:
    ours = bytearray(os.urandom(2**20) * 200)
    with GuardDog.installed(environment) as dog:
        verdict = dog.scan(b"nothing to speak of", "calm-1.0.tar.gz")
    assert 2**20 < verdict.peak_bytes < len(ours) // 2


def test_one_that_hangs_is_ended_and_refused(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = environment / "bin" / "guarddog"
    with GuardDog.installed(environment) as dog:
        command.write_text("#!/bin/sh\nsleep 600 & wait\n")
        monkeypatch.setattr(scan_guarddog, "MAX_SECONDS", 0.5)
        verdict = dog.scan(b"nothing to speak of", "calm-1.0.tar.gz")
    assert verdict.score is None
    assert verdict.refused == "no report, exit status -9"


def test_what_was_scanned_is_gone_afterwards(environment: Path, tmp_path: Path) -> None:
    made = filled(tmp_path / "samples")
    with GuardDog.installed(environment) as dog:
        list(peer_verdicts(malicious_samples(made.malicious_list), dog, mirror=made.places.mirror))
    targets = [Path(str(target)) for target, *_ in seen(tmp_path)]
    assert len(targets) == 2
    assert not any(target.parent.exists() for target in targets)


def test_its_lists_are_frozen_and_it_gets_nothing_of_our_environment(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "not for others")
    made = filled(tmp_path / "samples")
    with GuardDog.installed(environment) as dog:
        list(peer_verdicts(malicious_samples(made.malicious_list)[:1], dog, mirror=made.places.mirror))
    ((_, timestamp, variables),) = seen(tmp_path)
    assert isinstance(timestamp, int)
    assert time.time() - timestamp < 3600
    assert isinstance(variables, list)
    assert "SOME_TOKEN" not in variables


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(environment: Path, tmp_path: Path) -> None:
    made = filled(tmp_path / "samples")
    samples = malicious_samples(made.malicious_list)
    kept = tmp_path / "kept.jsonl"
    with GuardDog.installed(environment) as dog:
        first = list(peer_verdicts(samples[:1], dog, mirror=made.places.mirror, kept=kept))
        with kept.open("a") as lines:
            lines.write('{"key": "torn')
        kept.write_text(kept.read_text() + "\n")
        both = list(peer_verdicts(samples, dog, mirror=made.places.mirror, kept=kept))
    assert both[0] == first[0]
    assert len(seen(tmp_path)) == 2
    assert "aaaa" not in kept.read_text()


def test_verdicts_of_another_version_are_not_reused(environment: Path, tmp_path: Path) -> None:
    made = filled(tmp_path / "samples")
    (sample,) = malicious_samples(made.malicious_list)[:1]
    kept = tmp_path / "kept.jsonl"
    old = {"key": sample.blob, "version": "3.1.0", "score": 0.0, "cpu_seconds": 1.0, "peak_bytes": 1, "refused": ""}
    kept.write_text(json.dumps(old) + "\n")
    with GuardDog.installed(environment) as dog:
        ((_, verdict),) = peer_verdicts([sample], dog, mirror=made.places.mirror, kept=kept)
    assert verdict.score == 8.2


def test_a_missing_peer_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected GuardDog in"), GuardDog.installed(tmp_path):
        pass


def test_the_recommended_threshold_counts_from_five() -> None:
    scores = [None, 4.9, 5.0, 6.9, 7.0]
    verdicts = [PeerVerdict(score=score, cpu_seconds=1.0, peak_bytes=1) for score in scores]
    assert [verdict.suspicious for verdict in verdicts] == [False, False, True, True, True]
    assert [verdict.high for verdict in verdicts] == [False, False, False, False, True]
