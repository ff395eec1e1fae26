"""What stands between the front and Django's views."""

from __future__ import annotations

from wsgiref.util import setup_testing_defaults

import pytest

from wheelmark.server.wsgi import _pages

NONSENSE = "multipart/form-data; boundary*=nope''b"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/legacy/", "/account/login/"])
def test_content_type_that_cannot_be_decoded_is_refused_and_no_failure(path: str) -> None:
    environ: dict[str, object] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": NONSENSE,
        "CONTENT_LENGTH": "0",
    }
    setup_testing_defaults(environ)
    environ["HTTP_HOST"] = "localhost"
    statuses: list[str] = []
    list(_pages()(environ, lambda status, headers, error=None: statuses.append(status)))
    assert [status[0] for status in statuses] == ["4"]
