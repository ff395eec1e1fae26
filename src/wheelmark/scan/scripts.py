"""Programs in other languages than Python: which language a file is in, and the commands that it gives to a system.

They are read by patterns, as far as such files are commonly written; nothing of them is run, no language is understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum

MAX_SCRIPT = 256 * 1024  # bytes
MAX_COMMANDS = 500  # of one script
MAX_COMMAND = 4000  # characters
MAX_CELLS = 2000


class Language(StrEnum):
    """What a script is written in."""

    SHELL = "shell"
    POWERSHELL = "PowerShell"
    BATCH = "batch"
    JAVASCRIPT = "JavaScript"
    VBSCRIPT = "VBScript"
    PACKAGE_JSON = "package.json"
    MESON = "Meson"
    CMAKE = "CMake"


_BY_SUFFIX = {
    **dict.fromkeys((".sh", ".bash", ".zsh", ".ksh", ".command", ".fish"), Language.SHELL),
    **dict.fromkeys((".ps1", ".psm1"), Language.POWERSHELL),
    **dict.fromkeys((".bat", ".cmd"), Language.BATCH),
    **dict.fromkeys((".js", ".mjs", ".cjs"), Language.JAVASCRIPT),
    **dict.fromkeys((".vbs", ".wsf", ".hta"), Language.VBSCRIPT),
    ".cmake": Language.CMAKE,
}
_BY_NAME = {
    "package.json": Language.PACKAGE_JSON,
    "meson.build": Language.MESON,
    "cmakelists.txt": Language.CMAKE,
}
_SHEBANG = re.compile(rb"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-\S+[ \t]+)*)?(?:\S*/)?([\w.+-]+)")
_INTERPRETERS = (
    (re.compile(rb"(ba|z|da|k|a|c|tc)?sh$"), Language.SHELL),
    (re.compile(rb"(pwsh|powershell)"), Language.POWERSHELL),
    (re.compile(rb"(node|nodejs|deno|bun)$"), Language.JAVASCRIPT),
)
_PYTHON = re.compile(rb"(python|pypy)[\d.]*w?$")
_COMMENT = {Language.SHELL: ("#",), Language.POWERSHELL: ("#",), Language.BATCH: ("rem ", "::", "@rem ")}
_CONTINUED = {Language.SHELL: "\\", Language.POWERSHELL: "`", Language.BATCH: "^"}
_NPM_HOOKS = ("preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare", "prepublish")
_NPM = re.compile(
    r"(?i)(?<![\w/.-])(npm|pnpm|yarn|bun)(\.cmd)?\b[^|;&]{0,200}\b(install|ci|i|add)\b"
    r"|(?<![\w/.-])yarn(\s+(True|False|-[\w=-]{1,40})){0,6}\s*$"
)
_CALLS = {
    Language.JAVASCRIPT: re.compile(
        r"\b(?:exec|execSync|execFile|execFileSync|spawn|spawnSync)\s*\(\s*(['\"`])(.{1,1000}?)\1\s*(?:,\s*\[([^\]]{0,1000})\])?"
    ),
    Language.VBSCRIPT: re.compile(
        r"(?i)\.\s*(?:run|exec|shellexecute)\b\s*\(?\s*(\")((?:[^\"\n]|\"\"){1,4000})\"(.{0,200})"
    ),
    Language.MESON: re.compile(r"\b(run_command)\s*\(([^)]{1,4000})\)()"),
    Language.CMAKE: re.compile(
        r"(?i)\b(execute_process|add_custom_command|add_custom_target)\s*\([^)]{0,2000}?\bCOMMAND\s+([^)]{1,4000})\)()"
    ),
}
_QUOTING = re.compile(r"['\",\[\]`]")
# What a command has to say for rules to look at it: a build has thousands of others.
_TELLING = re.compile(
    r"(?i)\b(curl|wget|iwr|invoke-webrequest|invoke-restmethod|irm|downloadstring|downloadfile|start-bitstransfer|"
    r"bitsadmin|certutil|mshta|rundll32|regsvr32|powershell|pwsh|iex|invoke-expression|frombase64string|ncat|socat|"
    r"crontab|launchctl|schtasks|webclient|xmlhttp)\b|/dev/(tcp|udp)/|\bnc\b.{0,200}\s-\w{0,8}[ec]\b|\bbase64\b.{0,80}\s(-d|-D|--decode)\b|"
    r"systemctl\s+(--user\s+)?enable|\breg(\.exe)?\s+add\b|currentversion\\+run|>>\s*\S{0,200}\.(bashrc|zshrc|profile|bash_profile)|"
    r"\b(env|printenv)\s*\||\brm\s+-\w{0,6}r\w{0,6}\s+(--no-preserve-root\s+)?(/|~|\$HOME)(\s|$|\*)|\bpython[\d.]*\s.{0,80}-c\b|"
    r"authorized_keys|\.ssh/id_|\.aws/credentials"
)


def language_of(path: str, raw: bytes) -> Language | None:
    """The language of a script, by its name or by what its first line says; None for Python and for data."""
    name = path.rpartition("/")[2].lower()
    found = _BY_NAME.get(name) or _BY_SUFFIX.get(name[name.rfind(".") :] if "." in name else "")
    if found is not None:
        return found
    interpreter = _interpreter(raw)
    return next((language for pattern, language in _INTERPRETERS if pattern.match(interpreter)), None)


def is_python_script(raw: bytes) -> bool:
    """True when the first line names Python as what runs the file, whatever the file is called."""
    return _PYTHON.match(_interpreter(raw)) is not None


def runs_npm(command: str) -> bool:
    """True for a command that has a JavaScript package manager install, and so run the hooks of `package.json`."""
    return _NPM.search(command) is not None


def is_telling(command: str) -> bool:
    """True for a command that rules should look at."""
    return _TELLING.search(command) is not None


def commands_of(language: Language, raw: bytes) -> Iterator[tuple[int, str]]:
    """The commands that a script gives to a system, with their lines: at most `MAX_COMMANDS`, each once a line."""
    text = _decoded(raw[:MAX_SCRIPT])
    found: Iterator[tuple[int, str]]
    if language is Language.PACKAGE_JSON:
        found = _npm_hooks(text)
    elif language in _CONTINUED:
        found = _lines(language, text)
    else:
        found = _calls(language, text)
    for number, (line, command) in enumerate(found):
        if number >= MAX_COMMANDS * 20:
            return
        yield line, command[:MAX_COMMAND]


def notebook_source(raw: bytes) -> bytes | None:
    """The code cells of a Jupyter notebook as one Python source, shell magics as calls; None when it is none."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        return None
    found: list[str] = []
    for cell in cells[:MAX_CELLS]:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source")
            text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
            found.append(_cell(text))
    return "\n".join(["import os", *found]).encode("utf-8", "replace") if found else None


