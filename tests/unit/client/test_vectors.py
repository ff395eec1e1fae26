"""The test vectors that we give to others, held to our own client; and that they are what their generator makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from support.vectors import FOLDER, bytes_written, documents
from wheelmark.client import Kind, Verifier
from wheelmark.client.fetching import HttpStatus
from wheelmark.errors import Refused, Unavailable, Untrusted
from wheelmark.simple import SimpleFile

VECTORS = sorted(FOLDER.glob("*.json"))
MAX_FOLDER_BYTES = 600_000


class Served:
    """The network of a vector."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def stream(self, url: str, kind: Kind) -> Generator[bytes]:
        """See `Fetcher`."""
        raw = self.objects.get(unquote(urlsplit(url).path))
        if raw is None:
            raise HttpStatus(url, 404)
        half = len(raw) // 2
        yield raw[:half]
        yield raw[half:]


def came_of(verifier: Verifier, ask: dict[str, str]) -> dict[str, Any]:
    """What a vector's question comes to, in a vector's words."""
    try:
        page = verifier.page(ask.get("page") or ask["of"])
        if page is None:
            return {"result": "absent"}
        if "page" in ask:
            return {"result": "page", "files": [file.filename for file in page.files]}
        [(what, filename)] = [(key, value) for key, value in ask.items() if key != "of"]
        file = next((each for each in page.files if each.filename == filename), None)
        return {"result": "unlisted"} if file is None else bytes_of(verifier, what, file)
    except Untrusted as error:
        return {"result": "refused", "code": error.code}
    except Unavailable:
        return {"result": "unavailable"}
    except Refused:
        return {"result": "misuse"}


def bytes_of(verifier: Verifier, what: str, file: SimpleFile) -> dict[str, Any]:
    ways = {
        "file": lambda: b"".join(verifier.open_file(file)),
        "core-metadata": lambda: verifier.metadata(file),
        "provenance": lambda: verifier.provenance(file),
    }
    return {"result": "bytes", "sha256": hashlib.sha256(ways[what]()).hexdigest()}


@pytest.mark.parametrize("path", VECTORS, ids=[path.stem for path in VECTORS])
def test_our_client_does_what_the_vector_says(path: Path, tmp_path: Path) -> None:
    vector = json.loads(path.read_bytes())
    served = Served()
    verifier = Verifier(vector["index"], bytes_written(vector["root"]), tmp_path, fetcher=served)
    for number, step in enumerate(vector["steps"]):
        served.objects |= {name: bytes_written(body) for name, body in step["put"].items()}
        for name in step["remove"]:
            del served.objects[name]
        verifier._metadata.forget()  # each step is a look of its own
        assert came_of(verifier, step["ask"]) == step["expect"], f"step {number}"


def test_vectors_are_what_their_generator_makes() -> None:
    made = dict(documents())
    assert {path.name for path in VECTORS} == set(made)
    for path in VECTORS:
        assert path.read_bytes() == made[path.name], (
            f"{path.name}: run `PYTHONPATH=src:tests python -m support.vectors`"
        )


def test_vectors_are_small_and_their_readme_names_each_result() -> None:
    assert sum(path.stat().st_size for path in VECTORS) < MAX_FOLDER_BYTES
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    results = {step["expect"]["result"] for path in VECTORS for step in json.loads(path.read_bytes())["steps"]}
    assert {result for result in results if f"`{result}`" not in readme} == set()
