"""The report's pages: the code with the findings marked, decoded layers, the way of a value, and what is new."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape

import pytest

from support.publishing import FoundedIndex
from support.rows import NOW, a_file, a_release
from support.web import a_finding, a_scan, a_zip, client_of, held_file, logged_in_user
from wheelmark.server.projects.models import File
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key
from wheelmark.server.review.evidence import LINES_A_PAGE
from wheelmark.server.review.excerpts import MAX_MEMBERS_READ
from wheelmark.server.stores import current_store

pytestmark = pytest.mark.django_db

SOURCE = "import os\nimport base64\n" + "".join(f"value_{number} = {number}\n" for number in range(1000))


def page(address: str, *, status: int = 200) -> str:
    response = client_of(logged_in_user("mod", is_moderator=True)).get(address)
    assert response.status_code == status
    return response.content.decode()


def stored(version: str, members: dict[str, bytes], *, days: int, state: FileState = FileState.PUBLISHED) -> File:
    body = a_zip(members)
    a_release("demo", version)
    file = a_file("demo", version, state=state, content=body)
    File.objects.filter(pk=file.pk).update(uploaded_at=NOW + timedelta(days=days))
    current_store().put(file_key(file.sha256), [body], immutable=True)
    return file


def test_case_shows_reasons_flow_and_decoded_code(index: FoundedIndex) -> None:
    finding = a_finding(
        flow=[
            {"kind": "source", "what": "os.environ", "member": "demo/__init__.py", "line": 1},
            {"kind": "sink", "what": "requests.post", "member": "demo/__init__.py", "line": 2},
        ]
    )
    file = held_file(findings=[])
    a_scan(
        file,
        findings=[finding],
        model="1-abc",
        reasons=[{"what": "sends the environment", "effect": 0.8, "member": "demo/a.py", "line": 7, "needed": True}],
        layers=[
            {"member": "demo/a.py", "line": 7, "depth": 1, "decoders": ["base64"], "text": "print('<b>')\nhello()\n"}
        ],
    )
    html = page(f"/review/files/{file.pk}/")
    assert html.index("os.environ") < html.index("requests.post")
    assert "sends the environment" in html
    assert "decisive" in html
    assert "demo/a.py:7" in html
    assert html.count(f"/review/files/{file.pk}/code/?member=demo%2Fa.py&amp;from=1#line-7") == 2  # reason and layer
    assert "print(&#x27;&lt;b&gt;&#x27;)" in html
    assert "<code>base64</code>" in html
    assert "1-abc" in html


def test_report_of_an_older_scanner_is_still_shown(index: FoundedIndex) -> None:
    file = held_file()
    html = page(f"/review/files/{file.pk}/")
    assert "decodes text and executes it" in html
    assert "What the score rests on" not in html


def test_members_with_findings_come_first(index: FoundedIndex) -> None:
    file = held_file(source=SOURCE)
    html = page(f"/review/files/{file.pk}/code/")
    assert html.index("demo/__init__.py") < html.index("other.txt")
    assert "critical" in html


def test_finding_stands_above_its_line(index: FoundedIndex) -> None:
    file = held_file(source=SOURCE, findings=[a_finding(line=2, evidence="import base64")])
    html = page(f"/review/files/{file.pk}/code/?member=demo/__init__.py")
    assert html.index("import os") < html.index("decodes text and executes it") < html.index("import base64")
    assert f"from={LINES_A_PAGE + 1}" in html
    assert "value_900" not in html
    assert "value_900" in page(f"/review/files/{file.pk}/code/?member=demo/__init__.py&from={LINES_A_PAGE + 1}")


def test_finding_leads_to_its_line_in_the_whole_code(index: FoundedIndex) -> None:
    file = held_file(source=SOURCE, findings=[a_finding(line=900, evidence="value_897")])
    case = page(f"/review/files/{file.pk}/")
    (query, anchor) = re.findall(rf'href="/review/files/{file.pk}/code/\?(member=[^"#]+)#([^"]+)"', case)[0]
    code = page(f"/review/files/{file.pk}/code/?{unescape(query)}")
    assert f'id="{anchor}"' in code
    assert code.index(f'id="{anchor}"') < code.index("value_897")
    assert "value_880" not in code  # ten lines above it, and not all


def test_finding_without_a_line_to_show_leads_nowhere(index: FoundedIndex) -> None:
    file = held_file(source=SOURCE, findings=[a_finding(member="lib.zip!/a.py", line=3)])
    case = page(f"/review/files/{file.pk}/")
    assert "lib.zip!/a.py:3" in case
    assert "Its code is not shown: the file has no member of this path." in case
    assert "code/?member=lib.zip" not in case


def marked_line(html: str) -> str:
    """The text of the one line that the page marks."""
    (row,) = re.findall(r'<tr class="marked">.*?<code>(.*?)</code></td>', html)
    return unescape(re.sub(r"<[^>]+>", "", row))


def test_line_of_a_notebook_is_one_of_its_code(index: FoundedIndex) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Text\n"]},
        {"cell_type": "code", "source": ["a = 1\n", "!curl x | sh\n"]},
    ]
    notebook = json.dumps({"cells": cells}, indent=1)
    file = held_file(member="demo/n.ipynb", source=notebook, findings=[a_finding("demo/n.ipynb", line=3)])
    for address in (f"/review/files/{file.pk}/", f"/review/files/{file.pk}/code/?member=demo/n.ipynb"):
        html = page(address)
        assert marked_line(html) == "os.system('curl x | sh')"
        assert "Shown is the code of a notebook." in html


def test_line_of_a_source_in_an_odd_encoding_is_what_python_reads(index: FoundedIndex) -> None:
    source = "# coding: unicode_escape\n# a comment \\x0aprint(1)\n"
    file = held_file(source=source, findings=[a_finding(line=3, evidence="print(1)")])
    for address in (f"/review/files/{file.pk}/", f"/review/files/{file.pk}/code/?member=demo/__init__.py"):
        html = page(address)
        assert marked_line(html) == "print(1)"
        assert "declares the encoding unicode_escape." in html


def test_code_in_a_long_member_is_reached_from_the_case_and_from_the_list(index: FoundedIndex) -> None:
    source = ("x = 1  # " + "-" * 90 + "\n") * 20_000 + "exec(payload)\n"
    file = held_file(source=source, findings=[a_finding(line=20_001, evidence="exec(payload)")])
    case = page(f"/review/files/{file.pk}/")
    assert "lines of the member were read" in case
    (query,) = re.findall(r"code/\?(member=[^#]+)#line-20001", case)
    assert marked_line(page(f"/review/files/{file.pk}/code/?{unescape(query)}")) == "exec(payload)"
    assert 'href="?member=demo/__init__.py"' in unescape(page(f"/review/files/{file.pk}/code/")).replace("%2F", "/")


def test_findings_without_a_line_to_stand_at_are_said_on_the_page_of_the_member(index: FoundedIndex) -> None:
    findings = [
        a_finding("demo/lib.so", line=0, message="it is packed", evidence="UPX!"),
        a_finding("demo/lib.so", line=7, message="beyond all lines", evidence="seen there"),
    ]
    file = held_file(member="demo/lib.so", source="\x7fELF\0\0", findings=findings)
    assert "member=demo/lib.so" in page(f"/review/files/{file.pk}/code/").replace("%2F", "/")
    html = page(f"/review/files/{file.pk}/code/?member=demo/lib.so")
    assert "is no text, or too long to show" in html
    for text in ("it is packed", "UPX!", "beyond all lines", "line 7", "seen there"):
        assert text in html


def test_members_beyond_those_that_a_case_reads_are_led_to(index: FoundedIndex) -> None:
    findings = [a_finding(f"demo/{number}.py", line=1) for number in range(MAX_MEMBERS_READ + 1)]
    file = stored("1.0", {str(finding["member"]): b"a = 1\n" for finding in findings}, days=0, state=FileState.HELD)
    a_scan(file, findings=findings)
    case = page(f"/review/files/{file.pk}/")
    assert case.count("Its code is not shown: this page reads 20 members") == 1
    assert case.count("code/?member=") == MAX_MEMBERS_READ + 1


@pytest.mark.parametrize("first", ["0", "-4", "999999999", "x", "1" * 40])
def test_nonsense_page_is_answered(index: FoundedIndex, first: str) -> None:
    file = held_file(source=SOURCE)
    page(f"/review/files/{file.pk}/code/?member=demo/__init__.py&from={first}")


def test_unknown_member_and_file_are_not_found(index: FoundedIndex) -> None:
    file = held_file()
    page(f"/review/files/{file.pk}/code/?member=nothing.py", status=404)
    page("/review/files/999999/code/", status=404)
    page("/review/files/999999/new/", status=404)
    page(f"/review/files/{file.pk}/new/?with=999999", status=404)


def test_new_lines_are_shown_against_the_release_before(index: FoundedIndex) -> None:
    stored("1.0", {"demo/__init__.py": b"a = 1\n"}, days=0)
    stored("1.1", {"demo/__init__.py": b"a = 2\n"}, days=1)
    new = stored(
        "1.2",
        {"demo/__init__.py": b"a = 2\nimport socket\n", "evil.pth": b"import demo\n"},
        days=2,
        state=FileState.HELD,
    )
    stored("1.3", {"demo/__init__.py": b"later = 1\n"}, days=3)
    html = page(f"/review/files/{new.pk}/new/")
    assert "demo-1.1-py3-none-any.whl</code> <span>(" in html
    assert html.index("evil.pth") < html.index("demo/__init__.py</code></h2>")
    assert "import socket" in html
    older = File.objects.get(filename="demo-1.0-py3-none-any.whl")
    assert "a = 1" in page(f"/review/files/{new.pk}/new/?with={older.pk}")


def test_first_file_of_a_project_has_nothing_to_compare_with(index: FoundedIndex) -> None:
    file = held_file()
    assert "no other file of this project" in page(f"/review/files/{file.pk}/new/")


def test_broken_archive_says_what_could_not_be_read(index: FoundedIndex) -> None:
    body = a_zip({"demo/__init__.py": b"a = 1\n"})[:-30]
    a_release("demo", "1.0")
    file = a_file("demo", "1.0", state=FileState.HELD, content=body)
    current_store().put(file_key(file.sha256), [body], immutable=True)
    assert "Not everything could be read" in page(f"/review/files/{file.pk}/code/")


def test_strangers_and_users_see_no_code(index: FoundedIndex) -> None:
    file = held_file()
    for address in (f"/review/files/{file.pk}/code/", f"/review/files/{file.pk}/new/"):
        assert client_of().get(address).status_code == 302
        assert client_of(logged_in_user("ben")).get(address).status_code == 403
