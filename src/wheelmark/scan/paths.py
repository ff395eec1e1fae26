"""Which paths the code writes, and with what: a file that is started, read or sent later is known by its path."""

from __future__ import annotations

from dataclasses import dataclass, field

from wheelmark.scan.values import GAP, NO_ORIGINS, Origin, Taint, Value

MIN_PATH = 3  # characters that are known of a path: shorter texts would match by chance
MIN_NAME = 6  # characters of a file's name without a suffix that is enough to know it by
MAX_PATHS = 500
MAX_SHOWN = 80
PROGRAM_SUFFIXES = (
    *(".py", ".pyw", ".sh", ".bat", ".cmd", ".vbs", ".vbe", ".ps1", ".hta", ".js", ".jar", ".lnk"),
    *(".exe", ".scr", ".com", ".msi", ".dll", ".elf", ".bin", ".so", ".app", ".appimage", ".pyz"),
)
MIN_STARTED = 3  # characters of the name of a program that is started from the folder where it lies
SCRIPT_SUFFIXES = (".py", ".pyw", ".sh", ".bat", ".cmd", ".vbs", ".ps1", ".hta")


@dataclass(slots=True)
class WrittenPaths:
    """The paths that were written, as the text that is known of them."""

    dropped: dict[str, Origin] = field(default_factory=dict)  # with what came from elsewhere
    contents: dict[str, frozenset[Origin]] = field(default_factory=dict)  # where what is in them comes from

    def drop(self, path: Value, origin: Origin) -> None:
        """Remember that a file came from the network, out of a decoder, or is a script of the code's own."""
        text = path.text.strip()
        if _known_part(text) >= MIN_PATH and len(self.dropped) < MAX_PATHS:
            self.dropped[text] = origin

    def origin_of(self, path: Value) -> Origin | None:
        """What was written to exactly this path."""
        return self.dropped.get(path.text.strip())

    def keep(self, path: Value, origins: frozenset[Origin]) -> None:
        """Remember where what is written to a path comes from."""
        text = path.text.strip()
        if origins and _known_part(text) >= MIN_PATH and len(self.contents) < MAX_PATHS:
            self.contents[text] = self.contents.get(text, NO_ORIGINS) | origins

    def contents_of(self, path: Value) -> frozenset[Origin]:
        """Where what was written to exactly this path comes from."""
        return self.contents.get(path.text.strip(), NO_ORIGINS)

    def marked(self, value: Value) -> Value:
        """The value, known to name a dropped file where its text does."""
        if not self.dropped:
            return value
        text = value.text
        if not text:
            return value
        for path, origin in self.dropped.items():
            if _names(text, path):
                what = f"{origin.what} -> {path[:MAX_SHOWN]}"
                return value.with_origins(frozenset([Origin(Taint.DROPPED, origin.line, what)]))
        return value


def _known_part(text: str) -> int:
    return len(text.replace(GAP, ""))


def _names(text: str, path: str) -> bool:
    """True when the text of a command or a path names a written file: in full, or by the name of the file alone."""
    if _holds(text, path):
        return True
    name = path.replace("\\", "/").rpartition("/")[2]
    if GAP in name or name == path:
        return False
    if len(name) >= MIN_STARTED and f"./{name}" in text:
        return True
    enough = name.lower().endswith(PROGRAM_SUFFIXES) if "." in name else len(name) >= MIN_NAME
    return enough and _holds(text, name)


def _holds(text: str, part: str) -> bool:
    """True when `part` stands in `text` and is no piece of a longer word."""
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        before, after = text[start - 1 : start], text[end : end + 1]
        if not (before.isalnum() and part[0].isalnum()) and not (after.isalnum() and part[-1].isalnum()):
            return True
        start = text.find(part, start + 1)
    return False
