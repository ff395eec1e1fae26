"""Well-known project names, best known first, and which of them a name resembles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wheelmark.scan.context.names import MAX_CHARS, deletions, look, one_edit, squash, word_orders


@dataclass(frozen=True, slots=True, order=True)
class Resemblance:
    """A known name that another resembles, and how."""

    rank: int  # 1 for the best known; for local projects, see `LOCAL_RANK`
    target: str
    how: str  # "two letters swapped", "looks alike", …


LOOKS_ALIKE = "characters that look alike"
OTHER_SEPARATORS = "other separators"
OTHER_ORDER = "the words in another order"


@dataclass(frozen=True, slots=True, eq=False)
class PopularNames:
    """An index over names in order of fame. Look-ups take time by the length of the name alone."""

    names: tuple[str, ...]  # normalized, each once
    modules: Mapping[str, str] = field(
        default_factory=dict
    )  # import name in lower case -> its project, where they differ
    shared: frozenset[str] = frozenset()  # import names that belong to nobody
    _ranks: dict[str, int] = field(init=False, repr=False)
    _short_by_one: dict[str, list[str]] = field(init=False, repr=False)
    _looks: dict[str, list[str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ranks = {name: rank for rank, name in enumerate(self.names, 1)}
        short: dict[str, list[str]] = {}
        looks: dict[str, list[str]] = {}
        for name in ranks:
            looks.setdefault(look(name), []).append(name)
            for each in deletions(name):
                short.setdefault(each, []).append(name)
        object.__setattr__(self, "_ranks", ranks)
        object.__setattr__(self, "_short_by_one", short)
        object.__setattr__(self, "_looks", looks)

    def rank(self, name: str) -> int | None:
        """Its place, 1 for the best known; None for a name that is not in the list."""
        return self._ranks.get(name)

    def near(self, name: str) -> list[Resemblance]:
        """The known names that are one slip, or one look, away; the best known first. Empty for a known name."""
        if name in self._ranks or len(name) > MAX_CHARS:
            return []
        return [
            Resemblance(self._ranks[target], target, how)
            for target, how in sorted(self._near(name).items(), key=lambda item: self._ranks[item[0]])
        ]

    def _near(self, name: str) -> dict[str, str]:
        # Two names one edit apart share a name with one character left out, or one is such a name of the other.
        candidates = {target for each in deletions(name) for target in self._short_by_one.get(each, ())}
        candidates.update(each for each in deletions(name) if each in self._ranks)
        candidates.update(self._short_by_one.get(name, ()))
        found = {target: how for target in candidates if (how := one_edit(name, target)) is not None}
        for target in self._looks.get(look(name), ()):
            found[target] = OTHER_SEPARATORS if squash(target) == squash(name) else LOOKS_ALIKE
        found.update({order: OTHER_ORDER for order in word_orders(name) if order in self._ranks})
        return found

    def owner_of_module(self, module: str) -> str | None:
        """The known project whose top-level module this is: as listed, or the project of the same name."""
        lowered = module.lower()
        if lowered in self.shared:
            return None
        listed = self.modules.get(lowered)
        if listed is not None:
            return listed
        name = lowered.replace("_", "-").strip("-")
        return name if name in self._ranks else None

    def extended(self, first: Iterable[str]) -> PopularNames:
        """With these names before all others."""
        return PopularNames(tuple(dict.fromkeys((*first, *self.names))), self.modules, self.shared)
