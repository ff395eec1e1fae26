"""Writes the reference pages that follow from the code; `conf.py` calls it, so that they cannot go stale."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from wheelmark.cli import COMMANDS, usage
from wheelmark.dist.faults import RULES as FILE_RULES
from wheelmark.scan import Sample
from wheelmark.scan.ruleset import builtin_rules
from wheelmark.scan.samples import content_bytes
from wheelmark.server.config import settings_table
from wheelmark.server.intake.faults import RULES as UPLOAD_RULES

HERE = Path(__file__).parent
MAX_LINE = 110  # characters of a sample's line

DEEPER = {
    "scan": (("rules",), ("new-rule",), ("test-rules",)),
    "trust": (
        ("key", "new"),
        ("key", "public"),
        ("sign",),
        ("ceremony",),
        ("ceremony", "begin"),
        ("rotate",),
    ),
}
"""Subcommands whose options people look up."""


def write_all() -> None:
    """Write every generated page into `reference/`."""
    pages = {
        "command-line": command_line(),
        "settings": settings(),
        "upload-faults": upload_faults(),
        "scanner-rules": scanner_rules(),
    }
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


def scanner_rules() -> str:
    """The built-in rules of the scanner, with what each must find and must leave alone."""
    rules = sorted(builtin_rules(), key=lambda rule: rule.id)
    parts = [
        "# Scanner rules\n",
        "The built-in rules: what each finds at most, and what it must find and must leave alone. The samples are",
        "harmless imitations, which the contract of rules scans. `wheelmark scan rules` lists also those of installed",
        "plug-ins and of folders.\n",
        "| rule | version | severity | tactic | state |",
        "|---|---|---|---|---|",
        *(
            f"| [`{rule.id}`](#{rule.id}) | {rule.version} | {rule.severity} | {rule.tactic} | {rule.state} |"
            for rule in rules
        ),
        "",
    ]
    for rule in rules:
        parts += [f"## {rule.id}\n", f"{rule.message} [Reference]({rule.reference}).\n"]
        if rule.kept_because:
            parts.append(f"{_linked(rule.kept_because)}\n")
        for title, samples in (("Found", rule.samples.malicious), ("Left alone", rule.samples.benign)):
            parts += [f"{title}:\n", *(_sample(sample) for sample in samples)]
    return "\n".join(parts)


def _sample(sample: Sample) -> str:
    """One sample as a block, shortened: the files one after the other."""
    texts = []
    for path, content in sample.files.items():
        lines = content_bytes(content).decode("utf-8", "replace").splitlines()
        texts += [f"# {path}", *(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in lines), ""]
    return "\n".join(["```text", *texts[:-1], "```\n"])


def _linked(text: str) -> str:
    """A text in which addresses are links."""
    return re.sub(r"https://[^\s()]+[^\s().,]", r"<\g<0>>", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    write_all()
