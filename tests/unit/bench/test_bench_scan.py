"""The protocol as a whole over imitations: it runs, saves page and values, and says when there are no samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bench_scan
import run
from scan_judging import SHIPPED, Judged, Opinion
from scan_models import TrainingMissing, models_for
from scan_samples import benign_samples
from support.samples import filled
from wheelmark.scan import Verdict


@pytest.fixture
def results_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Results go to a folder of the test."""
    monkeypatch.setattr(bench_scan, "HERE", tmp_path / "bench")
    return tmp_path / "bench" / "results" / "local"


@pytest.fixture
def no_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no samples."""
    for name in ("LISTS", "MIRROR", "CORPUS"):
        monkeypatch.delenv(f"WHEELMARK_SAMPLES_{name}", raising=False)


def named(folder: Path) -> list[str]:
    return ["--lists", str(folder / "lists"), "--mirror", str(folder / "mirror"), "--corpus", str(folder / "corpus")]


def test_the_whole_protocol_over_imitations(
    results_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = filled(tmp_path / "samples")
    options = [*named(made.folder), "--guarddog", "0"]
    monkeypatch.setattr("sys.argv", ["bench_scan.py", *options])
    assert bench_scan.main() == 0
    said = capsys.readouterr().out
    assert "`wheelmark scan` says the same" in said
    (page,), (values,) = results_folder.glob("*.md"), results_folder.glob("*.json")
    assert "| all families | 2 | 50.0 %" in page.read_text(encoding="utf-8")
    families = {each["family"]: each for each in json.loads(values.read_text(encoding="utf-8"))["families"]}
    assert families["aaaa"]["shipped"]["verdict"] == "malicious"
    assert families["bbbb"]["able"] is False


def test_another_list_is_judged_by_the_shipped_model_alone(results_folder: Path, tmp_path: Path) -> None:
    made = filled(tmp_path / "samples")
    other = tmp_path / "other.tsv"
    other.write_text(made.malicious_list.read_text().replace("bbbb\tyes", "bbbb\tno"))
    options = [
        *named(made.folder),
        "--guarddog",
        "0",
        "--list",
        str(other),
        "--keep",
        str(tmp_path / "keep"),
        "--kinds",
    ]
    found = bench_scan.run(bench_scan._parser().parse_args(options))
    (recall,) = [figure for figure in found if figure.name.startswith("recall, malicious")]
    assert recall.value.endswith("(1 of 1)")
    assert recall.holds is True
    assert not any("ordinary" in figure.name for figure in found)
    assert not (tmp_path / "keep").exists()


@pytest.mark.usefixtures("no_samples")
def test_without_samples_the_command_says_what_to_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench_scan.py"])
    assert bench_scan.main() == 2
    assert "expected --lists or WHEELMARK_SAMPLES_LISTS, got neither" in capsys.readouterr().err


@pytest.mark.usefixtures("no_samples")
def test_without_samples_the_runner_has_a_line_and_no_figure() -> None:
    (figure,) = bench_scan.figures(quick=True)
    assert figure.name.startswith("NOT MEASURED, no samples here")
    assert figure.holds is None


def test_the_runner_knows_the_benchmark() -> None:
    assert run.BENCHMARKS["scan"] == "bench_scan:figures"


def test_without_a_training_environment_no_model_is_made_up(tmp_path: Path) -> None:
    made = filled(tmp_path / "samples")
    with pytest.raises(TrainingMissing, match=r"expected without-0\.json or an interpreter"):
        models_for(made.places, tmp_path / "keep", trainer=tmp_path / "no-python")


def test_trained_models_are_found_again_until_the_samples_change(tmp_path: Path) -> None:
    made = filled(tmp_path / "samples")
    trainer = tmp_path / "python"
    trainer.write_text('#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" = --output ] && echo "$@" > "$2"; shift; done\n')
    trainer.chmod(0o755)
    models = models_for(made.places, tmp_path / "keep", trainer=trainer)
    assert models.earlier is not None
    assert "--until-year 2023" in models.earlier.read_text()
    assert "--without-fold 3" in models.unseen[3].read_text()
    assert models == models_for(made.places, tmp_path / "keep", trainer=tmp_path / "no-python")
    made.add_benign("wide", "more-1.tar.gz", b"more", project="more")
    with pytest.raises(TrainingMissing):
        models_for(made.places, tmp_path / "keep", trainer=tmp_path / "no-python")


def test_a_command_that_says_otherwise_is_a_miss(tmp_path: Path) -> None:
    made = filled(tmp_path / "samples")
    (sample,) = benign_samples(made.places, kinds=("hard",))
    said = Judged(sample=sample, opinions={SHIPPED: Opinion(Verdict.SUSPICIOUS, 0.6)})
    ((figure,), _) = bench_scan._as_command([said])
    assert (figure.value, figure.holds) == ("0 of 1", False)
