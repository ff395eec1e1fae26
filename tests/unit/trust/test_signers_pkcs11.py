"""Tokens that are pulled, locked, mislabelled or lying. What holds for every signer is `contract/test_signers.py`."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from support.tokens import KEY_IDS, PIN, FakeLibrary, FakeToken
from wheelmark.errors import Refused, Unavailable, Untrusted
from wheelmark.trust import OnlineSigner, open_signer
from wheelmark.trust.keyfile import new_private_key

P256, ED25519 = KEY_IDS["ecdsa-p256"], KEY_IDS["ed25519"]


@pytest.fixture
def token() -> FakeToken:
    token = FakeToken()
    token.generate("ecdsa-p256")
    token.generate("ed25519")
    return token


@pytest.fixture
def library(token: FakeToken, monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    library = FakeLibrary([token])

    def load(path: str) -> FakeLibrary:
        if path != library.path:
            raise pkcs11.PKCS11Error(f"OS exception while loading {path}")
        return library

    monkeypatch.setattr(pkcs11, "lib", load)
    return library


def pin() -> bytes:
    return PIN.encode()


def opened(library: FakeLibrary, key_id: bytes = P256, passphrase: Callable[[], bytes] = pin) -> OnlineSigner:
    return open_signer(library.uri(key_id), passphrase=passphrase)


def signs(signer: OnlineSigner) -> None:
    signer.public.verify(signer.sign(b"signed part")["sig"], b"signed part", where="the token")


def test_one_login_serves_all_signatures_of_all_keys_on_the_token(library: FakeLibrary, token: FakeToken) -> None:
    signers = [opened(library), opened(library, ED25519), opened(library)]
    for signer in signers * 20:
        signs(signer)
    assert token.logins == 1


def test_pulled_token_is_unavailable_and_used_again_once_it_is_back(library: FakeLibrary, token: FakeToken) -> None:
    first, second = opened(library), opened(library, ED25519)
    token.pull()
    for _ in range(3):
        with pytest.raises(Unavailable, match="expected key 02 on token 'index', got no such token") as failure:
            first.sign(b"")
        assert failure.value.code == "key-missing"
    token.plug_in()
    for signer in (first, second) * 3:
        signs(signer)
    assert token.logins == 2


def test_token_that_was_pulled_and_put_back_between_two_signatures_goes_unnoticed(
    library: FakeLibrary, token: FakeToken
) -> None:
    signer = opened(library)
    token.pull()
    token.plug_in()
    signs(signer)


def test_token_that_fails_twice_is_unavailable(
    library: FakeLibrary, token: FakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = opened(library)

    def fails(user_pin: str | None = None) -> Any:
        raise pkcs11.DeviceError

    token.pull()
    token.plug_in()
    monkeypatch.setattr(token, "open", fails)
    with pytest.raises(Unavailable, match="failed: DeviceError") as failure:
        signer.sign(b"")
    assert failure.value.code == "key-away"


def test_wrong_pin_is_tried_once_and_a_mended_one_at_once(library: FakeLibrary, token: FakeToken) -> None:
    for _ in range(5):
        with pytest.raises(Unavailable, match="refused the PIN") as failure:
            opened(library, passphrase=lambda: b"wrong")
        assert failure.value.code == "key-passphrase"
        assert "wrong" not in str(failure.value)
    assert token.logins == 1, "a token locks after a few wrong PINs"
    signs(opened(library))
    assert token.logins == 2


def test_token_that_another_part_of_the_process_logged_in_to_is_used(library: FakeLibrary, token: FakeToken) -> None:
    token.logged_in = True
    signs(opened(library))


def test_pin_may_come_from_a_place_of_its_own(library: FakeLibrary, tmp_path: Path) -> None:
    (tmp_path / "my pin").write_text(f"{PIN}\n")
    source = f"&pin-source=file:{tmp_path}/my%20pin"

    def never() -> bytes:
        raise AssertionError("the other passphrase was asked for")

    signs(open_signer(library.uri(P256, more=source), passphrase=never))


def test_public_key_that_is_not_the_private_keys_own_publishes_nothing(library: FakeLibrary, token: FakeToken) -> None:
    token.public_keys[P256] = new_private_key("ecdsa-p256")
    signer = opened(library)
    for _ in range(2):
        with pytest.raises(Untrusted, match="does not verify") as distrust:
            signer.sign(b"")
        assert distrust.value.code == "signer-signature"


@pytest.mark.parametrize("missing", ["private_keys", "public_keys"])
def test_missing_half_of_a_key_is_said(library: FakeLibrary, token: FakeToken, missing: str) -> None:
    getattr(token, missing).pop(P256)
    with pytest.raises(Unavailable, match="expected key 02 on token 'index', got no such key") as failure:
        opened(library).sign(b"")
    assert failure.value.code == "key-missing"


def test_key_of_another_curve_is_refused(library: FakeLibrary, token: FakeToken) -> None:
    token.public_keys[P256] = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(Refused) as refusal:
        opened(library)
    assert refusal.value.code == "key-algorithm"


def test_two_tokens_of_one_label_are_refused(library: FakeLibrary) -> None:
    library.tokens.append(FakeToken())
    with pytest.raises(Refused, match="name serial") as refusal:
        opened(library)
    assert refusal.value.code == "signer-uri"


def test_library_that_does_not_load_is_unavailable(library: FakeLibrary) -> None:
    with pytest.raises(Unavailable, match=r"/no/such\.so") as failure:
        open_signer("pkcs11:token=index;id=%02?module-path=/no/such.so", passphrase=pin)
    assert failure.value.code == "key-away"


@pytest.mark.parametrize(
    ("rest", "fault"),
    [
        ("", "module-path"),
        ("token=index;id=%02", "module-path"),
        ("token=index?module-path=/m.so", "id or object"),
        ("id=%02?module-path=/m.so", "token or serial"),
        ("token=index;id=%02?module-path=/m.so&pin-value=1234", "got 'pin-value'"),
        ("token=index;id=%02;slot-id=1?module-path=/m.so", "got 'slot-id'"),
        ("token=index;token=other;id=%02?module-path=/m.so", "once at most, got 'token'"),
        ("token=index;id=%02;type=public?module-path=/m.so", "type=private"),
    ],
)
def test_uri_that_names_no_key_is_refused_and_shows_no_pin(rest: str, fault: str) -> None:
    with pytest.raises(Refused, match=fault) as refusal:
        open_signer(f"pkcs11:{rest}", passphrase=pin)
    assert refusal.value.code == "signer-uri"
    assert "1234" not in str(refusal.value)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "pkcs11":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unavailable, match=r"install wheelmark\[hsm\]") as failure:
        open_signer("pkcs11:token=index;id=%02?module-path=/m.so", passphrase=pin)
    assert failure.value.code == "signer-extra"


def test_many_threads_sign_with_one_session(library: FakeLibrary, token: FakeToken) -> None:
    signers = [opened(library), opened(library, ED25519)]
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(20):
                signs(signers[number % 2])
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test must see it
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failed == []
    assert token.logins == 1


def test_pin_is_not_printed(library: FakeLibrary) -> None:
    assert PIN not in repr(opened(library)).replace(opened(library).keyid, "")
