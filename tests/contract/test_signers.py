"""One suite for every signer: what TUF asks of a signature holds whoever keeps the key."""

from __future__ import annotations

import functools
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pkcs11
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import (  # type: ignore[attr-defined]  # re-exported without saying so
    CryptoSigner,
    Key,
    Signature,
    SSlibKey,
)

from support.key_services import SERVICES, KeyService, servers_stopped
from support.tokens import KEY_IDS, PIN, FakeLibrary, FakeToken, soft_token
from wheelmark.errors import Refused, Unavailable, Untrusted
from wheelmark.trust import SCHEMES, OnlineSigner, PublicKey, generate_key, open_signer
from wheelmark.trust.keyfile import MAX_KEY_FILE_BYTES, Algorithm, encrypt_private_key, new_private_key

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
CHEAP = 2  # scrypt at its cheapest: the cost is a parameter of the file, and one test keeps the real one
SECRET = b"correct horse"


def secret() -> bytes:
    return SECRET


def a_key_file(folder: Path, algorithm: Algorithm = "ed25519") -> tuple[Path, PublicKey]:
    path = folder / "key.pem"
    return path, generate_key(path, passphrase=secret, algorithm=algorithm, scrypt_cost=CHEAP)


Make = Callable[[Path, pytest.MonkeyPatch], OnlineSigner]
"""Makes a signer, with a folder of its own; what it must put in place for that goes away after the test."""


def _memory(algorithm: Algorithm) -> Make:
    return lambda folder, patch: open_signer(f"memory:{algorithm}", passphrase=secret)


def _pkcs8(algorithm: Algorithm) -> Make:
    return lambda folder, patch: open_signer(f"pkcs8:{a_key_file(folder, algorithm)[0]}", passphrase=secret)


def _token(algorithm: Algorithm) -> Make:
    def make(_folder: Path, patch: pytest.MonkeyPatch) -> OnlineSigner:
        token = FakeToken(pin=SECRET.decode())
        token.generate(algorithm)
        library = FakeLibrary([token])
        patch.setattr(pkcs11, "lib", lambda path: library)
        return open_signer(library.uri(KEY_IDS[algorithm]), passphrase=secret)

    return make


def _softhsm(algorithm: Algorithm) -> Make:
    def make(folder: Path, _patch: pytest.MonkeyPatch) -> OnlineSigner:
        token = soft_token()
        (folder / "pin").write_text(PIN)
        return open_signer(token.uri(algorithm, more=f"&pin-source=file:{folder / 'pin'}"), passphrase=secret)

    return make


def _service(name: str) -> Make:
    def make(_folder: Path, patch: pytest.MonkeyPatch) -> OnlineSigner:
        return open_signer(SERVICES[name](KeyService(), patch), passphrase=secret)

    return make


SIGNERS = [
    pytest.param(
        scheme(algorithm),
        id=f"{scheme.__name__.strip('_')}-{algorithm}",
        marks=[pytest.mark.services] if scheme is _softhsm else [],
    )
    for scheme in (_memory, _pkcs8, _token, _softhsm)
    for algorithm in ALGORITHMS
]
SIGNERS += [pytest.param(_service(name), id=name) for name in SERVICES]


@pytest.fixture(params=SIGNERS)
def signer(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnlineSigner]:
    with servers_stopped():
        yield request.param(tmp_path, monkeypatch)


def verifier(public: PublicKey) -> SSlibKey:
    key = Key.from_dict(public.keyid, dict(public.as_tuf()))
    assert isinstance(key, SSlibKey)
    return key


