"""Tokens: minted, narrowed, checked, ended."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pymacaroons import MACAROON_V1, MACAROON_V2, Macaroon
from pypitoken import Token, ValidationError  # type: ignore[import-untyped]  # the peer has no types

from support.accounts import basic, narrowed
from support.rows import a_project, a_user
from wheelmark.errors import Refused
from wheelmark.server.accounts import tokens
from wheelmark.server.accounts.caveats import caveat_id
from wheelmark.server.accounts.keys import token_key
from wheelmark.server.accounts.models import ApiToken, EventKind, SecurityEvent
from wheelmark.server.accounts.tokens import PREFIX, authenticate, mint, revoke

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def a_token(**given: object) -> tuple[ApiToken, str]:
    return mint(a_user(), **{"description": "laptop", "now": NOW, **given})  # type: ignore[arg-type]  # a builder


def refusal(authorization: str | None, now: datetime = NOW) -> Refused:
    with pytest.raises(Refused) as caught:
        authenticate(authorization, now=now)
    return caught.value


def test_token_speaks_for_its_user_by_basic_and_by_bearer() -> None:
    row, token = a_token()
    for header in (basic(token), f"Bearer {token}", f"bearer  {token} ", basic(f" {token}\n")):
        identity = authenticate(header, now=NOW)
        assert (identity.user, identity.token_id, identity.projects) == (a_user(), str(row.pk), None)
        assert identity.label == f"token:{row.pk}"


def test_token_is_stored_nowhere_and_its_row_alone_cannot_check_it() -> None:
    row, token = a_token()
    macaroon = Macaroon.deserialize(token.removeprefix(PREFIX))
    for field in ApiToken._meta.fields:
        value = getattr(row, field.name)
        assert token not in str(value)
        assert macaroon.signature not in str(value)
    assert token_key(settings.SECRET_KEY, bytes(row.key)) != bytes(row.key)
    forged = Macaroon(identifier=str(row.pk), key=bytes(row.key), version=MACAROON_V2)
    assert refusal(basic(PREFIX + forged.serialize())).code == "token-unknown"


def test_two_tokens_have_two_keys() -> None:
    assert bytes(a_token()[0].key) != bytes(a_token()[0].key)


def test_scope_is_the_normalized_name_and_the_project_need_not_exist() -> None:
    _, token = a_token(project="My_Project.Zwei")
    assert authenticate(basic(token), now=NOW).projects == frozenset({"my-project-zwei"})


def test_token_expires_to_the_second_by_its_row_and_by_its_caveat() -> None:
    row, token = a_token(expires_at=NOW + DAY)
    assert authenticate(basic(token), now=NOW + DAY - timedelta(seconds=1)).token_id == str(row.pk)
    assert refusal(basic(token), NOW + DAY).code == "token-expired"
    ApiToken.objects.update(expires_at=None)
    assert refusal(basic(token), NOW + DAY).code == "token-expired"


def test_shorter_expiry_in_the_row_ends_a_token_that_says_longer() -> None:
    _, token = a_token(expires_at=NOW + 10 * DAY)
    ApiToken.objects.update(expires_at=NOW + DAY)
    assert refusal(basic(token), NOW + 2 * DAY).code == "token-expired"


def test_revoked_token_stops_at_once_and_stays_revoked() -> None:
    row, token = a_token()
    assert revoke(row, now=NOW)
    assert not revoke(row, now=NOW + DAY)
    assert refusal(basic(token)).code == "token-revoked"
    assert ApiToken.objects.get(pk=row.pk).revoked_at == NOW
    assert SecurityEvent.objects.filter(kind=EventKind.TOKEN_REVOKED).count() == 1


def test_token_of_disabled_user_stops_and_works_again_when_enabled() -> None:
    _, token = a_token()
    user = a_user()
    user.is_active = False
    user.save()
    assert refusal(basic(token)).code == "token-user-inactive"
    user.is_active = True
    user.save()
    assert authenticate(basic(token), now=NOW).user == user


def test_forged_signature_and_unknown_id_are_told_apart_by_nobody() -> None:
    row, token = a_token()
    forged = Macaroon(location="x", identifier=str(row.pk), key=b"another key", version=MACAROON_V2)
    absent = Macaroon(location="x", identifier="2c1f4a4e-0000-4000-8000-000000000000", key=b"k", version=MACAROON_V2)
    first, second = (refusal(basic(PREFIX + macaroon.serialize())) for macaroon in (forged, absent))
    assert (first.code, str(first)) == (second.code, str(second))
    assert first.code == "token-unknown"
    assert authenticate(basic(token), now=NOW).token_id == str(row.pk)


def test_caveat_that_was_cut_off_breaks_the_signature() -> None:
    _, token = a_token(project="alpha")
    macaroon = Macaroon.deserialize(token.removeprefix(PREFIX))
    while macaroon.caveats:
        macaroon.caveats.pop()
        assert refusal(basic(PREFIX + macaroon.serialize())).code == "token-unknown"


def test_caveat_added_without_signing_it_breaks_the_signature() -> None:
    _, token = a_token()
    macaroon = Macaroon.deserialize(token.removeprefix(PREFIX))
    signature = macaroon.signature
    macaroon.add_first_party_caveat(json.dumps([1, ["alpha"]]))
    macaroon.signature = signature
    assert refusal(basic(PREFIX + macaroon.serialize())).code == "token-unknown"


def test_token_of_another_index_is_told_where_it_belongs() -> None:
    stray = Macaroon(location="pypi.org", identifier="2c1f4a4e-0000-4000-8000-000000000000", key=b"k", version=2)
    assert "one that says 'pypi.org': revoke it there" in str(refusal(basic(PREFIX + stray.serialize())))
    refused = refusal(basic("pypi-AgEIcHlwaS5vcmc"))
    assert (refused.code, "got a token of PyPI" in str(refused)) == ("token-malformed", True)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "token-missing"),
        ("", "token-missing"),
        ("   ", "token-missing"),
        ("Basic", "token-malformed"),
        ("Basic ???", "token-malformed"),
        ("Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(), "token-malformed"),
        ("Basic " + base64.b64encode(b"no colon").decode(), "token-malformed"),
        ("Digest username=x", "token-malformed"),
        ("Bearer", "token-malformed"),
        ("Bearer nonsense", "token-malformed"),
        (f"Bearer {PREFIX}", "token-malformed"),
        (f"Bearer {PREFIX}!!!!", "token-malformed"),
        (f"Bearer {PREFIX}AgEA", "token-malformed"),
        (f"Bearer {PREFIX}" + "A" * 8_193, "token-malformed"),
        ("Bearer " + "A" * 20_000, "token-malformed"),
        (basic("secret password", user_name="ada"), "token-user-name"),
    ],
)
def test_header_that_holds_no_token_is_refused(header: str | None, code: str) -> None:
    assert refusal(header).code == code


def test_password_of_a_user_is_no_token_and_is_not_repeated_in_the_refusal() -> None:
    refused = refusal(basic("hunter2-hunter2", user_name="ada"))
    assert "passwords are not accepted for uploads" in str(refused)
    assert "hunter2" not in str(refused)


def test_macaroon_of_version_one_or_with_third_party_caveat_is_refused() -> None:
    row, token = a_token()
    key = token_key(settings.SECRET_KEY, bytes(row.key))
    old = Macaroon(identifier=str(row.pk), key=key, version=MACAROON_V1)
    assert refusal(basic(PREFIX + old.serialize())).code == "token-malformed"
    third = Macaroon.deserialize(token.removeprefix(PREFIX))
    third.add_third_party_caveat("elsewhere.example", "a key of somebody else's", "an id")
    assert refusal(basic(PREFIX + third.serialize())).code == "token-malformed"


@given(junk=st.binary(max_size=200))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_hostile_bytes_are_refused_and_nothing_else(junk: bytes) -> None:
    text = base64.urlsafe_b64encode(b"\x02" + junk).decode().rstrip("=")
    assert refusal(basic(PREFIX + text)).code.startswith("token-")


def test_faults_of_a_new_token_are_named_together() -> None:
    with pytest.raises(Refused) as caught:
        a_token(description=" ", project="-", expires_at=NOW)
    assert {fault.code for fault in caught.value.faults} == {"token-description", "token-project", "token-expiry"}
    assert not ApiToken.objects.exists()


def test_number_of_live_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_LIVE_TOKENS", 2)
    row, _ = a_token()
    a_token(expires_at=NOW + DAY)
    with pytest.raises(Refused, match="expected fewer than 2 live tokens, got 2"):
        a_token()
    revoke(row, now=NOW)
    assert a_token()


def test_use_is_noted_at_most_once_a_minute_and_the_first_is_an_event() -> None:
    row, token = a_token()
    seen = []
    for seconds, address in ((0, "192.0.2.1"), (30, "192.0.2.2"), (61, "192.0.2.3")):
        authenticate(basic(token), now=NOW + timedelta(seconds=seconds), address=address)
        row.refresh_from_db()
        seen.append((row.last_used_at, row.last_used_from))
    assert seen == [
        (NOW, "192.0.2.1"),
        (NOW, "192.0.2.1"),
        (NOW + timedelta(seconds=61), "192.0.2.3"),
    ]
    first = SecurityEvent.objects.get(kind=EventKind.TOKEN_FIRST_USED)
    assert (first.address, first.detail) == ("192.0.2.1", {"token": str(row.pk), "description": "laptop"})


def test_refused_use_is_not_noted() -> None:
    row, token = a_token(expires_at=NOW + DAY)
    refusal(basic(token), NOW + 2 * DAY)
    row.refresh_from_db()
    assert row.last_used_at is None


# --- Narrowing, and the peer that does the same for PyPI's tokens -----------------------------------------------------


def test_holder_narrows_by_name_by_id_and_by_time() -> None:
    alpha, beta = a_project("alpha"), a_project("beta")
    _, token = a_token()
    by_name = narrowed(token, json.dumps([1, ["alpha", "new"]]))
    by_both = narrowed(by_name, json.dumps([2, [caveat_id(alpha.pk), caveat_id(beta.pk), str(alpha.pk), "junk"]]))
    assert authenticate(basic(by_name), now=NOW).projects == frozenset({"alpha", "new"})
    assert authenticate(basic(by_both), now=NOW).projects == frozenset({"alpha"})
    late = narrowed(token, json.dumps([0, int((NOW + 2 * DAY).timestamp()), int((NOW + DAY).timestamp())]))
    assert refusal(basic(late)).code == "token-not-yet"


def test_scoped_token_cannot_be_widened_by_another_caveat() -> None:
    _, token = a_token(project="alpha")
    assert authenticate(basic(narrowed(token, json.dumps([1, ["alpha", "beta"]]))), now=NOW).projects == frozenset(
        {"alpha"}
    )
    assert authenticate(basic(narrowed(token, json.dumps([1, ["beta"]]))), now=NOW).projects == frozenset()


def test_project_of_the_row_holds_even_without_the_caveat() -> None:
    row, token = a_token()
    ApiToken.objects.filter(pk=row.pk).update(project="alpha")
    assert authenticate(basic(token), now=NOW).projects == frozenset({"alpha"})


def test_pypitoken_accepts_what_we_mint_and_refuses_what_we_refuse() -> None:
    row, raw = a_token(project="alpha", expires_at=NOW + DAY)
    key = token_key(settings.SECRET_KEY, bytes(row.key))
    token = Token.load(raw)
    assert (token.prefix, token.domain, token.identifier) == ("wheelmark", "127.0.0.1:8000", str(row.pk))
    context = {"project_name": "alpha", "user_id": caveat_id(row.user.pk), "now": NOW}
    token.check(key=key, **context)
    for change in ({"project_name": "beta"}, {"user_id": caveat_id(0)}, {"now": NOW + DAY}):
        # pypitoken lets ValueError out when several caveats fail at once; here one fails at a time.
        with pytest.raises(ValidationError):
            token.check(key=key, **{**context, **change})


def test_we_understand_what_pypitoken_narrows() -> None:
    alpha = a_project("alpha")
    _, raw = a_token()
    for restriction, projects in (
        ({"project_names": ["alpha", "beta"]}, {"alpha", "beta"}),
        ({"project_ids": [caveat_id(alpha.pk)]}, {"alpha"}),
        ({"user_id": caveat_id(a_user().pk)}, None),
        ({"not_before": NOW, "not_after": NOW + DAY}, None),
    ):
        assert authenticate(basic(Token.load(raw).restrict(**restriction).dump()), now=NOW).projects == projects
    assert refusal(basic(Token.load(raw).restrict(user_id=caveat_id(0)).dump())).code == "token-user"
    assert refusal(basic(Token.load(raw).restrict(legacy_noop=True).dump())).code == "token-caveat"
