"""The chain of the signing log: whatever is done to a line is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from support.trust import NOON, Repository, a_foundation, a_signer, online_signers
from wheelmark.errors import Untrusted
from wheelmark.trust import (
    FIRST_LINE,
    MAX_LINE_BYTES,
    LogEntry,
    chained,
    entries_of,
    format_entries,
    format_entry,
    read_log,
)


def an_entry(number: int = 1) -> LogEntry:
    return LogEntry(
        at=NOON + timedelta(seconds=number, microseconds=number),
        role="timestamp",
        version=number,
        sha256=f"{number:064x}",
        keyid="ab" * 32,
        serial_from=number - 1,
        serial_to=number,
    )


ENTRIES = [an_entry(number) for number in range(1, 7)]


def lines_of(entries: list[LogEntry]) -> list[bytes]:
    return format_entries(entries, FIRST_LINE)[0].splitlines(keepends=True)


LINES = lines_of(ENTRIES)


def test_what_was_written_is_read_back() -> None:
    assert list(read_log(LINES)) == ENTRIES
    assert list(read_log([])) == []


def test_each_line_names_the_one_before_it() -> None:
    first = format_entry(ENTRIES[0], FIRST_LINE)
    second = format_entry(ENTRIES[1], chained(first))
    assert [first, second] == LINES[:2]
    assert chained(first).encode() in second


def _changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'"version":3', b'"version":4'), *lines[3:]]


def _changed_and_chained_again(lines: list[bytes]) -> list[bytes]:
    """Somebody rewrites line 3 and gives it its rightful `previous`: line 4 gives it away."""
    return [*lines[:2], format_entry(replace(ENTRIES[2], keyid="cd" * 32), chained(lines[1])), *lines[3:]]


@pytest.mark.parametrize(
    ("tamper", "at"),
    [
        (_changed, 4),
        (_changed_and_chained_again, 4),
        (lambda lines: lines[1:], 1),
        (lambda lines: [*lines[:3], *lines[4:]], 4),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 3),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4),
        (lambda lines: [*lines[:3], b"\n", *lines[3:]], 4),
        (lambda lines: [*lines[:3], lines[3].replace(b",", b", ", 1), *lines[4:]], 4),
        (lambda lines: [*lines[:3], lines[3].replace(b'{"at"', b'{"x":1,"at"'), *lines[4:]], 4),
        (lambda lines: [*lines[:3], lines[3].replace(b'"version":4', b'"version":"4"'), *lines[4:]], 4),
        (lambda lines: [*lines[:3], lines[3].removesuffix(b"\n"), *lines[4:]], 4),
        (lambda lines: [*lines[:3], b"x" * (MAX_LINE_BYTES + 1), *lines[4:]], 4),
        (lambda lines: [*lines[:3], b"\x00" * len(lines[3]) + b"\n", *lines[4:]], 4),
    ],
    ids=[
        "changed",
        "changed and chained again",
        "first removed",
        "removed",
        "swapped",
        "twice",
        "empty line",
        "another spelling",
        "another field",
        "another type",
        "joined",
        "endless",
        "zeros",
    ],
)
def test_tampered_line_is_found_and_what_was_before_it_is_given(
    tamper: Callable[[list[bytes]], list[bytes]], at: int
) -> None:
    given: list[LogEntry] = []
    with pytest.raises(Untrusted, match=f"signing log is broken at line {at}: expected") as distrust:
        for entry in read_log(tamper(LINES)):
            given.append(entry)  # what came before the fault is what is looked at
    assert distrust.value.code == "signing-log-broken"
    assert len(given) == at - 1
    assert given[:2] == ENTRIES[: min(at - 1, 2)]


@pytest.mark.parametrize("cut", range(1, len(LINES[-1])))
def test_torn_last_line_is_said_and_all_before_it_is_given(cut: int) -> None:
    torn: list[tuple[int, bytes]] = []
    kept = [*LINES[:-1], LINES[-1][:cut]]
    assert list(read_log(kept, on_torn=lambda number, line: torn.append((number, line)))) == ENTRIES[:-1]
    assert torn == [(len(LINES), LINES[-1][:cut])]


def test_torn_line_hides_no_broken_chain_before_it() -> None:
    with pytest.raises(Untrusted):
        list(read_log([*LINES[:2], *LINES[3:5], LINES[5][:10]]))


def test_every_file_of_a_publication_is_one_line_with_the_key_that_signed_it() -> None:
    repository = Repository.founded()
    publication = repository.publish({"alpha": b"{}", "beta": b"{}"})
    entries = entries_of(publication, online_signers(), at=NOON, serial_from=3, serial_to=5)
    bins = {repository.state.layout.bin_name(index) for index in publication.signed_bins}
    assert {entry.role for entry in entries} == {*bins, "snapshot", "timestamp"}
    assert len(entries) == len(publication.objects) + 1
    for entry in entries:
        assert entry.keyid == a_signer("online 1" if entry.role in bins else "online 2").keyid
        assert (entry.version, entry.serial_from, entry.serial_to, entry.at) == (2, 3, 5, NOON)
    [snapshot] = [entry for entry in entries if entry.role == "snapshot"]
    assert snapshot.sha256 == publication.state.snapshot.sha256


def test_founding_lists_the_offline_roles_with_their_holders_keys() -> None:
    foundation = a_foundation()
    entries = entries_of(foundation, online_signers(), at=NOON, serial_from=0, serial_to=0)
    assert len(entries) == len(foundation.objects) + 1
    offline = {entry.role: entry.keyid for entry in entries if entry.role in {"root", "targets", "bins"}}
    assert offline == dict.fromkeys(("root", "targets", "bins"), a_signer("offline").keyid)
