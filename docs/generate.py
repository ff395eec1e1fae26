"""Writes the reference pages that follow from the code; `conf.py` calls it, so that they cannot go stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from wheelmark.cli import COMMANDS, usage
from wheelmark.dist.faults import RULES as FILE_RULES
from wheelmark.server.config import settings_table
from wheelmark.server.intake.faults import RULES as UPLOAD_RULES

HERE = Path(__file__).parent

DEEPER = {
    "trust": (
        ("key", "new"),
        ("key", "public"),
        ("sign",),
        ("ceremony",),
        ("ceremony", "begin"),
        ("rotate",),
    )
}
"""Subcommands whose options people look up."""


def write_all() -> None:
    """Write every generated page into `reference/`."""
    pages = {"command-line": command_line(), "settings": settings(), "upload-faults": upload_faults()}
    for name, text in pages.items():
        path = HERE / "reference" / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def command_line() -> str:
    """The help text of every command."""
    parts = ["# Command line\n", f"```text\n{usage()}\n```\n"]
    for command in COMMANDS:
        parts.append(f"## wheelmark {command}\n\n```text\n{_help(command)}\n```\n")
        for words in DEEPER.get(command, ()):
            name = " ".join((command, *words))
            parts.append(f"### wheelmark {name}\n\n```text\n{_help(command, *words)}\n```\n")
    return "\n".join(parts)


def _help(*words: str) -> str:
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "wheelmark.cli", *words, "--help"],
        env=environment,
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout.rstrip()


def settings() -> str:
    """The table of settings."""
    rows = [f"| `{name}` | `{default or ' '}` | {_cell(text)} |" for name, default, text in settings_table()]
    return "\n".join(
        [
            "# Settings\n",
            "A setting is a variable, or a line in `wheelmark.toml` in the data folder (lower case, without the",
            "prefix). The variable wins. Sizes are bytes, durations seconds.\n",
            "| variable | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def upload_faults() -> str:
    """The table of rules that a distribution can break."""
    rows = [
        f"| `{rule.code}` | {_cell(rule.field)} | {_cell(rule.rule)} | {_cell(rule.source)} |"
        for rule in [*UPLOAD_RULES.values(), *FILE_RULES.values()]
    ]
    return "\n".join(
        [
            "# Upload faults\n",
            "Every rule that an upload can break: first those about the upload, then those about the file.",
            "All faults of one upload are reported at once, one a line: `field: expected X, got Y [code]`.",
            "Codes are stable.\n",
            "| code | field | rule | source |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    write_all()