class TestEverySigner:
    def test_a_signature_is_verified_by_securesystemslib(self, signer: OnlineSigner) -> None:
        for signed in (b"", b"signed part", bytes(range(256)) * 100):
            signature = signer.sign(signed)
            verifier(signer.public).verify_signature(Signature.from_dict(dict(signature)), signed)
            signer.public.verify(signature["sig"], signed, where="here")

    def test_a_signature_holds_for_nothing_else(self, signer: OnlineSigner) -> None:
        signature = Signature.from_dict(signer.sign(b"signed part"))
        with pytest.raises(UnverifiedSignatureError):
            verifier(signer.public).verify_signature(signature, b"signed part ")
        with pytest.raises(Untrusted, match="does not verify"):
            signer.public.verify(signature.signature, b"signed part ", where="here")

    def test_the_keyid_is_the_one_that_tuf_computes(self, signer: OnlineSigner) -> None:
        from securesystemslib.signer._utils import compute_default_keyid

        key = verifier(signer.public)
        assert signer.keyid == signer.public.keyid == compute_default_keyid(key.keytype, key.scheme, key.keyval)
        assert signer.sign(b"")["keyid"] == signer.keyid

    def test_the_key_is_found_again_by_its_uri(self, signer: OnlineSigner) -> None:
        scheme = signer.uri.partition(":")[0]
        assert scheme in SCHEMES
        again = open_signer(signer.uri, passphrase=secret)
        assert again.uri == signer.uri
        assert (again.public == signer.public) == (scheme != "memory")

    def test_the_private_key_is_not_printed(self, signer: OnlineSigner) -> None:
        assert "Private" not in repr(signer)
        assert "_key=" not in repr(signer)

    def test_another_key_than_expected_is_untrusted(self, signer: OnlineSigner) -> None:
        other = open_signer("memory:ed25519", passphrase=secret).public
        with pytest.raises(Untrusted, match=re.escape(f"expected key {other.keyid} at {signer.uri}, got")) as distrust:
            open_signer(signer.uri, passphrase=secret, public=other)
        assert distrust.value.code == "key-mismatch"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
class TestKeyFile:
    def test_the_generated_key_is_the_one_that_opens(self, tmp_path: Path, algorithm: Algorithm) -> None:
        path, public = a_key_file(tmp_path, algorithm)
        assert open_signer(f"pkcs8:{path}", passphrase=secret, public=public).public == public

    def test_only_its_owner_may_read_it(self, tmp_path: Path, algorithm: Algorithm) -> None:
        path, _ = a_key_file(tmp_path, algorithm)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [path]

    def test_it_is_encrypted(self, tmp_path: Path, algorithm: Algorithm) -> None:
        path, _ = a_key_file(tmp_path, algorithm)
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        with pytest.raises(TypeError, match="encrypted"):
            serialization.load_pem_private_key(path.read_bytes(), None)

    def test_an_existing_key_is_never_overwritten(self, tmp_path: Path, algorithm: Algorithm) -> None:
        path, _ = a_key_file(tmp_path, algorithm)
        before = path.read_bytes()
        with pytest.raises(Refused, match="expected no file yet") as refusal:
            a_key_file(tmp_path, algorithm)
        assert refusal.value.code == "key-exists"
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_no_wrong_passphrase_opens_it_and_each_says_so(self, tmp_path: Path, algorithm: Algorithm) -> None:
        """One wrong passphrase in 256 decrypts to sound padding: enough of them are tried to meet that case."""
        path, _ = a_key_file(tmp_path, algorithm)
        for number in range(1_500):
            with pytest.raises(Unavailable) as failure:
                open_signer(f"pkcs8:{path}", passphrase=functools.partial(bytes, f"wrong {number}", "ascii"))
            assert failure.value.code == "key-passphrase"

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="an independent reader of PKCS#8, where there is one")
    def test_openssl_reads_it(self, tmp_path: Path, algorithm: Algorithm) -> None:
        path, public = a_key_file(tmp_path, algorithm)
        command = ["openssl", "pkey", "-in", str(path), "-passin", f"pass:{SECRET.decode()}", "-pubout"]
        told = subprocess.run(command, capture_output=True, check=True).stdout
        assert PublicKey.of(serialization.load_pem_public_key(told)) == public


def test_the_passphrase_costs_what_the_constant_says(tmp_path: Path) -> None:
    """The one key that is stretched in earnest; `cryptography` reads what was written by hand."""
    path = tmp_path / "key.pem"
    public = generate_key(path, passphrase=secret)
    assert open_signer(f"pkcs8:{path}", passphrase=secret, public=public).sign(b"")["keyid"] == public.keyid
    der = _der(path)
    assert bytes.fromhex("2b06010401da47040b") in der  # the object identifier of scrypt (RFC 7914 § 7)
    assert bytes.fromhex("0203020000020108020101") in der  # n = 131072, r = 8, p = 1


