"""Hostile archives at the upload API: each is refused by its rule, and nothing of it stays."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import pytest
from django.test import Client

from support.distributions import build_sdist, build_wheel, core_metadata, record_row
from support.hostile_archives import (
    ENCRYPTED,
    FULL_32,
    SYMLINK_MODE,
    TAR_END,
    UTF8,
    Part,
    extra_field,
    pax_member,
    raw_tar_gz,
    raw_zip,
    tar_info,
    tar_member,
    unicode_path,
)
from support.upload import a_token, codes_of, incoming, journal, nothing_taken_in, post_upload
from wheelmark.server.config import Config
from wheelmark.server.stores import current_store

pytestmark = pytest.mark.django_db

WHEEL, SDIST = "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"
DIST_INFO = b"demo-1.0.dist-info"
TOP = "demo-1.0"


def wheel_with(*parts: Part, **archive: object) -> bytes:
    """A wheel that is right in everything but these parts, or the archive around it."""
    contents = {
        DIST_INFO + b"/METADATA": core_metadata(),
        DIST_INFO + b"/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [record_row(name.decode(), content) for name, content in contents.items()]
    rows += [record_row(part.name.decode(errors="replace"), part.content) for part in parts]
    rows.append(((DIST_INFO + b"/RECORD").decode(), "", ""))
    record = "".join(",".join(row) + "\n" for row in rows).encode()
    own = [Part(name=name, content=content) for name, content in contents.items()]
    return raw_zip(*own, *parts, Part(name=DIST_INFO + b"/RECORD", content=record), **archive)  # type: ignore[arg-type]


def sdist_with(*pieces: bytes, after: bytes = b"", end: bytes = TAR_END) -> bytes:
    """A source distribution that is right in everything but these members, or what follows."""
    contents = {"PKG-INFO": core_metadata(), "pyproject.toml": b"[build-system]\nrequires = []\n"}
    own = [tar_member(tar_info(f"{TOP}/{name}", size=len(body)), body) for name, body in contents.items()]
    return raw_tar_gz(*own, *pieces, end=end) + after


def link(path: str, target: str) -> bytes:
    return tar_member(tar_info(f"{TOP}/{path}", b"2", target=target))


def bomb() -> bytes:
    """A wheel of 100 kB that unpacks to 100 MB."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("demo/zeros.bin", bytes(100_000_000))
    return memory.getvalue()


HOSTILE_WHEELS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "prefix": ("zip-prefix", lambda: wheel_with(prefix=b"#!/bin/sh\n")),
    "trailing": ("zip-trailing", lambda: wheel_with(trailing=b"hidden")),
    "comment": ("zip-comment", lambda: wheel_with(comment=b"hello")),
    "gap": ("zip-gap", lambda: wheel_with(Part(before=b"hidden"))),
    "duplicate": ("member-duplicate", lambda: wheel_with(Part(), Part(content=b"other"))),
    "case": ("member-collision", lambda: wheel_with(Part(name=b"demo.py"), Part(name=b"DEMO.py"))),
    "local name": ("zip-header-mismatch", lambda: wheel_with(Part(local_name=b"evil.py"))),
    "wrong CRC-32": ("zip-member-data", lambda: wheel_with(Part(crc32=1))),
    "encrypted": ("zip-encrypted", lambda: wheel_with(Part(flags=UTF8 | ENCRYPTED))),
    "method": ("zip-method", lambda: wheel_with(Part(method=12, packed=b"x"))),
    "records": ("zip-end-record", lambda: wheel_with(Part(), records=1)),
    "zip64": ("zip64-record", lambda: wheel_with(Part(), zip64=True, zip64_records=2)),
    "zip64 field": ("zip-extra", lambda: wheel_with(Part(local_size=FULL_32))),
    "Unicode path": ("zip-unicode-path", lambda: wheel_with(Part(extra=unicode_path(b"demo.py", b"evil.py")))),
    "cut extra field": ("zip-extra", lambda: wheel_with(Part(extra=extra_field(1, struct.pack("<Q", 1))[:-3]))),
    "climbs": ("member-path-traversal", lambda: wheel_with(Part(name=b"../../evil.py"))),
    "absolute": ("member-path-absolute", lambda: wheel_with(Part(name=b"/etc/demo"))),
    "backslash": ("member-path-backslash", lambda: wheel_with(Part(name=b"demo\\evil.py"))),
    "drive": ("member-path-drive", lambda: wheel_with(Part(name=b"C:evil.py"))),
    "NUL": ("member-path-unprintable", lambda: wheel_with(Part(name=b"demo.py\0.txt"))),
    "symbolic link": ("zip-special-member", lambda: wheel_with(Part(content=b"/etc/passwd", mode=SYMLINK_MODE))),
    "bomb": ("archive-ratio", bomb),
    "not a zip": ("archive-format", lambda: b"PK but no more"),
    "cut": ("archive-format", lambda: wheel_with()[:-40]),
    "an sdist": ("archive-format", build_sdist),
    "unlisted file": ("wheel-record-unlisted", lambda: build_wheel(unlisted={"demo/extra.py": b""})),
    "wrong digest": (
        "wheel-record-digest",
        lambda: build_wheel(edit_record=lambda rows: [("demo/__init__.py", "sha256=" + "A" * 43, "5"), *rows[1:]]),
    ),
    "no metadata": ("metadata-missing", lambda: build_wheel(dist_info={"METADATA": b""})),
    "signature of old": ("wheel-record-signature", lambda: build_wheel(dist_info={"RECORD.jws": b"{}"})),
}

