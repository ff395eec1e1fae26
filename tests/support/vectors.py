"""Test vectors for whoever writes a verifying client: tiny indexes, what is asked of them, and what must come of it.

    PYTHONPATH=src:tests python -m support.vectors         writes tests/data/vectors anew

Keys and clock are fixed, so the same bytes come out every time. The keys are made from their names, which stand here:
they protect nothing, and an index signed by them is nobody's.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # re-exported without saying so

from support.hostile_mirror import signed_anew
from support.repository import SignedRepository

FOLDER = Path(__file__).parent.parent / "data" / "vectors"
INDEX = "https://index.example/simple/"
SIGNED_AT = datetime(2026, 11, 1, tzinfo=UTC)
CENTURY = timedelta(days=36_500)  # what is not meant to be expired never is, whatever clock a client looks at
LONG_AGO = timedelta(days=-3_650)
DEMO = "demo-1.0-py3-none-any.whl"
CORE_METADATA = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
PROVENANCE = b'{"version":1,"attestation_bundles":[]}'
PAGE = {"page": "demo"}

Expected = dict[str, Any]


def signer_named(name: str) -> CryptoSigner:
    """The key whose seed is the sha256 of its name."""
    seed = hashlib.sha256(f"Wheelmark test vectors, key of {name}".encode()).digest()
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed))


def _repository() -> SignedRepository:
    repository = SignedRepository(signer=signer_named, lifetime=CENTURY, clock=lambda: SIGNED_AT)
    repository.add_file(DEMO, b"the bytes of demo 1.0\n", metadata=CORE_METADATA, provenance=PROVENANCE)
    repository.publish()
    return repository


@dataclass(frozen=True, slots=True)
class Step:
    """What lies on the server, what is asked, and what must come of it."""

    objects: Mapping[str, bytes]
    ask: Mapping[str, str]
    expect: Expected


@dataclass(slots=True)
class Story:
    """One vector in the making: a repository, and the steps that were taken with it."""

    repository: SignedRepository = field(default_factory=_repository)
    steps: list[Step] = field(default_factory=list)

    def ask(self, expect: Expected, ask: Mapping[str, str] = PAGE, **changed: bytes | None) -> None:
        """Ask of what now lies there, with these objects changed (`None`: gone)."""
        self.ask_of(expect, ask, changed)

    def ask_of(self, expect: Expected, ask: Mapping[str, str], changed: Mapping[str, bytes | None]) -> None:
        """As `ask`, with the changed objects by path."""
        objects = {path: raw for path, raw in {**self.repository.objects, **changed}.items() if raw is not None}
        self.steps.append(Step(objects, dict(ask), expect))


def refused(code: str) -> Expected:
    """Nothing of what was asked for may be used; `code` is what our own client calls it."""
    return {"result": "refused", "code": code}


def page_of(*filenames: str) -> Expected:
    """The page, which lists just these files."""
    return {"result": "page", "files": list(filenames)}


def bytes_of(content: bytes) -> Expected:
    """These bytes."""
    return {"result": "bytes", "sha256": hashlib.sha256(content).hexdigest()}


ABSENT: Expected = {"result": "absent"}
Tell = Callable[[Story], None]
STORIES: dict[str, tuple[str, Tell]] = {}


def story(about: str) -> Callable[[Tell], Tell]:
    """Register a vector under the name of its function."""

    def register(tell: Tell) -> Tell:
        STORIES[tell.__name__.replace("_", "-")] = (about, tell)
        return tell

    return register


def documents() -> Iterator[tuple[str, bytes]]:
    """Every vector by its file name."""
    from support import vector_stories  # registers itself here

    assert vector_stories.__name__
    for name, (about, tell) in sorted(STORIES.items()):
        told = Story()
        root = told.repository.root_bytes
        tell(told)
        yield f"{name}.json", _document(about, root, told.steps)


def _document(about: str, root: bytes, steps: list[Step]) -> bytes:
    written, known = [], dict[str, bytes]()
    for step in steps:
        put = {path: raw for path, raw in step.objects.items() if known.get(path) != raw}
        gone = sorted(known.keys() - step.objects.keys())
        known = dict(step.objects)
        written.append(
            {
                "put": {path: _written(raw) for path, raw in sorted(put.items())},
                "remove": gone,
                "ask": step.ask,
                "expect": step.expect,
            }
        )
    document = {"about": about, "index": INDEX, "root": _written(root), "steps": written}
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _written(raw: bytes) -> str | dict[str, str]:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def bytes_written(value: str | Mapping[str, str]) -> bytes:
    """The bytes that a vector writes so."""
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


def changed_page(told: Story, change: Callable[[dict[str, Any]], object]) -> None:
    """Sign another page of the project, as a thief of the online keys or a faulty index could."""
    page = json.loads(told.repository.pages["demo"])
    change(page)
    told.repository.pages["demo"] = json.dumps(page, separators=(",", ":")).encode()
    told.repository.publish()


def resigned(told: Story, path: str, role: str, change: Callable[[Any], None]) -> bytes:
    """Metadata of the repository, changed and signed by its role."""
    return signed_anew(told.repository.objects[path], told.repository.signers[role], change=change)


def path_of(told: Story, suffix: str = "") -> str:
    """Where the one file of the project lies, or what lies beside it."""
    file = told.repository.page_files["demo"][DEMO]
    return f"/files/{file.sha256}/{DEMO}{suffix}"


def main() -> None:
    """Write the folder anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, raw in documents():
        (FOLDER / name).write_bytes(raw)


if __name__ == "__main__":
    from support import vectors

    vectors.main()
