"""An index with something of everything that is hard to draw: long names, right-to-left, emoji, held files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.test import Client
from django.utils import timezone

from support.publishing import found_index
from support.rows import a_file, a_project, a_release
from support.web import METADATA, a_finding, a_scan, a_zip, held_file, logged_in_user
from wheelmark.server.accounts.models import User
from wheelmark.server.projects.lifecycle import set_status, yank
from wheelmark.server.projects.models import Collaborator, File, Project, ProjectStatus, Release, Role
from wheelmark.server.publishing.models import Heartbeat
from wheelmark.server.review.models import Scan
from wheelmark.server.stores import current_store

LONG_NAME = "a-name-that-is-as-long-as-a-name-may-be-" + "x" * 59
INNER = "a-folder/" + "an_inner_module" * 9 + ".py"
README = """\
# Demo 👩‍👩‍👧‍👦 wheels

[![build](https://badge.example/build.svg)](https://ci.example) ![chart](https://pictures.example/chart.png)

A *demonstration* of `everything` that a description may hold, with a [link](https://docs.example.org/).

## שלום עולם

זה תיאור בעברית, עם English באמצע, ועם `code`.

| operation | before | after | a rather long heading for a column |
|---|---:|---:|---|
| build | 12.0 s | 3.1 s | `averyveryveryverylongword_without_any_place_to_break_it_at_all_in_the_cell` |
| test | 1.0 s | 0.2 s | short |

```python
def demo(argument: str) -> None:
    print("a line that is quite a bit longer than what fits on a telephone", argument, argument, argument)
```

- [x] done
- [ ] open

> quoted words

مرحبا بالعالم
"""
HOSTILE_SOURCE = (
    "import os\n"
    "def setup():\n"
    "    token = os.environ.get('TOKEN')  # \u202e reversed \u202c\n"
    "    x = 1;" + " " * 400 + "exec(__import__('base64').b64decode('cHJpbnQoMSk='))\n"
    "    return x\n"
    "\n"
    f"BLOB = '{'A' * 3_000}'\n"
)


@dataclass(frozen=True, slots=True)
class Populated:
    """Who is there, and the held file that the desk's pages show."""

    owner: User
    moderator: User
    held: File

    def session_of(self, user: User | None) -> dict[str, str]:
        """The cookies of a browser in which this user is logged in."""
        if user is None:
            return {}
        client = Client()
        client.force_login(user)
        return {name: morsel.value for name, morsel in client.cookies.items()}


def populate() -> Populated:
    """Fill a fresh index."""
    now = timezone.now()
    owner = logged_in_user("ada")
    moderator = logged_in_user("mod", is_moderator=True)
    a_release(
        "demo",
        "1.0",
        summary="A wheel for marks, for people and for robots",
        description=README,
        description_content_type="text/markdown",
        requires_python=">=3.11",
        metadata={**METADATA, "requires_dist": [f"dependency-{n}>={n}" for n in range(30)]},
    )
    a_file("demo", "1.0")
    a_file("demo", "1.0", kind="sdist")
    for number in range(70):
        a_file("demo", "1.0", tag=f"cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64_{number}")
    a_file("demo", "2.0rc1")
    a_file("demo", "0.9")
    a_release(
        LONG_NAME, "1.0", summary="word " * 90, metadata={"project_urls": {"L" * 200: f"https://{'h' * 60}.example"}}
    )
    a_file(LONG_NAME, "1.0")
    for name in ("arrested", "past-glory"):
        a_file(name, "1.0")
    for number in range(25):
        a_release(f"demo-{number}", "1.0", summary=f"The {number}. of many")
        a_file(f"demo-{number}", "1.0")
    index = found_index(current_store(), now=now - timedelta(minutes=5))
    index.publisher().publish_due()
    with transaction.atomic():
        yank(Release.objects.get(version="0.9"), yanked=True, reason="does not build on Tuesdays", actor="ada")
        set_status(
            Project.objects.get(name="arrested"), ProjectStatus.QUARANTINED, actor="mod", reason="stolen account"
        )
        set_status(Project.objects.get(name="past-glory"), ProjectStatus.ARCHIVED, actor="ada", reason="use demo")
    index.now = now - timedelta(seconds=3)
    index.publisher().publish_due()
    Heartbeat.objects.update_or_create(pk=1, defaults={"at": now, "holder": "here"})
    Collaborator.objects.get_or_create(
        project=a_project("demo"), user=logged_in_user("mary"), defaults={"role": Role.MAINTAINER}
    )
    held = _held()
    # The builders' clock stands still in the future; on pages that are looked at, time should pass.
    File.objects.update(uploaded_at=now - timedelta(minutes=6), state_changed_at=now - timedelta(minutes=5))
    Project.objects.update(created_at=now - timedelta(days=40))
    Release.objects.update(created_at=now - timedelta(days=2))
    Scan.objects.update(at=now - timedelta(minutes=5))
    Collaborator.objects.update(created_at=now - timedelta(days=40))
    held.refresh_from_db()
    return Populated(owner=owner, moderator=moderator, held=held)


def _held() -> File:
    held_file("demo", "6.5", source=HOSTILE_SOURCE.replace("exec(", "len("), findings=[])
    others = {"demo/lib.zip": a_zip({INNER: HOSTILE_SOURCE.encode(), "cut.zip": a_zip({"a.py": b"a = 1\n"})[:-30]})}
    held = held_file(source=HOSTILE_SOURCE, others=others)
    flow = [
        {"kind": "source", "what": "os.environ['TOKEN']", "member": "demo/__init__.py", "line": 3},
        {"kind": "transform", "what": "base64.b64decode", "member": "demo/__init__.py", "line": 4},
        {"kind": "sink", "what": "urllib.request.urlopen" + "_and_so_on" * 8, "member": "demo/__init__.py", "line": 4},
    ]
    a_scan(
        held,
        score=0.97,
        model="1-0123456789ab",
        reasons=[
            {
                "what": "what a decoder gives is executed while the module is imported",
                "effect": 0.81,
                "member": "demo/__init__.py",
                "line": 4,
                "needed": True,
            },
            {"what": "long text", "effect": 0.02, "member": "", "line": 0, "needed": False},
        ],
        layers=[
            {
                "member": "demo/__init__.py",
                "line": 4,
                "depth": number,
                "decoders": ["base64.b64decode", "zlib.decompress"],
                "text": f"print({number})\n" + "x" * 900,
            }
            for number in (2, 1)
        ],
        findings=[
            a_finding(line=4, evidence="exec(__import__('base64')", message="decodes text and executes it", flow=flow),
            a_finding(line=3, rule="reads-secrets", severity="high", message="reads a secret from the environment"),
            a_finding(line=7, rule="long-blob", severity="low", message="carries a long text without spaces"),
            a_finding(f"demo/lib.zip!/{INNER}", line=4, message="decodes text and executes it in an archive"),
            a_finding("demo/lib.zip!/cut.zip!/a.py", line=1, message="lies in an archive that is cut"),
            a_finding("demo/lib.so", line=0, rule="binary", severity="medium", message="a program", evidence="ELF"),
        ],
    )
    for number, verdict in enumerate(("suspicious", "incomplete", "malicious")):
        held_file("demo", f"7.{number}", verdict=verdict, score=0.3 * number)
    noticed = File.objects.get(filename="demo-2.0rc1-py3-none-any.whl")
    a_scan(noticed, verdict="suspicious", score=0.5, findings=[a_finding(severity="medium")])
    return held
