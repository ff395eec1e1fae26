"""Files that code loads, opens or looks for modules in: which ones, and when. Nothing is loaded here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from wheelmark.scan.calls import CallReader
from wheelmark.scan.facts import Act
from wheelmark.scan.report import Context
from wheelmark.scan.scopes import Harvest, Site
from wheelmark.scan.values import Value
from wheelmark.scan.written_files import file_origins

MAX_NAMED = 8  # files that one command or path is taken to name
MIN_NAME = 4  # characters of a file's name that is not there by chance
MAX_COMMAND = 2000  # characters of one command that are looked at for names
MAX_LOADS = 2000  # of one member
MAX_ALIKE = 64  # files of one name, or of one suffix
_NAME = re.compile(r"[^\s\"'`/\\=;:|&()<>,\[\]{}\N{HORIZONTAL ELLIPSIS}]{4,120}")
_PATH = re.compile(r"[\w.@-]{1,80}(?:/[\w.@-]{1,80}){1,12}")
_ANY_OF = re.compile(r"\*(\.[\w.]{2,12})")
_STARTS = (Act.START_PROCESS, Act.INSTALL)


def _loads(position: int, keyword: str) -> Callable[[CallReader, Site], Value | None]:
    def note(reader: CallReader, site: Site) -> Value | None:
        reader.harvest.note_load(site.argument(position, keyword).text, site.frame.context)
        return None

    return note


def _opens(reader: CallReader, site: Site) -> Value | None:
    """`gzip.open` and its like: a file whose bytes are decompressed as they are read."""
    mode = site.argument(1, "mode").constant
    if isinstance(mode, str) and mode[:1] in {"w", "a", "x"}:
        return None
    reader.record("open", Act.READ, site)
    file = site.argument(0, "filename")
    origins = file_origins(file, site.line) | reader.harvest.paths.contents_of(file)
    return Value(name="open()", partial=file.text, origins=origins)


def _archive(reader: CallReader, site: Site) -> Value | None:
    """`zipfile.ZipFile(path)`, opened to be read."""
    mode = site.argument(1, "mode").constant
    if not (isinstance(mode, str) and mode[:1] in {"w", "a", "x"}):
        reader.harvest.note_load(site.argument(0, "file").text, site.frame.context)
    return None


def _member_of_archive(reader: CallReader, site: Site) -> Value | None:
    """`archive.read("payload.txt")`."""
    archive, name = site.receiver.text, site.argument(0, "name").text
    if not archive or not name:
        return None
    file = Value(f"{archive}!/{name}")
    return Value(name="open()", partial=file.text, origins=file_origins(file, site.line) | site.receiver.origins)


LOADERS: Mapping[str, Callable[[CallReader, Site], Value | None]] = {
    "runpy.run_path": _loads(0, "path_name"),
    "execfile": _loads(0, "filename"),
    "imp.load_source": _loads(1, "pathname"),
    "imp.load_compiled": _loads(1, "pathname"),
    "importlib.machinery.SourceFileLoader": _loads(1, "path"),
    "importlib.machinery.SourcelessFileLoader": _loads(1, "path"),
    "importlib.machinery.ExtensionFileLoader": _loads(1, "path"),
    "importlib.util.spec_from_file_location": _loads(1, "location"),
    "zipimport.zipimporter": _loads(0, "archivepath"),
    "shutil.unpack_archive": _loads(0, "filename"),
    "sys.path.insert": _loads(1, ""),
    "sys.path.append": _loads(0, ""),
    "site.addsitedir": _loads(0, "sitedir"),
    "zipfile.ZipFile": _archive,
    "tarfile.open": _archive,
    "zipfile.ZipFile().read": _member_of_archive,
    "zipfile.ZipFile().open": _member_of_archive,
    "tarfile.open().extractfile": _member_of_archive,
    "gzip.open": _opens,
    "gzip.GzipFile": _opens,
    "bz2.open": _opens,
    "bz2.BZ2File": _opens,
    "lzma.open": _opens,
    "lzma.LZMAFile": _opens,
}


def loads_of(harvest: Harvest) -> Iterator[tuple[str, Context]]:
    """The texts that name what a member loads, starts or installs, and when."""
    yield from islice(harvest.loads.items(), MAX_LOADS)
    for call in islice(harvest.calls.values(), MAX_LOADS):
        if call.act in _STARTS and call.context is not Context.UNREACHED:
            yield call.text[:MAX_COMMAND], call.context


class NamedFiles:
    """Files of a distribution by the last part of their paths."""

    def __init__(self, paths: Iterable[str], root: str) -> None:
        self._root = root
        self._paths: set[str] = set()
        self._by_name: dict[str, list[str]] = {}
        self._by_suffix: dict[str, list[str]] = {}
        for path in sorted(paths):
            self.add(path)

    def add(self, path: str) -> None:
        """One more."""
        self._paths.add(path)
        name = path.rpartition("/")[2].lower()
        if len(name) < MIN_NAME:
            return
        for table, key in ((self._by_name, name), (self._by_suffix, name[name.rfind(".") :])):
            alike = table.setdefault(key, [])
            if len(alike) < MAX_ALIKE:
                alike.append(path)

    def named(self, text: str, near: str) -> list[str]:
        """The files that a command or a path names; those beside the member that names them come first.

        Folders are often computed, so that the name of the file decides; `*.whl` names all of that kind.
        """
        if not self._paths:
            return []
        folder = near.rpartition("/")[0]
        found: dict[str, None] = {}
        for written in _PATH.findall(text):
            inner = written.removeprefix("./")
            found.update((path, None) for path in (self._root + inner, f"{folder}/{inner}") if path in self._paths)
        for word in _NAME.findall(text):
            known = self._by_name.get(word.lower().lstrip("@"), ())
            for path in sorted(known, key=lambda path: not path.startswith(folder))[:MAX_NAMED]:
                found[path] = None
        for suffix in _ANY_OF.findall(text):
            found.update(dict.fromkeys(self._by_suffix.get(suffix.lower()[suffix.rfind(".") :], ())[:MAX_NAMED]))
        return [path for path in found if path != near][:MAX_NAMED]
