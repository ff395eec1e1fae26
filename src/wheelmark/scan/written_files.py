"""Files that code writes, copies, packs and unpacks: what is known of the one holds for the other."""

from __future__ import annotations

from wheelmark.scan.paths import SCRIPT_SUFFIXES, WrittenPaths
from wheelmark.scan.scopes import Site
from wheelmark.scan.taints import SECRET_PATH
from wheelmark.scan.values import Origin, Taint, Value

MAX_SHOWN = 80  # characters of a path that are kept with an origin
OWN_TEXT = "own text"  # what a dropped file holds when it is a script that stands in the code itself
WRITERS = frozenset(
    {
        "open().write",
        "pathlib.Path().write_text",
        "pathlib.Path().write_bytes",
        "pathlib.Path().open().write",
        "tempfile.NamedTemporaryFile().write",
        "os.fdopen().write",
        "aiofiles.open().write",
    }
)
_MOVERS = frozenset({"shutil.move", "shutil.copy", "shutil.copy2", "shutil.copyfile", "os.rename", "os.replace"})
_OWN_MOVERS = frozenset({"pathlib.Path().rename", "pathlib.Path().replace"})  # what is moved is the receiver
# What unpacks an archive: the position and keyword of the folder, when the archive is the receiver, or its own.
_UNPACKERS: dict[str, tuple[int, str]] = {
    "zipfile.ZipFile().extractall": (0, "path"),
    "zipfile.ZipFile().extract": (1, "path"),
    "tarfile.open().extractall": (0, "path"),
    "tarfile.open().extract": (1, "path"),
}
_PACKERS = frozenset({"zipfile.ZipFile().write", "tarfile.open().add"})
PACKING = frozenset({*_UNPACKERS, *_PACKERS, "shutil.make_archive"})


def note_written(paths: WrittenPaths, name: str, site: Site) -> None:
    """What a call that writes puts where."""
    content = site.argument(0, "data")
    if name in WRITERS:
        paths.keep(site.receiver, content.origins)
        origins = [each for each in sorted(content.origins) if each.taint in (Taint.NETWORK, Taint.DECODED)]
        if origins:
            paths.drop(site.receiver, origins[0])
        elif site.receiver.text.lower().endswith(SCRIPT_SUFFIXES) and paths.origin_of(site.receiver) is None:
            paths.drop(site.receiver, Origin(Taint.FILE, site.line, OWN_TEXT))
    elif name == "shutil.copyfileobj":
        paths.keep(site.argument(1, "fdst"), content.origins)
        if content.has(Taint.NETWORK):
            paths.drop(site.argument(1, "fdst"), Origin(Taint.NETWORK, site.line, name))
    elif name in _MOVERS or name in _OWN_MOVERS:
        target = site.argument(0, "target") if name in _OWN_MOVERS else site.argument(1, "dst")
        content = site.receiver if name in _OWN_MOVERS else content
        origin = paths.origin_of(content)
        if origin is not None:
            paths.drop(target, origin)
        paths.keep(target, paths.contents_of(content) | file_origins(content, site.line))


def note_packed(paths: WrittenPaths, name: str, site: Site) -> None:
    """Files put into an archive, and archives taken apart: what is known of the one holds for the other."""
    if name in _PACKERS:
        packed = site.argument(0, "filename")
        paths.keep(site.receiver, paths.contents_of(packed) | file_origins(packed, site.line))
    elif name == "shutil.make_archive":
        base, kind = site.argument(0, "base_name"), site.argument(1, "format").text
        folder = site.argument(2, "root_dir")
        paths.keep(Value(f"{base.text}.{kind}"), file_origins(folder, site.line))
    else:
        folder = site.argument(*_UNPACKERS[name])
        for origin in paths.marked(site.receiver).origins:
            if origin.taint is Taint.DROPPED:
                paths.drop(folder, Origin(Taint.NETWORK, origin.line, origin.what))


def file_origins(path: Value, line: int) -> frozenset[Origin]:
    """What the contents of a file come from: the file, and a store of secrets where its path is one."""
    text = path.text[:MAX_SHOWN]
    origins = {Origin(Taint.FILE, line, text)}
    if SECRET_PATH.search(path.text):
        origins.add(Origin(Taint.SECRET, line, text))
    return frozenset(origins)
