"""`wheelmark scan new-rule`: a commented rule file that works as it stands, to be changed into the rule one wants."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from wheelmark.errors import Refused
from wheelmark.scan.rule_folder import load_rule
from wheelmark.scan.ruleset import check_id


def main(argv: Sequence[str]) -> int:
    """Write the file and say what comes next; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="wheelmark scan new-rule",
        description="Write a commented scanner rule with samples, ready to be changed and tested.",
    )
    parser.add_argument("id", metavar="ID", help="what the rule is called for ever: words in lower case, with hyphens")
    parser.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="the folder (default: this one)")
    parser.add_argument("--yara", action="store_true", help="a pattern for bytes (YARA) instead of a Python rule")
    options = parser.parse_args(list(argv))
    path = write_rule(options.id, options.into, yara=options.yara)
    folder = shlex.quote(str(options.into))
    print(f"Wrote {path}. It works as it stands; change it, and then:")
    print(f"  wheelmark scan test-rules {folder}                  what it must find, and must leave alone")
    print(f"  wheelmark scan test-rules {folder} --against DIR    what it says of distributions that you trust")
    print(f"  wheelmark scan --rules {folder} FILE                use it")
    return 0


def write_rule(identifier: str, folder: Path, *, yara: bool) -> Path:
    """Write a new rule file into a folder, which is made when it is not there; gives its path.

    Raises: Refused when the id is none, or the file exists: nothing is overwritten.
    """
    try:
        check_id(identifier)
    except RuntimeError as error:
        raise Refused.because("rule-name", "ID", str(error)) from error
    name = identifier.replace("-", "_")
    path = folder / f"{name}{'.yar' if yara else '.py'}"
    template = files("wheelmark.scan") / "templates" / f"rule{path.suffix}.txt"
    text = template.read_text(encoding="utf-8").replace("@id@", identifier).replace("@identifier@", name)
    text = text.replace("@folder@", shlex.quote(str(folder)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Refused.because("rule-file", str(path), f"expected to write a new file, got: {error.strerror}") from error
    load_rule(path)
    return path