HOSTILE_SDISTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "second stream": ("gzip-second-stream", lambda: sdist_with(after=raw_tar_gz())),
    "bytes after": ("gzip-trailing", lambda: sdist_with(after=b"hidden")),
    "members after the end": ("tar-end", lambda: sdist_with(end=TAR_END + tar_member(tar_info("x")))),
    "a zip after": ("tar-also-zip", lambda: sdist_with(after=raw_zip(Part()))),
    "climbs": ("member-path-traversal", lambda: sdist_with(tar_member(tar_info(f"{TOP}/../../evil.py")))),
    "climbs in pax": (
        "member-path-traversal",
        lambda: sdist_with(pax_member([("path", "../evil.py")]), tar_member(tar_info("x"))),
    ),
    "absolute": ("member-path-absolute", lambda: sdist_with(tar_member(tar_info("/etc/demo")))),
    "link out": ("tar-link-escape", lambda: sdist_with(link("b", "../../etc/passwd"))),
    "device": ("tar-member-type", lambda: sdist_with(tar_member(tar_info(f"{TOP}/d", b"3")))),
    "sparse": ("tar-sparse", lambda: sdist_with(tar_member(tar_info(f"{TOP}/s", b"S")))),
    "pax twice": (
        "tar-extended-header",
        lambda: sdist_with(pax_member([("path", f"{TOP}/b"), ("path", f"{TOP}/c")]), tar_member(tar_info("x"))),
    ),
    "duplicate": ("member-duplicate", lambda: sdist_with(*[tar_member(tar_info(f"{TOP}/a"))] * 2)),
    "two top folders": ("sdist-top-folder", lambda: sdist_with(tar_member(tar_info("other/a.py")))),
    "cut": ("archive-broken", lambda: sdist_with()[:-20]),
    "not gzip": ("tar-compression", lambda: b"hello"),
    "a wheel": ("tar-compression", build_wheel),
    "no metadata": ("metadata-missing", lambda: build_sdist(files={"PKG-INFO": b"", "pyproject.toml": b""})),
}


def refused(client: Client, config: Config, filename: str, content: bytes) -> list[str]:
    """The codes with which an upload is refused, after a look that nothing of it stayed."""
    response = post_upload(client, a_token(), content, filename=filename)
    assert response.status_code == 400, response.content[:500]
    assert nothing_taken_in()
    assert incoming(config) == []
    assert list(current_store().list("")) == []
    return codes_of(response)


@pytest.mark.parametrize("name", HOSTILE_WHEELS)
def test_hostile_wheel_is_refused_by_its_rule_and_leaves_nothing(client: Client, config: Config, name: str) -> None:
    code, build = HOSTILE_WHEELS[name]
    assert code in refused(client, config, WHEEL, build())


@pytest.mark.parametrize("name", HOSTILE_SDISTS)
def test_hostile_sdist_is_refused_by_its_rule_and_leaves_nothing(client: Client, config: Config, name: str) -> None:
    code, build = HOSTILE_SDISTS[name]
    assert code in refused(client, config, SDIST, build())


def test_sound_twins_are_accepted(client: Client, config: Config) -> None:
    token = a_token()
    assert post_upload(client, token, wheel_with(Part()), filename=WHEEL).status_code == 200
    assert post_upload(client, token, sdist_with(), filename=SDIST).status_code == 200
    assert journal().count("file-validated") == 2
