"""Keys that a service keeps: AWS KMS, Google Cloud KMS, Azure Key Vault, HashiCorp Vault (and OpenBao).

| URI                                              | extra      | keys    | credentials                        |
|--------------------------------------------------|------------|---------|------------------------------------|
| `awskms:KEY` (id, ARN or alias)                  | `awskms`   | P-256   | as the AWS command line finds them |
| `gcpkms:projects/…/cryptoKeyVersions/N`          | `gcpkms`   | P-256   | Application Default Credentials    |
| `azurekms://VAULT.vault.azure.net/keys/NAME/VER` | `azurekms` | P-256   | `DefaultAzureCredential`           |
| `hv:NAME/VERSION`                                | `vault`    | Ed25519 | `VAULT_ADDR`, `~/.vault-token`     |

securesystemslib's signers talk to the service; this module reads the public key, bounds the time, and verifies every
signature before it is used, so that a service that is set up wrongly fails before anything is published.

The SDKs are big (Google's and Azure's take seconds to import, and securesystemslib imports each one that is installed):
install an extra only where the index runs.
"""

from __future__ import annotations

import base64
import importlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from wheelmark.errors import Refused, Unavailable, WheelmarkError
from wheelmark.trust.keys import PublicKey

if TYPE_CHECKING:
    from securesystemslib.signer import Signer, SSlibKey  # type: ignore[attr-defined]  # re-exported without saying so

    from wheelmark.trust.signers import OnlineSigner

ANSWER_SECONDS: Final = 20.0
"""How long one request may take, whatever the SDK's own patience; an answer that comes later is thrown away."""

MAX_LATE_ANSWERS: Final = 4
"""Requests that were given up and may still hang in an SDK; beyond these none is begun."""

MAX_ERROR_CHARS: Final = 300

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ServiceSigner:
    """A signer whose key never leaves a service."""

    uri: str
    public: PublicKey
    _service: Signer = field(repr=False, compare=False)
    _seconds: float = field(default=ANSWER_SECONDS, repr=False, compare=False)

    @property
    def keyid(self) -> str:
        return self.public.keyid

    def sign(self, signed: bytes) -> dict[str, str]:
        """A signature that was verified.

        Raises:
            Unavailable: the service does not answer, or not in time.
            Untrusted: it signs with another key, or signs something else (`signer-signature`).
        """
        answer = _asked(lambda: self._service.sign(signed), self.uri, self._seconds)
        self.public.verify(answer.signature, signed, where=self.uri)
        return {"keyid": self.public.keyid, "sig": answer.signature}


class _Service(NamedTuple):
    """What differs between the services."""

    extra: str
    module: str  # securesystemslib.signer._<module>_signer
    keys: str  # what it keeps that TUF can use, for people
    public: Callable[[str], Any]  # what is behind the colon -> the public key, as `cryptography` has it
    signer: Callable[[str, SSlibKey], Signer]


def open_service_signer(scheme: str, rest: str, *, seconds: float = ANSWER_SECONDS) -> OnlineSigner:
    """The signer that `<scheme>:<rest>` names; the service has answered with its public key.

    Raises:
        Refused: the URI names no key (`signer-uri`), or one that TUF or this service's signer cannot use.
        Unavailable: the extra is not installed (`signer-extra`), or the service does not answer (`key-away`).
    """
    service, uri = SERVICES[scheme], f"{scheme}:{rest}"
    _check_installed(service)
    found = _asked(lambda: service.public(rest), uri, seconds)
    if not isinstance(found, ed25519.Ed25519PublicKey) and not (
        isinstance(found, ec.EllipticCurvePublicKey) and isinstance(found.curve, ec.SECP256R1)
    ):
        raise Refused.because("key-algorithm", "uri", f"expected {service.keys} at {uri}, got another key")
    public = PublicKey.of(found)
    return ServiceSigner(uri, public, _asked(lambda: service.signer(rest, _sslib(public)), uri, seconds), seconds)


def _sslib(public: PublicKey) -> SSlibKey:
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    return SSlibKey(public.keyid, public.keytype, public.scheme, {"public": public.public})


_late: set[threading.Thread] = set()


def _asked(ask: Callable[[], Answer], uri: str, seconds: float) -> Answer:
    """What the service answers within the time. Each SDK has its own errors and its own idea of patience."""
    given: list[Answer] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            given.append(ask())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that asked
            failed.append(error)

    _late.difference_update({thread for thread in list(_late) if not thread.is_alive()})
    if len(_late) >= MAX_LATE_ANSWERS:
        raise Unavailable(f"{uri} has not answered {len(_late)} requests: it is not asked again yet", code="key-away")
    thread = threading.Thread(target=work, name="key-service", daemon=True)
    thread.start()
    thread.join(seconds)
    if given:
        return given[0]
    if not failed:
        _late.add(thread)
        raise Unavailable(f"{uri} did not answer within {seconds:g} s", code="key-away")
    raise _meant(failed[0], uri) from failed[0]


