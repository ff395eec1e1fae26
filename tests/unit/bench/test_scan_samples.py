"""Lists, mirror and corpus: what is named is read, and nothing else passes for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scan_samples import (
    FOLDS,
    GitBlobs,
    Places,
    Sample,
    SamplesMissing,
    benign_samples,
    drawn,
    fold_of,
    malicious_samples,
    open_samples,
    project_of,
)
from support.samples import SamplePlaces, filled
from support.scan import an_sdist


def test_every_sample_opens_with_the_bytes_that_were_listed(tmp_path: Path) -> None:
    made = filled(tmp_path)
    samples = [*malicious_samples(made.malicious_list), *benign_samples(made.places)]
    opened = [
        (sample.kind, sample.group, stream.read()[:2]) for sample, stream in open_samples(samples, made.places.mirror)
    ]
    assert opened == [
        ("malicious", "aaaa", b"\x1f\x8b"),
        ("malicious", "bbbb", b"\x1f\x8b"),
        ("hard", "agent-tool", b"\x1f\x8b"),
        ("ordinary", "calm", b"\x1f\x8b"),
        ("micro", "calm", b"\x1f\x8b"),
        ("wide", "small", b"\x1f\x8b"),
    ]


def test_one_archive_of_a_family_counts_unless_all_are_asked_for(tmp_path: Path) -> None:
    made = filled(tmp_path)
    made.add_family("aaaa", an_sdist({"setup.py": "1\n"}), year=2024, representative=False)
    assert [sample.year for sample in malicious_samples(made.malicious_list)] == [2023, 2025]
    assert len(malicious_samples(made.malicious_list, representatives_only=False)) == 3


def test_malicious_samples_have_no_path_on_disk(tmp_path: Path) -> None:
    made = filled(tmp_path)
    assert all(sample.path is None and sample.blob for sample in malicious_samples(made.malicious_list))


def test_a_file_of_the_list_that_is_not_in_the_corpus_is_named(tmp_path: Path) -> None:
    made = filled(tmp_path)
    (made.folder / "corpus" / "benign" / "hard" / "Agent_Tool-2.0.tar.gz").unlink()
    with pytest.raises(SamplesMissing, match=r"1 are missing: \['Agent_Tool-2.0.tar.gz'\]"):
        benign_samples(made.places)


def test_a_file_with_other_bytes_than_the_list_says_is_refused(tmp_path: Path) -> None:
    made = filled(tmp_path)
    path = made.folder / "corpus" / "benign" / "hard" / "Agent_Tool-2.0.tar.gz"
    path.write_bytes(b"something else")
    with pytest.raises(SamplesMissing, match=r"expected Agent_Tool-2\.0\.tar\.gz with the sha256"):
        list(open_samples(benign_samples(made.places, kinds=("hard",)), made.places.mirror))


@pytest.mark.parametrize("blob", ["0" * 40, "--help", "HEAD", ""])
def test_only_blobs_of_the_mirror_are_read(tmp_path: Path, blob: str) -> None:
    made = filled(tmp_path)
    with GitBlobs(made.places.mirror) as blobs, pytest.raises(SamplesMissing):
        blobs.read(blob)


def test_the_reader_goes_on_after_a_blob_that_was_missing(tmp_path: Path) -> None:
    made = SamplePlaces(tmp_path)
    raw = an_sdist({"setup.py": "1\n"})
    blob = made.add_family("aaaa", raw)
    with GitBlobs(made.places.mirror) as blobs:
        with pytest.raises(SamplesMissing):
            blobs.read("0" * 40)
        assert blobs.read(blob) == raw


def test_a_list_with_another_number_of_columns_is_refused(tmp_path: Path) -> None:
    made = filled(tmp_path)
    made.malicious_list.write_text("aaaa\tyes\n")
    with pytest.raises(SamplesMissing, match=r"expected 5 columns in .*:1, got 2"):
        malicious_samples(made.malicious_list)


def test_places_that_nobody_names_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("WHEELMARK_SAMPLES_LISTS", "WHEELMARK_SAMPLES_MIRROR", "WHEELMARK_SAMPLES_CORPUS"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SamplesMissing, match="expected --lists or WHEELMARK_SAMPLES_LISTS, got neither"):
        Places.named()
    monkeypatch.setenv("WHEELMARK_SAMPLES_LISTS", str(tmp_path / "nowhere"))
    with pytest.raises(SamplesMissing, match="expected a folder as --lists"):
        Places.named()
    assert Places.named(lists=str(tmp_path), mirror=str(tmp_path), corpus=str(tmp_path)).corpus == tmp_path


def a_sample(number: int) -> Sample:
    return Sample(kind="wide", source="repo", group=f"project-{number}", filename=f"project_{number}-1.tar.gz")


def test_drawn_samples_are_the_same_each_time_keep_their_order_and_grow_by_addition() -> None:
    samples = [a_sample(number) for number in range(50)]
    few, more = drawn(samples, 5), drawn(samples, 12)
    assert few == drawn(samples, 5)
    assert len(few) == 5
    assert set(few) < set(more)
    assert more == sorted(more, key=samples.index)
    assert drawn(samples, None) == samples


def test_a_draw_is_not_simply_the_beginning() -> None:
    samples = [a_sample(number) for number in range(50)]
    assert drawn(samples, 5) != samples[:5]


def test_folds_depend_on_the_group_alone_and_all_are_used() -> None:
    assert {fold_of(f"group-{number}") for number in range(100)} == set(range(FOLDS))
    assert a_sample(7).fold == fold_of("project-7")


@pytest.mark.parametrize(
    ("filename", "project"),
    [
        ("PyAutoGUI-0.9.54.tar.gz", "pyautogui"),
        ("python-magic-0.4.27.tar.gz", "python-magic"),
        ("zope.interface-7.2-cp311-cp311-win32.whl", "zope-interface"),
        ("pyarmor-9.2.8-2-py3-none-any.whl", "pyarmor"),
    ],
)
def test_projects_are_normalized_file_names(filename: str, project: str) -> None:
    assert project_of(filename) == project
