"""Copies of a ceremony merge in any order to the same file, and no byte of it can be changed unnoticed."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.ceremonies import ann, bo, cy, founded_files, two_of_three
from support.trust import NOON, POLICY, a_signer
from wheelmark.errors import Untrusted
from wheelmark.trust import OnlineSigner
from wheelmark.trust.ceremony import Ceremony, merge, propose, sign
from wheelmark.trust.ceremony_file import format_ceremony, read_ceremony

HOLDERS: tuple[OnlineSigner, ...] = (a_signer("offline"), ann(), bo(), cy())


@cache
def blank() -> Ceremony:
    return propose(founded_files(), two_of_three(), now=NOON, policy=POLICY)


@cache
def signed_by(*numbers: int) -> Ceremony:
    """ECDSA signs differently each time, so two copies by one holder may differ: what matters is that they agree."""
    ceremony = blank()
    for number in numbers:
        ceremony = sign(ceremony, HOLDERS[number])
    return ceremony


copies = st.lists(st.permutations(range(4)).flatmap(lambda order: st.integers(0, 4).map(lambda n: tuple(order[:n]))))


@settings(max_examples=60)
@given(copies.filter(bool), st.randoms(use_true_random=False))
def test_merging_knows_neither_order_nor_repetition(some: list[tuple[int, ...]], random: object) -> None:
    found = [signed_by(*numbers) for numbers in some]
    shuffled = [*found, *found[: len(found) // 2]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    expected = format_ceremony(merge(found))
    assert format_ceremony(merge(shuffled)) == expected
    stepwise = blank()
    for copy in shuffled:
        stepwise = merge([stepwise, copy])
    assert format_ceremony(stepwise) == expected
    assert {key for found in merge(found).signatures.values() for key in found} == {
        HOLDERS[number].keyid for numbers in some for number in numbers
    }


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), unique=True))
def test_file_gives_the_ceremony_back(numbers: list[int]) -> None:
    ceremony = signed_by(*numbers)
    assert read_ceremony(format_ceremony(ceremony)) == ceremony


@settings(max_examples=300)
@given(st.data())
def test_any_byte_that_is_changed_is_refused(data: st.DataObject) -> None:
    content = bytearray(format_ceremony(signed_by(0, 1, 2)))
    at = data.draw(st.integers(0, len(content) - 1), label="at")
    content[at] ^= data.draw(st.integers(1, 255), label="with")
    with pytest.raises(Untrusted):
        read_ceremony(bytes(content))


@settings(max_examples=100)
@given(st.data())
def test_any_byte_that_is_lost_or_added_is_refused(data: st.DataObject) -> None:
    content = format_ceremony(signed_by(0, 2))
    at = data.draw(st.integers(0, len(content) - 1), label="at")
    extra = data.draw(st.sampled_from([b"", b" ", b"\n", b"0", b"}"]), label="instead")
    changed = content[:at] + extra + content[at + (not extra) :]
    with pytest.raises(Untrusted):
        read_ceremony(changed)


@settings(max_examples=100)
@given(st.data())
def test_any_digit_of_a_signature_that_is_changed_is_refused_though_the_file_agrees_with_itself(
    data: st.DataObject,
) -> None:
    """Whoever carries the file can write the sums beside the signatures anew; the signatures they cannot."""
    ceremony = signed_by(0, 1, 3)
    role = data.draw(st.sampled_from(list(ceremony.new)))
    keyid = data.draw(st.sampled_from(sorted(ceremony.signatures[role])))
    signature = ceremony.signatures[role][keyid]
    at = data.draw(st.integers(0, len(signature) - 1))
    digit = data.draw(st.sampled_from([d for d in "0123456789abcdefgF" if d != signature[at]]))
    changed = signature[:at] + digit + signature[at + 1 :]
    forged = Ceremony(
        current=ceremony.current,
        new=ceremony.new,
        signatures={**ceremony.signatures, role: {**ceremony.signatures[role], keyid: changed}},
        before=ceremony.before,
        after=ceremony.after,
    )
    with pytest.raises(Untrusted):
        read_ceremony(format_ceremony(forged))