def _meant(error: BaseException, uri: str) -> BaseException:
    from securesystemslib.exceptions import UnsupportedAlgorithmError

    if isinstance(error, WheelmarkError) or not isinstance(error, Exception):
        return error
    said = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS]
    if isinstance(error, UnsupportedAlgorithmError):
        return Refused.because("key-algorithm", "uri", f"expected a key that TUF can use at {uri}, got {said}")
    return Unavailable(f"{uri} does not answer as it should ({said})", code="key-away")


def _check_installed(service: _Service) -> None:
    module = _sdk(service.module)
    missing = getattr(module, f"{service.module.upper()}_IMPORT_ERROR")
    if missing:
        message = f"this key service needs its SDK: install wheelmark[{service.extra}]"
        raise Unavailable(message, code="signer-extra")


def _sdk(module: str) -> Any:
    """securesystemslib's module for a service, which imports the SDK if it is installed."""
    return importlib.import_module(f"securesystemslib.signer._{module}_signer")


def _aws_public(rest: str) -> Any:
    from securesystemslib.signer import AWSSigner  # type: ignore[attr-defined]

    return load_pem_public_key(AWSSigner.import_(rest)[1].keyval["public"].encode())


def _aws_signer(rest: str, public: SSlibKey) -> Signer:
    from securesystemslib.signer import AWSSigner  # type: ignore[attr-defined]

    return AWSSigner(rest, public)


def _gcp_public(rest: str) -> Any:
    from securesystemslib.signer import GCPSigner  # type: ignore[attr-defined]

    if "/cryptoKeyVersions/" not in rest:
        raise _no_key("gcpkms:projects/…/cryptoKeys/KEY/cryptoKeyVersions/N", f"gcpkms:{rest}")
    return load_pem_public_key(GCPSigner.import_(rest)[1].keyval["public"].encode())


def _gcp_signer(rest: str, public: SSlibKey) -> Signer:
    from securesystemslib.signer import GCPSigner  # type: ignore[attr-defined]

    return GCPSigner(rest, public)


def _azure_public(rest: str) -> Any:
    """The key of exactly this version: securesystemslib's import takes the newest, which a rotation replaces."""
    sdk = _sdk("azure")
    parts = urlsplit(f"azurekms:{rest}")
    path = parts.path.split("/")
    if not parts.hostname or len(path) != 4 or path[1] != "keys" or not all(path[2:]):
        raise _no_key("azurekms://VAULT.vault.azure.net/keys/NAME/VERSION", f"azurekms:{rest}")
    client = sdk.KeyClient(vault_url=f"https://{parts.hostname}/", credential=sdk.DefaultAzureCredential())
    found = client.get_key(path[2], path[3]).key
    if not found.kty.startswith("EC") or found.crv != sdk.KeyCurveName.p_256:
        return None
    x, y = int.from_bytes(found.x, "big"), int.from_bytes(found.y, "big")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def _azure_signer(rest: str, public: SSlibKey) -> Signer:
    from securesystemslib.signer import AzureSigner  # type: ignore[attr-defined]

    return AzureSigner(f"https:{rest}", public)


def _vault_public(rest: str) -> Any:
    """The key of exactly this version, for the same reason."""
    sdk = _sdk("vault")
    name, version = _vault_name(rest)
    answer = sdk.hvac.Client().secrets.transit.read_key(name)["data"]
    if answer["type"] != "ed25519":
        return None
    if str(version) not in answer["keys"]:
        raise Unavailable(f"expected version {version} of hv:{rest}, got no such version", code="key-missing")
    return ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(answer["keys"][str(version)]["public_key"]))


def _vault_signer(rest: str, public: SSlibKey) -> Signer:
    from securesystemslib.signer import VaultSigner  # type: ignore[attr-defined]

    name, version = _vault_name(rest)
    return VaultSigner(name, public, version)


def _vault_name(rest: str) -> tuple[str, int]:
    name, slash, version = rest.partition("/")
    if not name or not slash or not version.isascii() or not version.isdigit():
        raise _no_key("hv:NAME/VERSION", f"hv:{rest}")
    return name, int(version)


def _no_key(expected: str, got: str) -> Refused:
    return Refused.because("signer-uri", "uri", f"expected {expected}, got {got!r}")


SERVICES: Final[Mapping[str, _Service]] = MappingProxyType(
    {
        "awskms": _Service("awskms", "aws", "an ECDSA P-256 key", _aws_public, _aws_signer),
        "gcpkms": _Service("gcpkms", "gcp", "an ECDSA P-256 key", _gcp_public, _gcp_signer),
        "azurekms": _Service("azurekms", "azure", "an ECDSA P-256 key", _azure_public, _azure_signer),
        "hv": _Service("vault", "vault", "an Ed25519 key", _vault_public, _vault_signer),
    }
)
