"""The page of one run, in Markdown, and the same as JSON. Neither has a name, hash or line of a malicious sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from figures import Figure
from scan_judging import Judged
from scan_samples import BENIGN_KINDS
from scan_statistics import Share, percent
from scan_summary import (
    CostRow,
    Results,
    TechniqueRow,
    alarm_rows,
    alarms,
    cost_rows,
    goals,
    recall_rows,
    technique_rows,
)

MAX_TECHNIQUES = 40
# Measured by others on data of their own: to see the order of magnitude, not to rank.
PUBLISHED: tuple[tuple[str, str, str], ...] = (
    ("checks that PyPI had, Bandit4Mal, OSSGadget (ICSE 2023)", "-", "15 % to 97 % false positives"),
    ("GuardDog's own evaluation, score >= 5 (2026-04)", "85.7 %", "125 false alarms among 500 top projects (25 %)"),
    (
        "PyGuard (USENIX Security 2026), with a language model",
        "accuracy 99.5 %",
        "2 false positives; others 15 % to 30 %",
    ),
    ("MalGuard (2025), five weeks of uploads", "-", "113 true alarms in 64,348 uploads"),
    ("OSCAR (ASE 2024), dynamic", "F1 0.91", "1.23 % on benign code that looks like malware; others 41 %"),
    ("what PyPI's administrators would accept (ICSE 2023)", "-", "0.1 %; 0.01 % in the preprint"),
)


def markdown(results: Results, *, about: Mapping[str, str]) -> str:
    """The page."""
    parts = [
        "# Scanner figures\n",
        _table(("what", "value"), [(key, value) for key, value in about.items()]),
        "\n## Goals\n",
        _table(("figure", "value", "goal", ""), [_goal(figure) for figure in goals(results)]),
        "\n## Recall, one sample a family\n",
        _out_of_fold_note(results),
        _recall(results),
        "\n## False alarms\n",
        _false_alarms(results),
        "\n### Each by name\n",
        _named(alarms(results)),
        "\n## By technique\n\nRules:\n",
        _techniques(technique_rows(results, rules=True)),
        "\nKinds of features, when they show at all:\n",
        _techniques(technique_rows(results, rules=False)[:MAX_TECHNIQUES]),
        "\n## Cost of one file\n",
        _costs(cost_rows(results)),
        "\n## Not scanned to the end\n",
        _incomplete(results.judged),
        "\n## Published figures of others\n",
        _table(("what", "recall", "false positives"), PUBLISHED),
    ]
    return "\n".join(parts) + "\n"


def document(results: Results, *, about: Mapping[str, str]) -> dict[str, object]:
    """The same as values: shares as hits and totals."""
    return {
        "about": dict(about),
        "out_of_fold": results.out_of_fold,
        "goals": [asdict(figure) for figure in goals(results)],
        "recall": [asdict(row) for row in recall_rows(results)],
        "false_alarms": [asdict(row) for row in alarm_rows(results)],
        "alarms": [_alarm(judged) for judged in alarms(results)],
        "rules": [asdict(row) for row in technique_rows(results, rules=True)],
        "features": [asdict(row) for row in technique_rows(results, rules=False)],
        "costs": [asdict(row) for row in cost_rows(results)],
        "families": [
            {"family": each.sample.group, "year": each.sample.year, "able": each.able, **_opinions(each)}
            for each in results.malicious
        ],
    }


def _goal(figure: Figure) -> tuple[str, str, str, str]:
    return figure.name, figure.value, figure.bound, {True: "met", False: "**missed**", None: "-"}[figure.holds]


def _out_of_fold_note(results: Results) -> str:
    if results.out_of_fold:
        return (
            "*Unseen*: the model that judges was trained without the family or project. *Shipped*: the model of this "
            "version, which was trained with them.\n"
        )
    return (
        "No model was trained without these samples: the figures are those of the shipped model, in its own sample.\n"
    )


def _recall(results: Results) -> str:
    rows = [
        (
            row.name,
            str(row.malicious.total),
            *map(_rate, (row.malicious, row.suspicious_or_worse, row.shipped, row.peer)),
        )
        for row in recall_rows(results)
    ]
    head = ("families", "n", "malicious, unseen", "suspicious or worse, unseen", "malicious, shipped", "GuardDog >= 5")
    return _table(head, rows)


def _false_alarms(results: Results) -> str:
    rows = []
    for row in alarm_rows(results):
        shares = (
            row.malicious,
            row.suspicious_or_worse,
            row.shipped,
            row.shipped_suspicious,
            row.earlier,
            row.peer,
            row.peer_high,
        )
        peers = "-" if not row.peer.total else f"{row.peer_refused} of {row.peer.total}"
        rows.append((row.name, str(row.malicious.total), *map(_alarm_rate, shares), str(row.incomplete), peers))
    head = (
        *("distributions", "n", "malicious, unseen", "suspicious or worse, unseen", "malicious, shipped"),
        *("suspicious or worse, shipped", "malicious, earlier model", "GuardDog >= 5", "GuardDog >= 7", "incomplete"),
        "refused by GuardDog",
    )
    return _table(head, rows)


def _named(found: Sequence[Judged]) -> str:
    rows = []
    for each in found:
        said = ", ".join(f"{who} {opinion.verdict} {opinion.score:.2f}" for who, opinion in each.opinions.items())
        rows.append((each.sample.kind, each.sample.filename, said, "; ".join(each.causes)))
    return _table(("kind", "file", "verdicts", "causes"), rows) if rows else "None.\n"


def _techniques(rows: Sequence[TechniqueRow]) -> str:
    lines = []
    for row in rows:
        name = f"{row.name} (one family)" if row.families.hits == 1 else row.name
        benign = [percent(row.benign[kind].rate) if kind in row.benign else "-" for kind in BENIGN_KINDS]
        lines.append((name, str(row.families.hits), percent(row.families.rate), _rate(row.caught), *benign))
    return _table(("technique", "families", "share", "of those called malicious", *BENIGN_KINDS), lines)


def _costs(rows: Sequence[CostRow]) -> str:
    lines = []
    for row in rows:
        mine = f"{row.median:.3f} / {row.p95:.2f} / {row.longest:.1f} s", f"{row.peak_bytes / 1e6:.0f} MB"
        peer = ("-", "-", "-")
        if row.peer_count:
            ratio = row.peer_median / row.median if row.median else 0.0
            peer = (
                f"{row.peer_median:.2f} / {row.peer_p95:.2f} s",
                f"{row.peer_peak_bytes / 1e6:.0f} MB",
                f"{ratio:.0f}",
            )
        lines.append((row.name, str(row.count), *mine, *peer))
    head = (
        "kind",
        "n",
        "CPU median / 95th / longest",
        "peak while judging",
        "GuardDog: CPU median / 95th",
        "its peak",
        "ratio of medians",
    )
    return _table(head, lines)


def _incomplete(judged: Sequence[Judged]) -> str:
    rows = []
    for each in judged:
        if each.incomplete_reason is not None:
            name = f"family {each.sample.group}" if each.sample.malicious else each.sample.filename
            why = "a bound or a broken archive" if each.sample.malicious else each.incomplete_reason
            verdict = next(iter(each.opinions.values())).verdict
            rows.append((each.sample.kind, name, str(verdict), why))
    return _table(("kind", "file", "verdict", "reason"), rows) if rows else "None.\n"


def _alarm(judged: Judged) -> dict[str, object]:
    sample = judged.sample
    return {
        "kind": sample.kind,
        "source": sample.source,
        "file": sample.filename,
        "causes": judged.causes,
        **_opinions(judged),
    }


def _opinions(judged: Judged) -> dict[str, object]:
    return {who: {"verdict": said.verdict, "score": said.score} for who, said in judged.opinions.items()}


def _rate(share: Share) -> str:
    if not share.total:
        return "-"
    low, high = share.interval
    return f"{percent(share.rate)} [{100 * low:.1f}, {100 * high:.1f}]"


def _alarm_rate(share: Share) -> str:
    if not share.total:
        return "-"
    bound = f"<= {percent(share.at_most)}"
    return f"0 ({bound})" if not share.hits else f"{share.hits} = {percent(share.rate)} ({bound})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
