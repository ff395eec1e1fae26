"""Both proxies' pages say all that the index's page says, in JSON and in HTML."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from support.repository import IndexServer, SignedRepository
from wheelmark.client import Verifier
from wheelmark.client.address import IndexAddress
from wheelmark.client.authority import LocalAuthority
from wheelmark.client.forward import ForwardProxy, Gate
from wheelmark.client.incidents import Incidents
from wheelmark.client.proxy import VerifyingProxy
from wheelmark.client.sources import Source
from wheelmark.simple import MediaType, parse_page_json, render_page_html

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def repository() -> SignedRepository:
    """One page with everything that a page can say (PEP 691, 700, 708, 714, 740, 792, and a yank's reason)."""
    made = SignedRepository()
    made.add_wheel("demo", "1.0", provenance=b"{}")
    made.add_wheel("demo", "2.0")
    made.add_file("demo-2.0.tar.gz", b"source")
    page = orjson.loads(made.pages["demo"])
    page["project-status"] = {"status": "deprecated", "reason": 'use <other> & "more"'}
    page["files"][0] |= {"yanked": "it deletes <files>", "requires-python": ">=3.9,<4"}
    page["files"][1]["yanked"] = True
    made.pages["demo"] = orjson.dumps(page)
    made.publish()
    return made


@contextmanager
def asked_through(kind: str, server: IndexServer, repository: SignedRepository, state: Path) -> Iterator[Any]:
    """A function from the wanted form to the body of the page of `demo`."""
    verifier = Verifier(server.index_url, repository.root_bytes, state)
    if kind == "loopback":
        proxy: Any = VerifyingProxy(lambda: verifier, Incidents())
    else:
        gate = Gate.to(IndexAddress.parse(server.index_url), Source(lambda: verifier))
        proxy = ForwardProxy([gate], Incidents(), LocalAuthority([], now=NOW))

    def ask(form: str) -> bytes:
        through = {} if kind == "loopback" else {"http": proxy.url}
        url = f"{proxy.url}simple/demo/" if kind == "loopback" else f"{server.index_url}demo/"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(through))
        with opener.open(urllib.request.Request(url, headers={"Accept": form}), timeout=10) as answer:
            return bytes(answer.read())

    with proxy:
        yield ask


@pytest.mark.parametrize("kind", ["loopback", "forward"])
def test_proxied_page_says_what_the_index_says(repository: SignedRepository, kind: str, tmp_path: Path) -> None:
    signed = orjson.loads(repository.pages["demo"])
    with (
        IndexServer(repository) as server,
        asked_through(kind, server, repository, tmp_path) as ask,
    ):
        told = orjson.loads(ask(MediaType.JSON))
        html = ask(MediaType.TEXT_HTML)
    # Only the address of provenance is another: that of the proxy, where it is verified.
    provenance = told["files"][0].pop("provenance")
    assert provenance.endswith("/demo-1.0-py3-none-any.whl.provenance")
    assert signed["files"][0].pop("provenance") != provenance
    assert told == signed
    page = parse_page_json(repository.pages["demo"], expected_name="demo")
    files = (replace(page.files[0], provenance_url=provenance), *page.files[1:])
    assert html == render_page_html(replace(page, files=files))
    for said in (b'content="deprecated"', b"use &lt;other&gt; &amp; &quot;more&quot;", b"it deletes &lt;files&gt;"):
        assert said in html
