"""A new project that is a well-known name with a word added that promises the same thing."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.checks._names import depends_on, is_throw_away, pretence
from wheelmark.scan.context.names import MIN_CHARS, core_of
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

AFFIXES = frozenset(
    """
    py py2 py3 python python2 python3 pip pypi sdk api client lib libs utils util tools tool core dev official pro plus
    new next beta alpha fix fixed patch patched update updated upgrade upgraded latest secure free package pkg module
    modules v2 v3 stable full lite original
    """.split()  # noqa: SIM905  # a list of fifty literals says no more
)
FAMOUS_RANK = 1_000
KNOWN_RANK = 5_000


def check(upload: Upload) -> Iterator[Sign]:
    name = upload.project.normalized_name
    popular = upload.index.lists.popular
    if not upload.project.is_young or popular.rank(name) is not None:
        return
    for target, affix in core_of(name, AFFIXES):
        rank = popular.rank(target)
        if rank is None or rank > KNOWN_RANK or len(target) < MIN_CHARS:
            continue
        why = pretence(upload, target)
        if depends_on(upload, target) and not why:
            severity = Severity.INFO  # an add-on, as most such names are
        elif rank <= FAMOUS_RANK and (why or is_throw_away(upload)):
            severity = Severity.MEDIUM
        else:
            severity = Severity.LOW
        yield Sign(
            severity=severity,
            place="Name",
            text=f"{name} is {target} with {affix}" + (f"; {why}" if why else ""),
            other=target,
        )


CHECK = Check(
    id="combosquat",
    version=1,
    family=Family.NAME,
    subject=Subject.PROJECT,
    severity=Severity.MEDIUM,
    message="The name of this new project is a well-known one with a word that makes it sound like part of it.",
    reference="https://attack.mitre.org/techniques/T1195/002/",
    check=check,
)
