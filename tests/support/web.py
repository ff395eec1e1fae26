"""A founded index in the test's own folder, with projects in every state, and who looks at them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from django.test import Client

from support.publishing import FoundedIndex, found_index
from support.rows import NOW, a_file, a_project, a_release, a_user
from wheelmark.server.accounts.models import User
from wheelmark.server.projects.models import Collaborator, File, Role
from wheelmark.server.projects.rules import FileState
from wheelmark.server.publishing.keys import file_key
from wheelmark.server.review.models import Scan
from wheelmark.server.stores import current_store

HELD_VERSION = "6.6.6"

METADATA: Mapping[str, Any] = {
    "author": "Ada Lovelace",
    "license_expression": "Apache-2.0",
    "keywords": ["wheels", "marks"],
    "classifiers": ["Programming Language :: Python :: 3"],
    "requires_dist": ["packaging>=24"],
    "provides_extra": ["docs"],
    "project_urls": {"Source": "https://source.example.org/demo", "Bad": "javascript:alert(1)"},
    "home_page": "https://demo.example.org/",
}


def a_founded_index() -> FoundedIndex:
    """A founded index whose store is the one that the settings name (fixture `config`)."""
    return found_index(current_store())


def published(index: FoundedIndex, project: str = "demo", version: str = "1.0", **fields: Any) -> File:
    """A file that the current snapshot lists, of a release with these fields."""
    a_release(project, version, **{"summary": "A wheel for marks", "metadata": dict(METADATA), **fields})
    file = a_file(project, version)
    assert index.publisher().publish_due()
    file.refresh_from_db()
    assert file.state == FileState.PUBLISHED
    return file


def held_file(
    project: str = "demo",
    version: str = HELD_VERSION,
    *,
    member: str = "demo/__init__.py",
    source: str = "import os\n",
    verdict: str = "malicious",
    score: float = 0.97,
    findings: list[dict[str, Any]] | None = None,
    others: Mapping[str, bytes] | None = None,
) -> File:
    """A held file whose bytes lie in the store and whose scan found something in one of its members."""
    body = a_zip({member: source.encode(), "other.txt": b"nothing to see", **(others or {})})
    a_release(project, version, summary="A held summary")
    file = a_file(project, version, state=FileState.HELD, content=body)
    current_store().put(file_key(file.sha256), [body], immutable=True)
    a_scan(file, verdict=verdict, score=score, findings=findings if findings is not None else [a_finding(member)])
    return file


def a_zip(members: Mapping[str, bytes]) -> bytes:
    """An archive with these members; the desk asks no more of a wheel."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(zipfile.ZipInfo(name), body)
    return buffer.getvalue()


def a_finding(member: str = "demo/__init__.py", line: int = 1, **fields: Any) -> dict[str, Any]:
    """A finding as a report's JSON has it."""
    return {
        "rule": "decode-then-exec",
        "severity": "critical",
        "member": member,
        "line": line,
        "message": "decodes text and executes it",
        "evidence": "exec(b64decode(...))",
        "tactic": "TA0002 Execution",
        "context": "import",
        **fields,
    }


def a_scan(file: File, *, verdict: str = "malicious", score: float = 0.9, **fields: Any) -> Scan:
    """A finished scan of a file."""
    return Scan.objects.create(
        file=file, at=NOW, verdict=verdict, score=score, ruleset="test", elapsed_ms=12.0, worker="test", **fields
    )


def a_maintainer(name: str = "mary", project: str = "demo", role: Role = Role.MAINTAINER) -> User:
    """A collaborator of a project."""
    user = logged_in_user(name)
    Collaborator.objects.get_or_create(project=a_project(project), user=user, defaults={"role": role})
    return user


def logged_in_user(name: str, **fields: object) -> User:
    """A user without a password: whom nobody asks for it again."""
    user = a_user(name, **fields)
    user.set_unusable_password()
    user.save()
    return user


def client_of(user: User | None = None) -> Client:
    """A browser, logged in or not."""
    client = Client()
    if user is not None:
        client.force_login(user)
    return client
