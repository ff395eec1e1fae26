"""Key services that are away, slow, set up wrongly or not installed. What holds for every signer is in `contract`."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.key_services import SERVICES, KeyService, servers_stopped
from wheelmark.errors import Refused, Unavailable, Untrusted
from wheelmark.trust import OnlineSigner, open_signer, signers_services
from wheelmark.trust.signers_services import MAX_LATE_ANSWERS, open_service_signer


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    with servers_stopped():
        yield


@pytest.fixture(params=list(SERVICES))
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def service() -> KeyService:
    return KeyService()


@pytest.fixture
def uri(name: str, service: KeyService, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(signers_services, "_late", set())
    return SERVICES[name](service, monkeypatch)


def opened(uri: str) -> OnlineSigner:
    return open_signer(uri, passphrase=bytes)


def test_service_that_is_away_is_unavailable_and_used_once_it_is_back(uri: str, service: KeyService) -> None:
    service.away = True
    with pytest.raises(Unavailable, match="does not answer as it should") as failure:
        opened(uri)
    assert failure.value.code == "key-away"
    service.away = False
    signer = opened(uri)
    service.away = True
    with pytest.raises(Unavailable) as failure:
        signer.sign(b"signed part")
    assert failure.value.code == "key-away"
    service.away = False
    assert signer.sign(b"signed part")["keyid"] == signer.keyid


def test_service_that_signs_with_another_key_than_it_shows_publishes_nothing(uri: str, service: KeyService) -> None:
    signer = opened(uri)
    signer.sign(b"signed part")
    service.signs_with = ec.generate_private_key(ec.SECP256R1())
    for _ in range(2):
        with pytest.raises(Untrusted, match="does not verify") as distrust:
            signer.sign(b"signed part")
        assert distrust.value.code == "signer-signature"


def test_service_that_hangs_is_given_up_and_not_asked_without_end(uri: str, service: KeyService) -> None:
    scheme, _, rest = uri.partition(":")
    signer = open_service_signer(scheme, rest, seconds=0.2)
    service.hangs = threading.Event()
    began = time.monotonic()
    try:
        for _ in range(MAX_LATE_ANSWERS):
            with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
                signer.sign(b"signed part")
        with pytest.raises(Unavailable, match="it is not asked again yet"):
            signer.sign(b"signed part")
        assert time.monotonic() - began < 10
    finally:
        service.hangs.set()
    for thread in list(signers_services._late):
        thread.join(timeout=30)
    service.hangs = None
    assert open_service_signer(scheme, rest).sign(b"signed part")["keyid"] == signer.keyid


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_key_of_another_kind_is_refused(uri: str, service: KeyService, kind: str) -> None:
    if kind == "rsa":
        service.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        service.key = ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(Refused, match="expected a") as refusal:
        opened(uri)
    assert refusal.value.code == "key-algorithm"


def test_without_the_extra_the_error_says_what_to_install(name: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    part = {"amazon": "aws", "google": "gcp"}.get(name, name)
    module = importlib.import_module(f"securesystemslib.signer._{part}_signer")
    monkeypatch.setattr(module, f"{part.upper()}_IMPORT_ERROR", "not there")
    extra = {"amazon": "awskms", "google": "gcpkms", "azure": "azurekms", "vault": "vault"}[name]
    with pytest.raises(Unavailable, match=rf"install wheelmark\[{extra}\]") as failure:
        opened(uri)
    assert failure.value.code == "signer-extra"


@pytest.mark.parametrize(
    "uri",
    [
        "gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "azurekms://vault.vault.azure.net/keys/online",
        "azurekms:online",
        "hv:online",
        "hv:online/newest",
    ],
)
def test_uri_without_the_version_of_a_key_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest version changes when somebody rotates the key there, and then no client accepts what it signs."""
    for put_in_place in (SERVICES["google"], SERVICES["azure"], SERVICES["vault"]):
        put_in_place(KeyService(), monkeypatch)
    with pytest.raises(Refused, match=r"expected .*(VERSION|cryptoKeyVersions)") as refusal:
        opened(uri)
    assert refusal.value.code == "signer-uri"


def test_version_that_vault_does_not_have_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    SERVICES["vault"](KeyService(), monkeypatch)
    with pytest.raises(Unavailable) as failure:
        opened("hv:online/7")
    assert failure.value.code == "key-missing"
