"""What is counted about texts, and what of them misleads."""

from __future__ import annotations

import time

import pytest

from wheelmark.scan.context.lures import MAX_LURE_CHARS, lures_of
from wheelmark.scan.context.sources import Source, addresses_of, source_of
from wheelmark.scan.context.text import misleading, traits_of
from wheelmark.scan.context.upload import MAX_TEXT_CHARS, Metadata


def test_links_hosts_shorteners_and_numbers_are_counted() -> None:
    traits = traits_of(
        "Call 1-888-555-0100 or (800) 555-0199 now. https://a.invalid/x https://bit.ly/y https://github.com/o/r "
        "https://img.shields.io/z WhatsApp +44 7700 900123"
    )
    assert traits.links == 4
    assert traits.foreign_hosts == ("a.invalid", "bit.ly")
    assert (traits.shorteners, traits.phone_numbers, traits.messenger_invitations) == (1, 2, 1)


@pytest.mark.parametrize("text", ["version 1.800.3", "8005550199", "0x888-555", "id 1888-5550100-22"])
def test_numbers_that_nobody_calls_are_no_phone_numbers(text: str) -> None:
    assert traits_of(text).phone_numbers == 0


def test_repetition_is_of_pairs_of_words_in_longer_texts() -> None:
    assert traits_of("full movie " * 5).repetition == 0
    assert traits_of("full movie " * 40).repetition > 0.9
    assert traits_of(" ".join(f"word{n} other{n}" for n in range(40))).repetition < 0.1


def test_lures_count_each_phrase_once_and_the_longer_of_two() -> None:
    [lure] = lures_of("Canlı bahis! bahis, bahis. Deneme bonusu")
    assert (lure.category, lure.words) == ("casino", ("canlı bahis", "deneme bonusu"))


def test_lures_are_whole_words_except_where_words_have_no_blanks() -> None:
    assert lures_of("the occasional casinoish supporter") == []
    assert [lure.category for lure in lures_of("最新在线赌场推荐")] == ["casino"]


def test_lures_are_looked_for_within_bounds() -> None:
    assert lures_of("x " * MAX_LURE_CHARS + "casino jackpot") == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("install \u202etsrif\u202c this", "bidi control"),
        ("re\u200bquests", "zero-width character"),
        ("p\u0430yp\u0430l", "mixed scripts"),
    ],
)
def test_misleading_text_is_found_with_its_line(text: str, kind: str) -> None:
    [found] = misleading(f"a line\n{text}")
    assert (found.kind, found.line) == (kind, 2)


@pytest.mark.parametrize(
    "text",
    [
        "\u0634\u0631\u062d \u2066RS-232\u2069",
        "\U0001f469\u200d\U0001f4bb",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "JSON'\u0430 pip-\u043f\u0430\u043a\u0435\u0442 \u0394t \u00b5s \u03c3x",
        "caf\u00e9 na\u00efve",
        "\ufeffA file with a byte order mark",
    ],
)
def test_text_of_other_scripts_is_let_alone(text: str) -> None:
    assert misleading(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "http://" + "a" * 300_000,
        "1-800 " * 50_000,
        "\u0430a" * 150_000,
        "t.me/" * 60_000,
        "whatsapp 1" + " 1" * 150_000,
    ],
)
def test_hostile_text_takes_bounded_time(text: str) -> None:
    started = time.process_time()
    traits_of(text)
    misleading(text)
    lures_of(text)
    assert time.process_time() - started < 5
    assert traits_of(text).chars <= MAX_TEXT_CHARS


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://github.com/Harbour/Pilot", Source("github.com", "harbour", "pilot")),
        ("git+https://www.github.com/harbour/pilot_tools.git", Source("github.com", "harbour", "pilot-tools")),
        ("https://gitlab.com/harbour/pilot/-/issues", Source("gitlab.com", "harbour", "pilot")),
        ("https://github.com/harbour", None),
        ("https://github.com/pypa/sampleproject", None),
        ("https://example.net/harbour/pilot", None),
        ("https://[::bad", None),
        ("", None),
    ],
)
def test_repositories_have_one_spelling(url: str, source: Source | None) -> None:
    assert source_of(url) == source


def test_addresses_of_nobody_are_left_out() -> None:
    metadata = Metadata(
        author_email="Ada <Ada@Harbour.test>, you@example.com, x@users.noreply.github.com",
        maintainer_email="author@x.test",
    )
    assert addresses_of(metadata) == ["ada@harbour.test"]
