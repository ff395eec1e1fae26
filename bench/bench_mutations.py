"""How many imitations of malware the scanner still calls malicious after each mutation.

Unit: one imitation. A mutation is survived when an imitation that is found as written is still found after it. The
imitations and mutations are those of the tests: our own, harmless, and never run.
"""

from __future__ import annotations

from figures import Figure
from support.imitations import IMITATIONS
from support.mutations import MUTATIONS
from support.scan import the_ruleset
from wheelmark.scan import Verdict
from wheelmark.scan.contract import scan_sample

BOUND = 0.9


def figures(quick: bool) -> list[Figure]:
    """One figure for each mutation, and one for all. They are quick in any case."""
    found = {
        mutation: {
            imitation.name
            for imitation in IMITATIONS
            if scan_sample(mutate(imitation), the_ruleset()).verdict is Verdict.MALICIOUS
        }
        for mutation, mutate in MUTATIONS.items()
    }
    as_written = found.pop("none")
    listed = [_figure("imitations found as written", len(as_written), len(IMITATIONS))]
    for mutation, names in found.items():
        listed.append(_figure(f"still found: {mutation}", len(names & as_written), len(as_written)))
        for name in sorted(as_written - names):
            listed.append(Figure(f"  lost: {name}", ""))
    survived = sum(len(names & as_written) for names in found.values())
    listed.append(_figure("mutations survived, all together", survived, len(found) * len(as_written)))
    for name in sorted({imitation.name for imitation in IMITATIONS} - as_written):
        listed.append(Figure(f"  not found as written: {name}", ""))
    return listed


def _figure(name: str, count: int, total: int) -> Figure:
    share = count / total
    return Figure(name, f"{count} of {total} ({share:.0%})", f">= {BOUND:.0%}", share >= BOUND)
