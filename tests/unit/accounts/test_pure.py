"""The pure parts: passwords, client addresses, names, how safe an account is, keys."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from wheelmark.errors import Unavailable
from wheelmark.server.accounts.events import address_behind
from wheelmark.server.accounts.keys import derive_key, token_key
from wheelmark.server.accounts.names import USER_NAME_VALIDATORS
from wheelmark.server.accounts.passwords import BreachedPassword, DecoratedCommonPassword, LengthBound, is_listed
from wheelmark.server.accounts.safety import Facts, standing

# --- Passwords --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "Password123456!",
        "!!password!!2026",
        "P@ssw0rd2026!!!",
        "qwertyqwerty",
        "monkeymonkeymonkey",
        "123456123456",
        "aaaaaaaaaaaaaaaa",
        "abababababab",
    ],
)
def test_common_password_made_longer_is_refused(password: str) -> None:
    with pytest.raises(ValidationError, match="common password made longer"):
        DecoratedCommonPassword().validate(password)


@pytest.mark.parametrize("password", ["nine-grey-herons-wade", "kX8#mQ2$vL9!pR", "correct horse battery staple"])
def test_password_that_is_long_for_a_reason_is_taken(password: str) -> None:
    DecoratedCommonPassword().validate(password)
    LengthBound().validate(password)


def test_password_longer_than_anybodys_is_refused() -> None:
    LengthBound().validate("x" * 256)
    with pytest.raises(ValidationError, match="expected at most 256 characters, got 257"):
        LengthBound().validate("x" * 257)


def digest(word: str) -> bytes:
    return hashlib.sha1(word.encode(), usedforsecurity=False).hexdigest().upper().encode()


@given(
    words=st.lists(st.text(min_size=1, max_size=8), max_size=40, unique=True),
    count=st.integers(0, 9_999_999),
    end=st.sampled_from([b"\n", b"\r\n"]),
    last=st.booleans(),
)
def test_list_of_breached_passwords_is_found_whole(words: list[str], count: int, end: bytes, last: bool) -> None:
    lines = [digest(word) + (b":%d" % count if count else b"") for word in words]
    body = end.join(sorted(lines)) + (end if last and lines else b"")
    assert all(is_listed(io.BytesIO(body), digest(word)) for word in words)
    assert not is_listed(io.BytesIO(body), digest("a word that is longer than those"))


def test_breached_password_is_refused_and_an_unreadable_list_is_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\n".join(sorted(digest(word) + b":7" for word in ("one", "two", "three"))))
    validator = BreachedPassword(str(path))
    validator.validate("four")
    with pytest.raises(ValidationError, match="never stolen anywhere"):
        validator.validate("two")
    path.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        validator.validate("four")


# --- Addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forwarded_for", "trusted_proxies", "address"),
    [
        ("", 0, "192.0.2.1"),
        ("203.0.113.9", 0, "192.0.2.1"),
        ("203.0.113.9", 1, "203.0.113.9"),
        ("10.9.9.9, 203.0.113.9", 1, "203.0.113.9"),
        ("10.9.9.9, 203.0.113.9, 192.0.2.7", 2, "203.0.113.9"),
        ("203.0.113.9", 2, "192.0.2.1"),
        ("not an address", 1, "192.0.2.1"),
        ("203.0.113.9:80", 1, "192.0.2.1"),
        ("2001:DB8::1", 1, "2001:db8::1"),
        (" , ,", 1, "192.0.2.1"),
        ("1.1.1.1, " * 500 + "203.0.113.9", 1, "203.0.113.9"),
    ],
)
def test_only_what_our_own_proxies_appended_is_believed(forwarded_for: str, trusted_proxies: int, address: str) -> None:
    assert address_behind("192.0.2.1", forwarded_for, trusted_proxies=trusted_proxies) == address


@given(spoofed=st.text(max_size=60))
def test_client_cannot_choose_its_own_address_behind_one_proxy(spoofed: str) -> None:
    assert address_behind("192.0.2.1", f"{spoofed}, 203.0.113.9", trusted_proxies=1) == "203.0.113.9"


# --- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ada", "a", "ada.lovelace", "ada_l-2", "7", "x" * 50])
def test_name_is_taken(name: str) -> None:
    for validator in USER_NAME_VALIDATORS:
        validator(name)


@pytest.mark.parametrize("name", ["", ".ada", "ada-", "a/b", "ada\n", "ädä", "INDEX", "Admin", "x" * 51, "a@b"])
def test_name_is_refused(name: str) -> None:
    def check() -> None:
        for validator in USER_NAME_VALIDATORS:
            validator(name)

    with pytest.raises(ValidationError):
        check()


# --- How safe ---------------------------------------------------------------------------------------------------------

SAFE = Facts(
    has_second_factor=True,
    needs_second_factor=False,
    recovery_codes_left=8,
    has_email=True,
    has_verified_email=True,
    failed_logins=0,
    stale_tokens=0,
    endless_tokens=0,
)


def test_account_with_nothing_to_mend_is_good_and_has_no_advice() -> None:
    assert standing(SAFE).kind == "good"
    assert standing(SAFE).advice == ()


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"has_second_factor": False}, "warn", "Whoever learns your password"),
        ({"has_second_factor": False, "needs_second_factor": True}, "stop", "does not count"),
        ({"recovery_codes_left": 2}, "warn", "2 recovery codes left"),
        ({"recovery_codes_left": 0}, "warn", "No recovery codes left"),
        ({"failed_logins": 1}, "warn", "1 log-in failed lately"),
        ({"has_email": False}, "warn", "no e-mail address"),
        ({"has_verified_email": False}, "wait", "not confirmed"),
        ({"stale_tokens": 3}, "warn", "3 tokens unused for half a year"),
        ({"endless_tokens": 1}, "wait", "1 token never expires"),
    ],
)
def test_each_weakness_has_its_advice(change: dict[str, bool | int], kind: str, text: str) -> None:
    advice = standing(replace(SAFE, **change)).advice  # type: ignore[arg-type]  # the parameters name the fields
    assert [item.kind for item in advice] == [kind]
    assert text in advice[0].text
    assert advice[0].url_name


def test_most_pressing_advice_comes_first_and_a_password_alone_is_never_called_good() -> None:
    worst = replace(SAFE, has_second_factor=False, needs_second_factor=True, endless_tokens=1, failed_logins=2)
    assert [item.kind for item in standing(worst).advice] == ["stop", "warn", "wait"]
    assert standing(replace(SAFE, has_second_factor=False)).kind == "warn"


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_keys_differ_by_purpose_by_secret_and_by_row() -> None:
    assert derive_key("secret", "a") != derive_key("secret", "b")
    assert derive_key("secret", "a") != derive_key("other", "a")
    assert derive_key("secret", "a") == derive_key("secret", "a")
    assert len({token_key("secret", b"1"), token_key("secret", b"2"), token_key("other", b"1")}) == 3
