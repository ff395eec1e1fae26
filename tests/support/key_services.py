"""Key services in memory: small stand-ins for the clients that securesystemslib's signers use.

AWS is a server on the loopback, asked by the real boto3 (moto's hashes what is hashed already). Google's, Azure's and
Vault's SDKs are no dependency of the tests: their clients are put into securesystemslib's modules, in the shape that
those modules use. So what is shown is our use of the signers; no service was ever asked.
"""

from __future__ import annotations

import base64
import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

P256_BYTES = 32


@dataclass
class KeyService:
    """What a service keeps, and how it misbehaves."""

    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    signs_with: Any = None  # another key than it shows: somebody set it up wrongly
    away: bool = False
    hangs: threading.Event | None = None

    def public(self, *, der: bool = False) -> bytes:
        self.answer()
        encoding = serialization.Encoding.DER if der else serialization.Encoding.PEM
        public: bytes = self.key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        return public

    def sign_digest(self, digest: bytes) -> bytes:
        """An ECDSA signature in DER."""
        self.answer()
        key = self.signs_with or self.key
        signature: bytes = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        return signature

    def answer(self) -> None:
        if self.hangs is not None:
            self.hangs.wait(60)
        if self.away:
            raise ConnectionError("nobody there")


def _module(name: str, patch: pytest.MonkeyPatch, **attributes: Any) -> None:
    module = importlib.import_module(f"securesystemslib.signer._{name}_signer")
    patch.setattr(module, f"{name.upper()}_IMPORT_ERROR", None)
    for attribute, value in attributes.items():
        patch.setattr(module, attribute, value, raising=False)


def google(service: KeyService, patch: pytest.MonkeyPatch) -> str:
    """Put this service behind Google's client; gives the URI of its key."""

    class Client:
        def get_public_key(self, request: Any) -> Any:
            pem = service.public().replace(b"\n", b"\r\n")  # whatever the spelling, the keyid is the same
            algorithm = 12 if isinstance(service.key, ec.EllipticCurvePrivateKey) else 40
            return SimpleNamespace(algorithm=algorithm, public_key=SimpleNamespace(data=pem))

        def asymmetric_sign(self, request: Any) -> Any:
            assert set(request["digest"]) == {"sha256"}
            return SimpleNamespace(signature=service.sign_digest(request["digest"]["sha256"]))

    kms = SimpleNamespace(
        KeyManagementServiceClient=Client,
        PublicKey=SimpleNamespace(PublicKeyFormat=SimpleNamespace(PEM=1)),
    )
    _module("gcp", patch, kms=kms, KEYTYPES_AND_SCHEMES={12: ("ecdsa", "ecdsa-sha2-nistp256")})
    return "gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"


