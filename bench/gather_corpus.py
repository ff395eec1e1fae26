"""Gathers the benign corpus that `scan_samples.py` reads, from folders that are on this machine.

    python bench/gather_corpus.py --lists DIR --corpus DIR --files DIR [--files DIR ...]
                                  [--closure DIR] [--mirror-files DIR ...] [--repositories DIR]

- `--files`: folders with the files of `dev-benign.tsv`; each is taken by its exact name and sha256.
- `--closure`: a folder that `pip download --no-deps --only-binary :all: -r requirements-dev.lock -d DIR` filled.
- `--mirror-files`: folders of wheels of further projects, one file a project.
- `--repositories`: a folder of bare git directories; the newest commit of each is packed as an sdist. Nothing is built.

Nothing is looked up anywhere: what is missing is named, to be fetched with an ordinary client. A project that the
development list or the closure has is not taken again. Files from folders are linked to,
so these folders must stay where they are.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scan_samples import SamplesMissing, benign_rows, project_of

ENDINGS = (".whl", ".tar.gz", ".zip", ".tar.bz2")
MAX_FILE_BYTES = 64 * 1024 * 1024  # what is larger is native code for graphics cards, and a sample lies in memory
MAX_REPOSITORY_BYTES = 20 * 1024 * 1024
MAX_REPOSITORY_FILES = 2_000


@dataclass(frozen=True, slots=True)
class Wide:
    """One file of the wide corpus."""

    source: str
    project: str
    filename: str
    sha256: str
    path: str  # from the corpus' folder


def gather_benign(lists: Path, corpus: Path, folders: Sequence[Path]) -> tuple[list[str], set[str]]:
    """Link to what the development list names, by name and sha256; returns the missing file names and all projects.

    Raises: SamplesMissing when there is no such list.
    """
    known = _by_name(folders)
    missing, projects = [], set()
    for kind, filename, _, sha256 in benign_rows(lists):
        projects.add(project_of(filename))
        target = corpus / "benign" / kind / filename
        if target.is_file() and _sha256(target) == sha256:
            continue
        found = next((path for path in known.get(filename, ()) if _sha256(path) == sha256), None)
        if found is None:
            missing.append(filename)
        else:
            _placed(found, target)
    return missing, projects


def gather_folder(source: str, folders: Sequence[Path], corpus: Path, taken: set[str], *, many: bool) -> Iterator[Wide]:
    """The distributions of folders whose projects are not taken yet: all of a project, or one with `many` false.

    Files beyond `MAX_FILE_BYTES` are left out.

    Adds the projects to `taken`.
    """
    found: dict[str, list[Path]] = {}
    for filename, paths in sorted(_by_name(folders).items()):
        if paths[0].stat().st_size <= MAX_FILE_BYTES:
            found.setdefault(project_of(filename), []).append(paths[0])
    for project, files in sorted(found.items()):
        if project in taken:
            continue
        taken.add(project)
        for path in files if many else files[-1:]:
            target = corpus / "wide" / source / path.name
            _placed(path, target)
            yield Wide(source, project, path.name, _sha256(target), target.relative_to(corpus).as_posix())


def gather_repositories(folder: Path, corpus: Path, taken: set[str]) -> Iterator[Wide]:
    """The newest commit of each bare git directory below a folder, as an sdist. Too large ones are left out."""
    for git in sorted(path.parent for path in folder.rglob("HEAD") if (path.parent / "objects").is_dir()):
        # The folder is named owner+name, perhaps with something below it.
        owned = next((part for part in reversed(git.relative_to(folder).parts) if "+" in part), git.name)
        name = owned.rpartition("+")[2].removesuffix(".git").lower().replace("_", "-").replace(".", "-")
        packed = sdist_of(git, name)
        if name in taken or packed is None:
            continue
        taken.add(name)
        target = corpus / "wide" / "repo" / f"{name.replace('-', '_')}-0.1.0.tar.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(packed)
        yield Wide("repo", name, target.name, _sha256(target), target.relative_to(corpus).as_posix())


def sdist_of(git: Path, project: str) -> bytes | None:
    """The regular files of a repository's newest commit under `name-version/`, with a PKG-INFO. None: nothing fit."""
    command = ["git", "--git-dir", str(git), "archive", "--format=tar", "HEAD"]
    archived = subprocess.run(command, capture_output=True, check=False)
    if archived.returncode or len(archived.stdout) > MAX_REPOSITORY_BYTES:
        return None
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as tar:
        for info in tar:
            stream = tar.extractfile(info) if info.isfile() else None
            if stream is not None:
                files[info.name] = stream.read()
    if len(files) > MAX_REPOSITORY_FILES or not any(name.endswith(".py") for name in files):
        return None
    files.setdefault("PKG-INFO", f"Metadata-Version: 2.1\nName: {project}\nVersion: 0.1.0\n".encode())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, raw in sorted(files.items()):
            info = tarfile.TarInfo(f"{project.replace('-', '_')}-0.1.0/{name}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return gzip.compress(packed.getvalue(), mtime=0)


def write_manifest(found: Iterable[Wide], corpus: Path) -> int:
    """Write `wide/manifest.tsv`; returns how many files it names."""
    rows = ["# source\tproject\tfilename\tsha256\tpath"]
    rows += ["\t".join((one.source, one.project, one.filename, one.sha256, one.path)) for one in found]
    target = corpus / "wide" / "manifest.tsv"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1


def _by_name(folders: Sequence[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.name.endswith(ENDINGS) and path.is_file():
                found.setdefault(path.name, []).append(path)
    return found


def _placed(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(path.resolve())  # no hard link: what is written to the corpus must not reach the origin


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Gather, and say what is missing: exit code 1 then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=Path, required=True, metavar="DIR")
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--files", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--closure", type=Path, metavar="DIR")
    parser.add_argument("--mirror-files", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--repositories", type=Path, metavar="DIR")
    options = parser.parse_args(argv)
    try:
        missing, taken = gather_benign(options.lists, options.corpus, options.files)
    except SamplesMissing as fault:
        print(f"gather-corpus: {fault}", file=sys.stderr)
        return 2
    wide: list[Wide] = []
    if options.closure is not None:
        wide += gather_folder("closure", [options.closure], options.corpus, taken, many=True)
    wide += gather_folder("mirror", options.mirror_files, options.corpus, taken, many=False)
    if options.repositories is not None:
        wide += gather_repositories(options.repositories, options.corpus, taken)
    print(f"{write_manifest(wide, options.corpus)} wide distributions, {len(missing)} listed files missing")
    for filename in missing:
        print(f"missing: {filename}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
