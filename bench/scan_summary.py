"""From judged samples to figures: recall, false alarms, techniques, costs, as plain values and against the goals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from figures import Figure
from scan_guarddog import PeerVerdict
from scan_judging import EARLIER, SHIPPED, UNSEEN, Judged
from scan_samples import BENIGN_KINDS, Sample
from scan_statistics import Share, percent, percentile
from wheelmark.scan import Verdict

LATER_YEAR = 2025  # the temporal split judges samples of this year and later


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that one run saw. `peers` holds GuardDog's verdicts, perhaps of a part of the samples."""

    judged: Sequence[Judged]
    peers: Mapping[str, PeerVerdict]  # by `peer_key`
    out_of_fold: bool  # True: `UNSEEN` opinions come from models that were trained without the sample's group
    temporal: bool  # True: there are opinions of a model of earlier samples
    own_peak_bytes: int | None = None  # of the scanner's own process (`scan_memory`); None: not measured

    @property
    def malicious(self) -> list[Judged]:
        """The families."""
        return [each for each in self.judged if each.sample.malicious]

    def benign(self, *kinds: str) -> list[Judged]:
        """The benign samples of these kinds, or of all."""
        wanted = kinds or BENIGN_KINDS
        return [each for each in self.judged if each.sample.kind in wanted]

    def peer(self, judged: Iterable[Judged]) -> list[PeerVerdict]:
        """GuardDog's verdicts on these samples, where there are any."""
        found = (self.peers.get(peer_key(each.sample)) for each in judged)
        return [verdict for verdict in found if verdict is not None]


def peer_key(sample: Sample) -> str:
    """What GuardDog's verdict on a sample is kept under."""
    return sample.blob or sample.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallRow:
    """Recall of one slice of the families."""

    name: str
    malicious: Share  # by models that have not seen the family
    suspicious_or_worse: Share  # likewise
    shipped: Share  # malicious, by the shipped model
    peer: Share  # GuardDog from 5


def recall_rows(results: Results) -> list[RecallRow]:
    """Recall over all families, without the empty ones, by year, and by form; later ones by a model of earlier ones."""
    families = results.malicious
    years = sorted({each.sample.year for each in families if each.sample.year is not None})
    slices: list[tuple[str, list[Judged], str]] = [
        ("all families", families, UNSEEN),
        ("without those whose code does nothing", [each for each in families if each.able], UNSEEN),
    ]
    slices += [(f"{year}", [each for each in families if each.sample.year == year], UNSEEN) for year in years]
    undated = [each for each in families if each.sample.year is None]
    slices += [("year unknown", undated, UNSEEN)] if undated else []
    slices += [(form, [each for each in families if each.sample.form == form], UNSEEN) for form in ("sdist", "wheel")]
    if results.temporal:
        later = [each for each in families if (each.sample.year or 0) >= LATER_YEAR]
        slices.append((f"{LATER_YEAR} and later, by a model of earlier samples", later, EARLIER))
    return [_recall_row(results, *each) for each in slices]


