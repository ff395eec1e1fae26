"""The benign corpus is gathered by name and hash, one project once, and nothing is built."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path

import pytest

from gather_corpus import main

LISTED = b"the listed file"


def _folder(root: Path, **files: bytes) -> Path:
    root.mkdir()
    for name, raw in files.items():
        (root / f"{name}-1.0-py3-none-any.whl").write_bytes(raw)
    return root


def _lists(root: Path) -> Path:
    root.mkdir()
    row = f"hard\tone-1.0-py3-none-any.whl\t{len(LISTED)}\t{hashlib.sha256(LISTED).hexdigest()}\n"
    (root / "dev-benign.tsv").write_text("# kind\tfilename\tbytes\tsha256\n" + row)
    return root


def _manifest(corpus: Path) -> list[list[str]]:
    lines = (corpus / "wide" / "manifest.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_a_listed_file_counts_only_with_its_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--lists", str(_lists(tmp_path / "lists")), "--corpus", str(tmp_path / "corpus")]
    target = tmp_path / "corpus" / "benign" / "hard" / "one-1.0-py3-none-any.whl"

    assert main([*arguments, "--files", str(_folder(tmp_path / "other", one=b"another file"))]) == 1
    assert "missing: one-1.0-py3-none-any.whl" in capsys.readouterr().err
    assert not target.exists()

    assert main([*arguments, "--files", str(_folder(tmp_path / "right", one=LISTED))]) == 0
    assert target.read_bytes() == LISTED


def test_a_project_is_taken_once_from_list_closure_and_mirror_in_this_order(tmp_path: Path) -> None:
    listed, corpus = _lists(tmp_path / "lists"), tmp_path / "corpus"
    closure = _folder(tmp_path / "closure", one=b"listed", two=b"closure")
    mirror = _folder(tmp_path / "mirror", one=b"listed", two=b"mirror", three=b"mirror")

    main(
        ["--lists", str(listed), "--corpus", str(corpus), "--closure", str(closure), "--mirror-files", str(mirror)]
    )  # fmt: skip

    assert [row[:2] for row in _manifest(corpus)] == [["closure", "two"], ["mirror", "three"]]
    assert [(corpus / row[4]).read_bytes() for row in _manifest(corpus)] == [b"closure", b"mirror"]
    assert [row[3] for row in _manifest(corpus)] == [hashlib.sha256(raw).hexdigest() for raw in (b"closure", b"mirror")]


def test_a_repository_becomes_an_sdist_without_running_it(tmp_path: Path) -> None:
    work, bare = tmp_path / "work", tmp_path / "bare" / "owner+small_tool" / "repo"
    ran = tmp_path / "ran"
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(work)]
    work.mkdir()
    (work / "setup.py").write_text(f"open({str(ran)!r}, 'w')\n")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)

    main(
        [
            *("--lists", str(_lists(tmp_path / "lists")), "--corpus", str(tmp_path / "corpus")),
            *("--repositories", str(tmp_path / "bare")),
        ]
    )

    [row] = _manifest(tmp_path / "corpus")
    assert row[:3] == ["repo", "small-tool", "small_tool-0.1.0.tar.gz"]
    with tarfile.open(tmp_path / "corpus" / row[4]) as tar:
        assert sorted(tar.getnames()) == ["small_tool-0.1.0/PKG-INFO", "small_tool-0.1.0/setup.py"]
    assert not ran.exists()