def _cell(text: str) -> str:
    lines = text.splitlines()
    first = lines[0].strip() if lines else ""
    if first.startswith("%%"):
        if re.match(r"%%(bash|sh|script|cmd|powershell|!)", first):
            return _system("\n".join(lines[1:]))
        if not re.match(r"%%(time|timeit|capture|prun)\b", first):
            return ""  # another language, or a file that is written
        lines = lines[1:]
    return "\n".join(_magic(line) for line in lines)


def _magic(line: str) -> str:
    stripped = line.lstrip()
    indent = line[: len(line) - len(stripped)]
    if stripped.startswith("!"):
        return indent + _system(stripped.lstrip("!"))
    if stripped.startswith("%"):
        words = stripped[1:].split(None, 1)
        if words[:1] and words[0] in {"sx", "system", "sc"} and len(words) > 1:
            return indent + _system(words[1])
        return indent + "pass"
    assigned = re.match(r"([\w, ]{1,80}=\s*)!(.*)", stripped)
    return line if assigned is None else f"{indent}{assigned[1]}{_system(assigned[2])}"


def _system(command: str) -> str:
    return f"os.system({command!r})"


def _interpreter(raw: bytes) -> bytes:
    match = _SHEBANG.match(raw[:200])
    return b"" if match is None else match[1]


def _decoded(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")  # what Windows writes
    return raw.decode("utf-8-sig", "replace")


def _lines(language: Language, text: str) -> Iterator[tuple[int, str]]:
    held, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not held:
            start = number
            if not stripped or stripped.lower().startswith(_COMMENT[language]):
                continue
        joined = f"{held}{stripped}"
        if stripped.endswith((_CONTINUED[language], "|", "&&")) and len(joined) < MAX_COMMAND:
            held = joined.removesuffix(_CONTINUED[language]) + " "
            continue
        held = ""
        yield start, joined
    if held:
        yield start, held


def _calls(language: Language, text: str) -> Iterator[tuple[int, str]]:
    line, position = 1, 0
    for match in _CALLS[language].finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        yield line, _QUOTING.sub(" ", f"{match[2]} {match[3] or ''}").strip()


def _npm_hooks(text: str) -> Iterator[tuple[int, str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    scripts = document.get("scripts") if isinstance(document, dict) else None
    if not isinstance(scripts, dict):
        return
    for hook in _NPM_HOOKS:
        command = scripts.get(hook)
        if isinstance(command, str):
            place = text.find(f'"{hook}"')
            yield text.count("\n", 0, max(place, 0)) + 1, command