def _recall_row(results: Results, name: str, families: Sequence[Judged], who: str) -> RecallRow:
    return RecallRow(
        name=name,
        malicious=Share.of(each.by(who).malicious for each in families),
        suspicious_or_worse=Share.of(each.by(who).suspicious_or_worse for each in families),
        shipped=Share.of(each.by(SHIPPED).malicious for each in families),
        peer=Share.of(verdict.suspicious for verdict in results.peer(families)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow:
    """False alarms on one kind of benign distributions."""

    name: str
    malicious: Share  # by models that have not seen the project
    suspicious_or_worse: Share
    shipped: Share  # malicious, by the shipped model
    shipped_suspicious: Share
    incomplete: int
    earlier: Share  # malicious, by the models of earlier samples
    peer: Share  # GuardDog from 5
    peer_high: Share  # GuardDog from 7
    peer_refused: int


def alarm_rows(results: Results) -> list[AlarmRow]:
    """False alarms on each kind, and on each source of the kinds that have several."""
    rows = []
    for kind in BENIGN_KINDS:
        judged = results.benign(kind)
        if judged:
            rows.append(_alarm_row(results, kind, judged))
        sources = sorted({each.sample.source for each in judged})
        if len(sources) > 1:
            for source in sources:
                part = [each for each in judged if each.sample.source == source]
                rows.append(_alarm_row(results, f"{kind}: {source}", part))
    return rows


def _alarm_row(results: Results, name: str, judged: Sequence[Judged]) -> AlarmRow:
    peers = results.peer(judged)
    return AlarmRow(
        name=name,
        malicious=Share.of(each.by(UNSEEN).malicious for each in judged),
        suspicious_or_worse=Share.of(each.by(UNSEEN).suspicious_or_worse for each in judged),
        shipped=Share.of(each.by(SHIPPED).malicious for each in judged),
        shipped_suspicious=Share.of(each.by(SHIPPED).suspicious_or_worse for each in judged),
        incomplete=sum(each.by(SHIPPED).verdict is Verdict.INCOMPLETE for each in judged),
        earlier=Share.of(each.by(EARLIER).malicious for each in judged if EARLIER in each.opinions),
        peer=Share.of(verdict.suspicious for verdict in peers),
        peer_high=Share.of(verdict.high for verdict in peers),
        peer_refused=sum(verdict.score is None for verdict in peers),
    )


def alarms(results: Results) -> list[Judged]:
    """Every benign distribution that anybody called suspicious or worse, the gravest first."""
    found = [each for each in results.benign() if any(said.suspicious_or_worse for said in each.opinions.values())]
    return sorted(found, key=lambda each: (-_gravest(each), each.sample.kind, each.sample.filename))


def _gravest(judged: Judged) -> float:
    return max((said.malicious + said.score) for said in judged.opinions.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class TechniqueRow:
    """Where one technique, a rule or a kind of feature, shows, and how much of that is caught."""

    name: str
    families: Share  # of all families, those that show it
    caught: Share  # of those, the ones that are called malicious by models that have not seen them
    benign: Mapping[str, Share]  # by kind


def technique_rows(results: Results, *, rules: bool) -> list[TechniqueRow]:
    """A row for each rule that found something, or for each kind of feature; the most frequent first.

    A rule's last row says what it is worth where a single family shows it: that is not a behaviour but a sample.
    """
    shows: Callable[[Judged], Iterable[str]] = (lambda each: each.rules) if rules else (lambda each: each.techniques)
    names = sorted({name for each in results.judged for name in shows(each)})
    rows = []
    for name in names:
        showing = [each for each in results.malicious if name in shows(each)]
        rows.append(
            TechniqueRow(
                name=name,
                families=Share(len(showing), len(results.malicious)),
                caught=Share.of(each.by(UNSEEN).malicious for each in showing),
                benign={
                    kind: Share.of(name in shows(each) for each in judged)
                    for kind in BENIGN_KINDS
                    if (judged := results.benign(kind))
                },
            )
        )
    return sorted(rows, key=lambda row: (-row.families.hits, row.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """What the scans of one kind cost. Seconds are of CPU time; bytes are of resident memory."""

    name: str
    count: int
    median: float
    p95: float
    longest: float
    peak_bytes: int
    peer_count: int
    peer_median: float
    peer_p95: float
    peer_peak_bytes: int


def cost_rows(results: Results) -> list[CostRow]:
    """The cost by kind, GuardDog's beside it."""
    rows = []
    for kind in ("malicious", *BENIGN_KINDS):
        judged = [each for each in results.judged if each.sample.kind == kind]
        if judged:
            peers = results.peer(judged)
            seconds = [each.cpu_seconds for each in judged]
            rows.append(
                CostRow(
                    name=kind,
                    count=len(judged),
                    median=percentile(seconds, 0.5),
                    p95=percentile(seconds, 0.95),
                    longest=max(seconds),
                    peak_bytes=max(each.peak_bytes for each in judged),
                    peer_count=len(peers),
                    peer_median=percentile((verdict.cpu_seconds for verdict in peers), 0.5),
                    peer_p95=percentile((verdict.cpu_seconds for verdict in peers), 0.95),
                    peer_peak_bytes=max((verdict.peak_bytes for verdict in peers), default=0),
                )
            )
    return rows


def goals(results: Results) -> list[Figure]:
    """The figures that the issue sets a goal for. One that the shipped model has in its own sample is not judged."""
    found = []

    def share(name: str, said: Share, bound: str, holds: bool, *, fair: bool = results.out_of_fold) -> None:
        if said.total:
            note = name if fair else f"{name} (in sample: no goal)"
            found.append(Figure(note, str(said), bound, holds if fair else None))

    families = results.malicious
    caught = Share.of(each.by(UNSEEN).malicious for each in families)
    share("recall, malicious, one sample a family", caught, ">= 88 %", caught.rate >= 0.88)
    if results.temporal:
        later = [each for each in families if (each.sample.year or 0) >= LATER_YEAR]
        said = Share.of(each.by(EARLIER).malicious for each in later)
        name = f"recall, samples of {LATER_YEAR} and later, earlier model"
        share(name, said, ">= 80 %", said.rate >= 0.80, fair=True)
    for kind, limit in (("ordinary", 0.0025), ("hard", 0.012), ("micro", 0.0025), ("wide", 0.0025)):
        said = Share.of(each.by(UNSEEN).malicious for each in results.benign(kind))
        share(f"false alarms (malicious), {kind}", said, f"<= {percent(limit)}", said.rate <= limit)
    said = Share.of(each.by(UNSEEN).suspicious_or_worse for each in results.benign("ordinary"))
    share("suspicious or worse, ordinary", said, "<= 2.0 %", said.rate <= 0.02)
    benign = results.benign()
    if benign:
        refused = sum(each.by(SHIPPED).verdict is Verdict.INCOMPLETE for each in benign)
        found.append(Figure("benign files that cannot be scanned", f"{refused} of {len(benign)}", "0", refused == 0))
    return found + _cost_goals(results)


def _cost_goals(results: Results) -> list[Figure]:
    found = []
    for kind, median, p95 in (("ordinary", 0.12, 1.2), ("hard", 0.8, 5.0)):
        seconds = [each.cpu_seconds for each in results.benign(kind)]
        if seconds:
            mine = (percentile(seconds, 0.5), percentile(seconds, 0.95))
            said = f"{mine[0]:.3f} / {mine[1]:.2f} s"
            holds = mine[0] <= median and mine[1] <= p95
            found.append(Figure(f"CPU a file, {kind}, median / 95th", said, f"<= {median} / {p95} s", holds))
    if results.judged:
        # Without the scanner's own process: the judging one, whose further models can only make it worse.
        peak = results.own_peak_bytes or max(each.peak_bytes for each in results.judged)
        found.append(Figure("peak memory", f"{peak / 1e6:.0f} MB", "<= 300 MB", peak <= 300e6))
    return found
