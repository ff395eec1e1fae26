"""Byte patterns by YARA-X: all rules compiled into one, run over sources and over decoded layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import yara_x

from wheelmark.scan.facts import PatternHit
from wheelmark.scan.report import Context
from wheelmark.scan.signals import NAMESPACE, PREFIX, name_of

SCAN_SECONDS = 10
MAX_MATCHES = 20  # of one pattern in one text
MAX_HIT_TEXT = 300


class PatternTimeout(Exception):
    """The patterns did not finish in time on one text."""


class Patterns:
    """The compiled patterns of a rule set and the signals of the model, in one pass over the bytes."""

    def __init__(self, rules: Sequence[tuple[str, str]], signals: str = "") -> None:
        """`rules` pairs the id of each rule with its YARA source; `signals` is the source of all signals.

        A signal gives at most one hit for each of its strings in a text, under the name `signal:…`.

        Raises: yara_x.CompileError when a source is no YARA rule: a fault of the rule set, never of a scanned file.
        """
        compiler = yara_x.Compiler()
        for identifier, source in rules:
            compiler.new_namespace(identifier)
            compiler.add_source(source)
        if signals:
            compiler.new_namespace(NAMESPACE)
            compiler.add_source(signals)
        self._scanner = yara_x.Scanner(compiler.build()) if rules or signals else None
        if self._scanner is not None:
            self._scanner.set_timeout(SCAN_SECONDS)
            self._scanner.max_matches_per_pattern(MAX_MATCHES)

    def hits(self, member: str, raw: bytes, context: Context, *, layer: int = 0, line: int = 0) -> Iterator[PatternHit]:
        """Where the patterns match. `line` is the line of the call that executes the text, for a layer.

        Raises: PatternTimeout.
        """
        if self._scanner is None:
            return
        try:
            results = self._scanner.scan(raw)
        except yara_x.TimeoutError as error:
            raise PatternTimeout(member) from error
        for rule in results.matching_rules:
            is_signal = rule.namespace == NAMESPACE
            name, most = (PREFIX + name_of(rule.identifier), 1) if is_signal else (rule.namespace, MAX_MATCHES)
            for pattern in rule.patterns:
                for match in islice(pattern.matches, most):
                    text = raw[match.offset : match.offset + min(match.length, MAX_HIT_TEXT)].decode("utf-8", "replace")
                    where = line or raw.count(b"\n", 0, match.offset) + 1
                    yield PatternHit(rule=name, member=member, line=where, context=context, text=text, layer=layer)
