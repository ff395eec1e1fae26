"""A wheel that installs the module of another, well-known or established project."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.context.check import Check, Family, Sign, Subject
from wheelmark.scan.context.checks._names import depends_on
from wheelmark.scan.context.names import squash
from wheelmark.scan.context.upload import Upload
from wheelmark.scan.report import Severity

FAMOUS_RANK = 2_000
MAX_OWN_MODULES = 12
"""Wheels with more top-level modules are bundles, and say nothing about any one of them."""
_MIN_KIN = 4


def check(upload: Upload) -> Iterator[Sign]:
    name, facts = upload.project.normalized_name, upload.file.facts
    if not upload.project.is_young or not upload.file.is_wheel or len(facts.modules) > MAX_OWN_MODULES:
        return
    popular = upload.index.lists.popular
    if popular.rank(name) is not None:
        return
    local = {claim.value: claim.project for claim in upload.index.claimants if claim.kind == "module"}
    declared = {each.partition(";")[0].strip().partition(".")[0] for each in upload.file.metadata.import_names}
    for module in sorted({*facts.modules, *declared} - {""}):
        owner = popular.owner_of_module(module)
        if owner is None:
            owner = local.get(module)
            rank = None
        else:
            rank = popular.rank(owner)
        if owner is None or owner == name or _is_kin(name, owner, module):
            continue
        famous = rank is not None and rank <= FAMOUS_RANK
        alone = len(facts.modules) == 1
        severity = Severity.MEDIUM if famous and alone and not depends_on(upload, owner) else Severity.LOW
        yield Sign(severity=severity, place=module, text=f"{module} is the module of {owner}", other=owner)


def _is_kin(name: str, owner: str, module: str) -> bool:
    """Whether the names say that one is a variant of the other: `widget-binary`, `widget-headless`, `py-widget`."""
    mine, theirs, imported = squash(name), squash(owner), module.lower().replace("_", "")
    return any(len(part) >= _MIN_KIN and part in mine for part in (theirs, imported)) or mine in theirs


CHECK = Check(
    id="foreign-module",
    version=1,
    family=Family.IDENTITY,
    subject=Subject.FILE,
    severity=Severity.MEDIUM,
    message="Whoever installs this gets another project's module replaced by the one in this file.",
    reference="https://peps.python.org/pep-0794/",
    check=check,
)