def azure(service: KeyService, patch: pytest.MonkeyPatch) -> str:
    """Put this service behind Azure's clients; gives the URI of its key."""

    class KeyClient:
        def __init__(self, *, vault_url: str, credential: Any) -> None:
            assert vault_url == "https://vault.vault.azure.net/"

        def get_key(self, name: str, version: str) -> Any:
            assert (name, version) == ("online", "0a1b")
            service.answer()
            if not isinstance(service.key, ec.EllipticCurvePrivateKey):
                return SimpleNamespace(key=SimpleNamespace(kty="RSA", crv=None))
            numbers = service.key.public_key().public_numbers()
            curve = service.key.curve
            x, y = (number.to_bytes(curve.key_size // 8, "big") for number in (numbers.x, numbers.y))
            return SimpleNamespace(key=SimpleNamespace(kty="EC-HSM", crv=f"P-{curve.key_size}", x=x, y=y))

    class CryptographyClient:
        def __init__(self, key: str, *, credential: Any) -> None:
            assert key == "https://vault.vault.azure.net/keys/online/0a1b"

        def sign(self, algorithm: str, digest: bytes) -> Any:
            assert algorithm == "ES256"
            numbers = decode_dss_signature(service.sign_digest(digest))
            return SimpleNamespace(signature=b"".join(number.to_bytes(P256_BYTES, "big") for number in numbers))

    _module(
        "azure",
        patch,
        KeyClient=KeyClient,
        CryptographyClient=CryptographyClient,
        DefaultAzureCredential=object,
        encode_dss_signature=encode_dss_signature,
        KeyCurveName=SimpleNamespace(p_256="P-256"),
        KEYTYPES_AND_SCHEMES={"P-256": ("ecdsa", "ecdsa-sha2-nistp256")},
        SIGNATURE_ALGORITHMS={"ecdsa-sha2-nistp256": "ES256"},
    )
    return "azurekms://vault.vault.azure.net/keys/online/0a1b"


def vault(service: KeyService, patch: pytest.MonkeyPatch) -> str:
    """Put this service behind Vault's client; gives the URI of its key, which is not the newest version."""
    if isinstance(service.key, ec.EllipticCurvePrivateKey):
        service.key = ed25519.Ed25519PrivateKey.generate()

    class Transit:
        def read_key(self, name: str) -> Any:
            assert name == "online"
            service.answer()
            if not isinstance(service.key, ed25519.Ed25519PrivateKey):
                return {"data": {"type": "rsa-2048", "keys": {}}}
            newest = ed25519.Ed25519PrivateKey.generate()
            keys = {"2": {"public_key": _raw(service.key)}, "10": {"public_key": _raw(newest)}}
            return {"data": {"type": "ed25519", "keys": keys}}

        def sign_data(self, name: str, *, hash_input: str, key_version: int) -> Any:
            assert (name, key_version) == ("online", 2)
            service.answer()
            key = service.key if service.signs_with is None else ed25519.Ed25519PrivateKey.generate()
            signature = base64.b64encode(key.sign(base64.b64decode(hash_input))).decode()
            return {"data": {"signature": f"vault:v{key_version}:{signature}"}}

    client = SimpleNamespace(secrets=SimpleNamespace(transit=Transit()))
    _module("vault", patch, hvac=SimpleNamespace(Client=lambda: client), Ed25519PublicKey=ed25519.Ed25519PublicKey)
    return "hv:online/2"


def _raw(key: ed25519.Ed25519PrivateKey) -> str:
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(public).decode()


def amazon(service: KeyService, patch: pytest.MonkeyPatch) -> str:
    """Serve this service to boto3 while the test runs; gives the URI of its key."""
    address = _amazon_server(service)
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        patch.setenv(name, value)
    return "awskms:alias/online"


def _amazon_server(service: KeyService) -> str:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert request["KeyId"] == "alias/online"
            try:
                status, answer = 200, self._answer(request)
            except ConnectionError:
                status, answer = 400, {"__type": "AccessDeniedException", "message": "not yours"}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _answer(self, request: Any) -> dict[str, Any]:
            if self.headers["X-Amz-Target"] == "TrentService.GetPublicKey":
                algorithm = "ECDSA_SHA_256" if isinstance(service.key, ec.EllipticCurvePrivateKey) else "ED25519"
                der = base64.b64encode(service.public(der=True)).decode()
                return {"KeyId": "k", "PublicKey": der, "SigningAlgorithms": [algorithm]}
            assert (request["MessageType"], request["SigningAlgorithm"]) == ("DIGEST", "ECDSA_SHA_256")
            signature = service.sign_digest(base64.b64decode(request["Message"]))
            return {"KeyId": "k", "Signature": base64.b64encode(signature).decode()}

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _servers.append(server)
    return f"http://127.0.0.1:{server.server_port}"


_servers: list[ThreadingHTTPServer] = []


@contextmanager
def servers_stopped() -> Iterator[None]:
    """Stops, at the end, whatever was started inside."""
    try:
        yield
    finally:
        while _servers:
            server = _servers.pop()
            server.shutdown()
            server.server_close()


SERVICES = {"amazon": amazon, "google": google, "azure": azure, "vault": vault}
