"""A ceremony asks the right people, shows what it changes, and refuses whatever it cannot verify."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from tuf.api.metadata import Metadata, Root, Targets  # type: ignore[attr-defined]  # re-exported without saying so

from support.ceremonies import RENEWAL, after, ann, bo, cy, founded_files, founding, hold, two_of_three
from support.trust import NOON, POLICY, a_signer, online_signers
from wheelmark.errors import Refused, Untrusted
from wheelmark.trust import (
    ExpiryPolicy,
    Layout,
    OfflineMetadata,
    PublicKey,
    RoleKeys,
    check_metadata_set,
    found_on,
)
from wheelmark.trust.ceremony import Ceremony, Wish, complete, merge, open_ceremony, propose, sign
from wheelmark.trust.ceremony_file import MAX_CEREMONY_BYTES, format_ceremony, read_ceremony
from wheelmark.trust.ceremony_summary import summarize
from wheelmark.trust.holders import (
    changed_holders,
    check_key,
    find_holder,
    fingerprint_matches,
    format_public_key,
    grouped,
    read_public_key,
)
from wheelmark.trust.metadata import envelope
from wheelmark.trust.succession import terms_of
from wheelmark.trust.terms import OFFLINE_ROLES, read_terms

LONE = a_signer("offline")


def proposed(wish: Wish) -> Ceremony:
    return propose(founded_files(), wish, now=NOON, policy=POLICY)


def missing(ceremony: Ceremony) -> dict[tuple[str, str], int]:
    return {(demand.role, demand.because): demand.missing for demand in ceremony.demands}


def test_new_root_needs_the_old_threshold_and_the_new_one() -> None:
    assert missing(proposed(two_of_three())) == {
        ("root", "root 1"): 1, ("root", "root 2"): 2, ("targets", "root 2"): 2, ("bins", "targets 2"): 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("present", "role"),
    [((LONE, ann()), "root 2"), ((ann(), bo(), cy()), "root 1")],
    ids=["old threshold alone", "new threshold alone"],
)
def test_half_of_a_root_rotation_completes_nothing(present: Any, role: str) -> None:
    with pytest.raises(Refused, match=rf"expected \d of the keys of {role}") as refusal:
        hold(proposed(two_of_three()), *present)
    assert refusal.value.code == "ceremony-unsigned"


def test_one_holder_moves_to_two_of_three_and_two_of_them_are_enough() -> None:
    completed = hold(proposed(two_of_three()), LONE, bo(), cy())
    assert [name for name, _ in completed.objects] == ["2.root.json", "2.targets.json", "2.bins.json"]
    files = after(founded_files(), completed)
    old = Metadata[Root].from_bytes(founded_files()["root"]).signed
    new = Metadata[Root].from_bytes(files["root"])
    old.verify_delegate("root", new.signed_bytes, new.signatures)
    new.signed.verify_delegate("root", new.signed_bytes, new.signatures)
    targets = Metadata[Targets].from_bytes(files["targets"])
    new.signed.verify_delegate("targets", targets.signed_bytes, targets.signatures)
    assert new.signed.roles["root"].threshold == 2


def test_holders_of_a_founding_sign_everything_and_a_client_trusts_it() -> None:
    completed = hold(founding(ann(), bo(), cy(), threshold=2), ann(), cy())
    foundation = found_on(
        OfflineMetadata(completed.objects, completed.roles),
        layout=completed.layout,
        now=NOON,
        online=online_signers(),
        policy=POLICY,
    )
    files = {**dict(foundation.objects), "timestamp.json": foundation.timestamp}
    assert check_metadata_set(files.get, foundation.root, NOON, policy=POLICY).faults == ()


def test_removed_holder_signs_the_farewell_and_nothing_after_it() -> None:
    files = after(founded_files(), hold(proposed(two_of_three()), LONE, ann(), bo()))
    terms = terms_of(files)
    wish = Wish(holders=changed_holders(terms, remove=[ann().public], add=[a_signer("di").public]))
    leaving = propose(files, wish, now=NOON, policy=POLICY)
    files = after(files, hold(leaving, ann(), bo(), cy()))
    renewal = propose(files, RENEWAL, now=NOON, policy=POLICY)
    with pytest.raises(Refused) as refusal:
        sign(renewal, ann())
    assert refusal.value.code == "not-a-holder"
    hold(renewal, cy(), a_signer("di"))


def test_change_of_one_role_leaves_the_others_alone() -> None:
    ceremony = proposed(Wish(holders={"root": RoleKeys((ann().public, bo().public), 2)}))
    assert list(ceremony.new) == ["root"]
    assert missing(ceremony) == {("root", "root 1"): 1, ("root", "root 2"): 2}


def test_new_bins_key_needs_nobody_but_the_holders_of_bins() -> None:
    ceremony = proposed(Wish(bins_key=a_signer("online 3").public))
    assert missing(ceremony) == {("bins", "targets 1"): 1}


def test_threshold_goes_up_and_down_again() -> None:
    files = after(founded_files(), hold(proposed(two_of_three()), LONE, ann(), bo()))
    up = propose(files, Wish(holders=changed_holders(terms_of(files), threshold=3)), now=NOON, policy=POLICY)
    files = after(files, hold(up, ann(), bo(), cy()))
    renewal = propose(files, RENEWAL, now=NOON, policy=POLICY)
    with pytest.raises(Refused, match="expected 3 of the keys"):
        hold(renewal, ann(), bo())
    down = propose(files, Wish(holders=changed_holders(terms_of(files), threshold=1)), now=NOON, policy=POLICY)
    files = after(files, hold(down, ann(), bo(), cy()))
    hold(propose(files, RENEWAL, now=NOON, policy=POLICY), bo())


def test_threshold_never_sinks_by_itself() -> None:
    terms = terms_of(after(founded_files(), hold(proposed(two_of_three()), LONE, ann(), bo())))
    with pytest.raises(Refused, match="expected 1 to 1, got 2"):
        changed_holders(terms, remove=[ann().public, bo().public])


def test_renewal_changes_version_and_expiry_and_nothing_else() -> None:
    ceremony = propose(founded_files(), RENEWAL, now=NOON + timedelta(days=300), policy=POLICY)
    terms = terms_of(founded_files())
    assert ceremony.after.root.version == 2
    assert ceremony.after.root.expires_at == NOON + timedelta(days=300) + POLICY.root
    assert (ceremony.after.root.root, ceremony.after.bins.online) == (terms.root.root, terms.bins.online)
    assert summarize(ceremony, now=NOON).changes[1::2] == ("  nothing but version and expiry",) * 3


def test_ceremony_without_a_change_is_none() -> None:
    with pytest.raises(Refused) as refusal:
        proposed(Wish(holders=changed_holders(terms_of(founded_files()), threshold=1)))
    assert refusal.value.code == "ceremony-empty"


@pytest.mark.parametrize("kind", ["holder", "both"])
def test_online_key_is_no_holders_key_and_not_both_online_keys(kind: str) -> None:
    wish = Wish(publish_key=LONE.public if kind == "holder" else online_signers().bins.public)
    with pytest.raises(Refused) as refusal:
        proposed(wish)
    assert refusal.value.code == "key-shared"


def test_other_number_of_bins_asks_for_new_keys_of_snapshot_and_timestamp() -> None:
    with pytest.raises(Refused, match="add --timestamp-key new") as refusal:
        proposed(Wish(layout=Layout(4)))
    assert refusal.value.code == "rebin-keys"
    ceremony = proposed(Wish(layout=Layout(4), publish_key=a_signer("online 4").public))
    assert list(ceremony.new) == ["root", "bins"]


def test_ceremony_that_waited_too_long_is_refused() -> None:
    ceremony = propose(founded_files(), RENEWAL, now=NOON, policy=ExpiryPolicy(bins=timedelta(days=10)))
    with pytest.raises(Untrusted, match="expected bins to expire after") as refusal:
        hold(ceremony, LONE, now=NOON + timedelta(days=10))
    assert refusal.value.code == "ceremony-expired"


def test_expired_root_is_renewed_like_any_other() -> None:
    later = NOON + timedelta(days=800)
    completed = hold(propose(founded_files(), RENEWAL, now=later, policy=POLICY), LONE, now=later)
    assert completed.roles["root"].expires_at == later + POLICY.root


# What comes back from others


def test_copy_of_another_ceremony_is_refused() -> None:
    with pytest.raises(Untrusted, match="expected a copy of the ceremony") as refusal:
        merge([proposed(RENEWAL), proposed(two_of_three())])
    assert refusal.value.code == "ceremony-other"


def test_signatures_of_one_ceremony_do_not_fit_into_another() -> None:
    mine, other = proposed(RENEWAL), propose(founded_files(), RENEWAL, now=NOON + timedelta(days=1), policy=POLICY)
    with pytest.raises(Untrusted, match="to verify") as refusal:
        open_ceremony(mine.current, mine.new, sign(other, LONE).signatures)
    assert refusal.value.code == "ceremony-signature"


@pytest.mark.parametrize("role", ["root", "timestamp"])
def test_strangers_signature_is_refused(role: str) -> None:
    ceremony, stranger = proposed(RENEWAL), a_signer("stranger")
    signature = stranger.sign(ceremony.new["root"])
    with pytest.raises(Untrusted) as refusal:
        open_ceremony(ceremony.current, ceremony.new, {role: {stranger.keyid: signature["sig"]}})
    assert refusal.value.code == "ceremony-signature"


def test_same_signature_twice_counts_once() -> None:
    signed = sign(proposed(two_of_three()), ann())
    twice = merge([signed, signed, sign(signed, ann())])
    assert missing(twice)[("root", "root 2")] == 1


def test_key_under_a_second_name_is_refused() -> None:
    """Its holder would count twice towards a threshold."""
    twin = PublicKey(keyid="a" * 64, keytype="ed25519", scheme="ed25519", public=ann().public.public)
    with pytest.raises(Untrusted, match="expected the keyid") as refusal:
        proposed(Wish(holders=dict.fromkeys(OFFLINE_ROLES, RoleKeys((ann().public, twin), 2))))
    assert refusal.value.code == "key-id"


def test_version_that_leaves_one_out_is_refused() -> None:
    ceremony = proposed(RENEWAL)
    skipped = ceremony.new["root"].replace(b'"version":2', b'"version":3')
    with pytest.raises(Untrusted, match="expected version 2 of root, got 3") as refusal:
        open_ceremony(ceremony.current, {**ceremony.new, "root": skipped}, {})
    assert refusal.value.code == "ceremony-version"


def test_root_that_takes_the_targets_away_without_new_targets_is_refused() -> None:
    ceremony = proposed(Wish(holders={"targets": RoleKeys((ann().public,))}))
    assert list(ceremony.new) == ["root", "targets"]
    with pytest.raises(Untrusted, match="expected new versions of targets"):
        open_ceremony(ceremony.current, {"root": ceremony.new["root"]}, {})


@pytest.mark.parametrize("role", OFFLINE_ROLES)
def test_current_role_that_nobody_signed_is_no_ground_to_build_on(role: str) -> None:
    current = founded_files()
    body = json.loads(current[role])
    forged = envelope(orjson.dumps(body["signed"], option=orjson.OPT_SORT_KEYS), [LONE.sign(b"something else")])
    with pytest.raises(Untrusted) as refusal:
        propose({**current, role: forged}, RENEWAL, now=NOON, policy=POLICY)
    assert refusal.value.code == "ceremony-verify"


# No byte is signed that is not shown


@pytest.mark.parametrize(
    "add",
    [
        lambda body: body.update({"x-note": "read me"}),
        lambda body: body["roles"]["root"].update({"x": 1}),
        lambda body: body["keys"].update({"b" * 64: ann().public.as_tuf()}),
        lambda body: body.update(consistent_snapshot=False),
        lambda body: body["roles"]["timestamp"]["keyids"].append(ann().keyid),
        lambda body: body.update(spec_version="1.0.0"),
        lambda body: body.update(version=True),
        lambda body: body.pop("roles"),
    ],
)
def test_root_that_says_more_than_is_shown_is_refused(add: Callable[[Any], None]) -> None:
    ceremony = proposed(RENEWAL)
    body = orjson.loads(ceremony.new["root"])
    add(body)
    with pytest.raises(Untrusted) as refusal:
        read_terms("root", orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
    assert refusal.value.code == "offline-form"


@pytest.mark.parametrize("role", ["targets", "bins"])
def test_role_with_a_target_of_its_own_is_refused(role: str) -> None:
    body = orjson.loads(proposed(RENEWAL).new[role])
    body["targets"] = {"simple/evil/index.json": {"hashes": {"sha256": "0" * 64}, "length": 1}}
    with pytest.raises(Untrusted):
        read_terms(role, orjson.dumps(body, option=orjson.OPT_SORT_KEYS))


def test_summary_shows_who_comes_who_goes_and_who_stays() -> None:
    files = after(founded_files(), hold(proposed(two_of_three()), LONE, ann(), bo()))
    wish = Wish(
        holders=changed_holders(terms_of(files), remove=[ann().public], add=[a_signer("di").public], threshold=3),
        bins_key=a_signer("online 3").public,
    )
    lines = summarize(propose(files, wish, now=NOON, policy=POLICY), now=NOON)
    said = "\n".join(lines.changes)
    assert "signers of root: 2 of 3 -> 3 of 3" in said
    for mark, signer in (("-", ann()), ("+", a_signer("di")), (" ", bo())):
        assert f"    {mark} {signer.keyid[:4]} {signer.keyid[4:8]}" in said
    assert f"-> {a_signer('online 3').keyid[:4]}" in said
    assert any("every key is needed" in warning for warning in lines.warnings)


def test_summary_is_the_same_for_everyone_until_somebody_signs_and_the_fingerprint_after_that_too() -> None:
    ceremony = proposed(two_of_three())
    copy = read_ceremony(format_ceremony(ceremony))
    assert summarize(copy, now=NOON).text() == summarize(ceremony, now=NOON).text()
    assert sign(copy, ann()).fingerprint == ceremony.fingerprint
    assert grouped(ceremony.fingerprint[:32]) in summarize(ceremony, now=NOON).text()


def test_one_key_alone_is_warned_of() -> None:
    warnings = summarize(proposed(RENEWAL), now=NOON).warnings
    assert [line for line in warnings if "one key alone" in line]


# Files


def test_file_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(Untrusted, match="expected a ceremony file of at most"):
        read_ceremony(b" " * (MAX_CEREMONY_BYTES + 1))


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[1]", b'"x"', b"\xff", b"[" * 100_000, b"{" + b" " * 99])
def test_anything_else_is_no_ceremony_file(content: bytes) -> None:
    with pytest.raises(Untrusted) as refusal:
        read_ceremony(content)
    assert refusal.value.code == "ceremony-form"


def test_file_that_was_written_otherwise_is_refused() -> None:
    content = format_ceremony(proposed(RENEWAL))
    for other in (content + b"\n", content.replace(b"\n", b"\r\n"), orjson.dumps(orjson.loads(content))):
        with pytest.raises(Untrusted):
            read_ceremony(other)


@pytest.mark.parametrize("signer", [ann(), bo()], ids=["ed25519", "ecdsa-p256"])
def test_public_key_file_gives_the_key_back(signer: Any) -> None:
    assert read_public_key(format_public_key(signer.public)) == signer.public


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda body: body.update(keyid="0" * 64), Untrusted),
        (lambda body: body.update(format="pgp"), Refused),
        (lambda body: body.update(scheme="rsassa-pss-sha256", keytype="rsa"), Refused),
        (lambda body: body["keyval"].update(public=7), Refused),
        (lambda body: body.pop("keyval"), Refused),
    ],
)
def test_public_key_file_that_lies_is_refused(change: Callable[[Any], None], kind: type[Exception]) -> None:
    body = json.loads(format_public_key(ann().public))
    change(body)
    with pytest.raises(kind):
        read_public_key(json.dumps(body).encode())


def test_typed_fingerprint_needs_sixteen_right_digits_however_grouped() -> None:
    real = proposed(RENEWAL).fingerprint
    assert fingerprint_matches(grouped(real)[:19], real)
    assert fingerprint_matches(real.upper(), real)
    assert not fingerprint_matches(real[:15], real)
    assert not fingerprint_matches("0" * 16 if real[0] != "0" else "1" * 16, real)
    assert not fingerprint_matches(real + "0", real)


def test_holder_is_found_by_first_digits_and_never_guessed() -> None:
    keys = [ann().public, bo().public]
    assert find_holder(grouped(ann().keyid)[:9], keys) == ann().public
    for typed in ("", "zz", "0" * 64):
        with pytest.raises(
            Refused, match=f"of the keys {ann().keyid[:8]}, {bo().keyid[:8]}, got .*none begins"
        ) as refusal:
            find_holder(typed, keys)
        assert refusal.value.code == "holder-unknown"
    several = [a_signer(f"holder {number}").public for number in range(17)]
    digits = [key.keyid[0] for key in several]
    with pytest.raises(Refused, match="with which several begin"):
        find_holder(next(digit for digit in digits if digits.count(digit) > 1), several)


def test_holder_leaves_the_roles_that_they_hold_and_another_comes_there() -> None:
    keys = (ann().public, bo().public, cy().public)
    files = after(founded_files(), hold(proposed(two_of_three()), LONE, ann(), bo()))
    fewer = propose(
        files, Wish(holders=changed_holders(terms_of(files), remove=keys[:1], roles=["root"])), now=NOON, policy=POLICY
    )
    terms = terms_of(after(files, hold(fewer, ann(), bo(), cy())))
    assert changed_holders(terms, remove=keys[:1]) == dict.fromkeys(("targets", "bins"), RoleKeys(keys[1:], 2))
    di = a_signer("di").public
    in_place = changed_holders(terms, remove=keys[:1], add=[di])
    assert in_place == dict.fromkeys(("targets", "bins"), RoleKeys((*keys[1:], di), 2))
    both = changed_holders(terms, remove=keys[:2], threshold=1)
    assert both == dict.fromkeys(("root", "targets", "bins"), RoleKeys(keys[2:], 1))
    for roles in (None, ["root"]):
        with pytest.raises(Refused) as refusal:
            changed_holders(terms, remove=[di], roles=roles)
        assert refusal.value.code == "holder-unknown"


def test_algorithm_that_clients_may_lack_is_no_holders() -> None:
    key = PublicKey(keyid="0" * 64, keytype="ecdsa", scheme="ecdsa-sha2-nistp521", public="…")
    with pytest.raises(Refused) as refusal:
        check_key(key, schemes=frozenset({("ed25519", "ed25519")}))
    assert refusal.value.code == "key-algorithm"


def test_unsigned_ceremony_says_whose_signature_is_missing() -> None:
    with pytest.raises(Refused, match=LONE.keyid[:8]):
        complete(proposed(RENEWAL), now=NOON)