def _der(path: Path) -> bytes:
    import base64

    return base64.b64decode(b"".join(path.read_bytes().splitlines()[1:-1]))


def test_two_files_of_one_key_share_no_salt() -> None:
    key = new_private_key("ed25519")
    assert encrypt_private_key(key, SECRET, scrypt_cost=CHEAP) != encrypt_private_key(key, SECRET, scrypt_cost=CHEAP)


def test_an_empty_passphrase_protects_nothing_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="expected at least one byte") as refusal:
        generate_key(tmp_path / "key.pem", passphrase=lambda: b"")
    assert refusal.value.code == "key-passphrase"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_passphrase_opens_nothing(tmp_path: Path) -> None:
    path, _ = a_key_file(tmp_path)
    with pytest.raises(Unavailable) as failure:
        open_signer(f"pkcs8:{path}", passphrase=lambda: b"")
    assert failure.value.code == "key-passphrase"


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"expected a key file at .*key\.pem, got none") as failure:
        open_signer(f"pkcs8:{tmp_path / 'key.pem'}", passphrase=secret)
    assert failure.value.code == "key-missing"


def test_an_unreadable_place_is_said_to_be_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as failure:
        open_signer(f"pkcs8:{tmp_path}", passphrase=secret)
    assert failure.value.code == "key-unreadable"


def test_a_folder_that_is_not_there_holds_no_new_key(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as failure:
        generate_key(tmp_path / "no folder" / "key.pem", passphrase=secret, scrypt_cost=CHEAP)
    assert failure.value.code == "key-unwritable"


def _unencrypted() -> bytes:
    return bytes(CryptoSigner.generate_ed25519().private_bytes)


def _damaged() -> bytes:
    lines = encrypt_private_key(new_private_key("ed25519"), SECRET, scrypt_cost=CHEAP).splitlines()
    return b"\n".join([lines[0], lines[1], lines[-1]])


def _endless() -> bytes:
    return encrypt_private_key(new_private_key("ed25519"), SECRET, scrypt_cost=CHEAP) + b"#" * MAX_KEY_FILE_BYTES


@pytest.mark.parametrize(
    "content",
    [lambda: b"", lambda: b"junk", _unencrypted, _damaged, _endless],
    ids=["empty", "junk", "plain", "cut", "endless"],
)
def test_a_file_that_is_no_encrypted_key_is_refused_before_the_passphrase_is_asked(
    tmp_path: Path, content: Callable[[], bytes]
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content())
    with pytest.raises(Refused, match="expected an encrypted PKCS#8 key") as refusal:
        open_signer(f"pkcs8:{path}", passphrase=_never_asked)
    assert refusal.value.code == "key-format"


def _never_asked() -> bytes:
    raise AssertionError("the passphrase was asked for")


def test_a_key_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(encrypt_private_key(key, SECRET, scrypt_cost=CHEAP))  # type: ignore[arg-type]  # that is the point
    with pytest.raises(Refused, match="expected an Ed25519 or ECDSA P-256 key") as refusal:
        open_signer(f"pkcs8:{path}", passphrase=secret)
    assert refusal.value.code == "key-algorithm"


@pytest.mark.parametrize("uri", ["", "pkcs8", "hsm2:2?label=x", "/keys/online.pem", ":x"])
def test_an_unknown_scheme_is_refused(uri: str) -> None:
    with pytest.raises(Refused, match=r"expected one of .*memory:.*pkcs8:, got") as refusal:
        open_signer(uri, passphrase=secret)
    assert refusal.value.code == "signer-scheme"


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(Refused, match="expected memory:ed25519 or memory:ecdsa-p256") as refusal:
        open_signer("memory:rot13", passphrase=secret)
    assert refusal.value.code == "key-algorithm"


def test_another_scheme_is_another_entry_in_the_table() -> None:
    mine = open_signer("memory:", passphrase=secret)
    opened = open_signer("hsm:2?label=x", passphrase=secret, schemes={**SCHEMES, "hsm": lambda rest, passphrase: mine})
    assert opened is mine
