"""The models that judge beside the shipped one: each trained without what it judges.

A model knows the samples that it was trained with, so the shipped one's figures on the development list flatter it.
What counts is what a model says of families and projects that it never saw (one model a fold), and of samples later
than all it knows. `bench/train_scan.py` trains them by the whole procedure of the shipped one, thresholds and the list
of imprecise rules included; they are kept in a folder outside the project, under a digest of all they depend on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from scan_judging import Models
from scan_samples import CORPUS, FOLDS, LISTS, MIRROR, Places
from scan_vectors import code_version

HERE = Path(__file__).resolve().parent
TRAINERS = HERE.parent / ".venv-train"  # the environment of `make train`
UNTIL_YEAR = 2023
_TRAINING = ("train_scan.py", "scan_learning.py", "scan_vectors.py", "scan_samples.py")


class TrainingMissing(Exception):
    """Models are missing and cannot be trained here. The message says what to do."""


def models_for(places: Places, keep: Path, *, trainer: Path | None, earlier_alarms: bool = False) -> Models:
    """The models of each fold and of the earlier time, trained if they are not there yet.

    `earlier_alarms` asks for models of the earlier time without each fold, too: what false alarms that time had.

    Raises: TrainingMissing when one must be trained and there is no interpreter with the training's libraries.
    """
    folder = keep / "models" / _digest(places)
    folder.mkdir(parents=True, exist_ok=True)
    until = ["--until-year", str(UNTIL_YEAR)]
    unseen, earlier_unseen = {}, {}
    for fold in range(FOLDS):
        without = ["--without-fold", str(fold)]
        unseen[fold] = _trained(folder / f"without-{fold}.json", without, places, keep, trainer)
        if earlier_alarms:
            path = folder / f"until-{UNTIL_YEAR}-without-{fold}.json"
            earlier_unseen[fold] = _trained(path, [*until, *without], places, keep, trainer)
    earlier = _trained(folder / f"until-{UNTIL_YEAR}.json", until, places, keep, trainer)
    return Models(unseen=unseen, earlier=earlier, earlier_unseen=earlier_unseen)


def _trained(path: Path, options: list[str], places: Places, keep: Path, trainer: Path | None) -> Path:
    if path.is_file():
        return path
    interpreter = trainer or TRAINERS / "bin" / "python"
    if not interpreter.is_file():
        raise TrainingMissing(
            f"expected {path.name} or an interpreter to train it with (--trainer, or `make train` once), got neither"
        )
    print(f"  training {path.stem}", file=sys.stderr, flush=True)
    named = {LISTS: str(places.lists), MIRROR: str(places.mirror), CORPUS: str(places.corpus)}
    making = path.with_suffix(".part")
    command = [
        str(interpreter),
        str(HERE / "train_scan.py"),
        "--cache",
        str(keep / "features"),
        "--output",
        str(making),
    ]
    found = {"PYTHONPATH": str(HERE.parent / "src")}  # as `make train`: the training's environment has only libraries
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, env={**os.environ, **named, **found})
    making.rename(path)
    return path


def _digest(places: Places) -> str:
    """What the models depend on: the scanner and its rules, the training, and the samples."""
    digest = hashlib.sha256(code_version().encode())
    for name in _TRAINING:
        digest.update((HERE / name).read_bytes())
    for listed in (
        places.lists / "dev-malicious.tsv",
        places.lists / "dev-benign.tsv",
        places.corpus / "wide" / "manifest.tsv",
        places.corpus / "micro" / "manifest.tsv",
    ):
        digest.update(listed.read_bytes())
    return digest.hexdigest()[:16]
