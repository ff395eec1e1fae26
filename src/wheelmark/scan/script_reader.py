"""Reads what is no Python source: scripts in other languages, by their commands; compiled modules, by their names."""

from __future__ import annotations

from wheelmark.scan.compiled import read_code
from wheelmark.scan.facts import Act
from wheelmark.scan.reader import ModuleReader
from wheelmark.scan.report import Context
from wheelmark.scan.scopes import Frame, Site
from wheelmark.scan.scripts import MAX_COMMANDS, Language, commands_of, is_telling
from wheelmark.scan.values import MAX_TEXT, Value
from wheelmark.scan.vocabulary import ACTS, acts_of_names

COMPILED = "compiled code"  # how the names of a compiled module are kept out of sight


def read_script(reader: ModuleReader, language: Language, raw: bytes, context: Context) -> None:
    """Harvest what a script fetches, starts and decodes; what its commands name is loaded under the same context.

    Raises: StepsExceeded when the meter has run out.
    """
    told = 0
    for line, command in commands_of(language, raw):
        reader.steps(1)
        reader.harvest.note_load(command, context)
        value = reader.harvest.paths.marked(Value(command))
        if told >= MAX_COMMANDS or not (is_telling(command) or value.origins):
            continue
        told += 1
        site = Site([value], {}, line, Frame({}, context))
        reader.record(str(language), Act.START_PROCESS, site)
        reader.read_command(value, site, str(language))


def read_compiled(reader: ModuleReader, raw: bytes, context: Context) -> None:
    """Harvest what a compiled module names: what it may call, with all the text that it holds."""
    shown = read_code(raw)
    if shown is None:
        return
    frame = Frame({}, context)
    held = Value(partial=" ".join(shown.texts)[:MAX_TEXT])
    reader.note_layer(shown.text, held, 0, frame)
    for name in acts_of_names(frozenset(shown.names)):
        reader.record(name, ACTS[name], Site([held], {}, 0, frame, COMPILED))
