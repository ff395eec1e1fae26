"""Reads a script in another language: its telling commands become facts, as if code of the distribution gave them."""

from __future__ import annotations

from wheelmark.scan.facts import Act
from wheelmark.scan.reader import ModuleReader
from wheelmark.scan.report import Context
from wheelmark.scan.scopes import Frame, Site
from wheelmark.scan.scripts import MAX_COMMANDS, Language, commands_of, is_telling
from wheelmark.scan.values import Value


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
