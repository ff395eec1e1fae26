"""Real twine and uv against a running index: what gets in, and what their users see when it does not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.accounts import basic
from support.distributions import build_sdist, build_wheel, sdist_filename, wheel_filename
from support.server import RunningIndex, eventually

pytestmark = pytest.mark.timeout(180)

BIN = Path(sys.executable).parent
METADATA = {
    "Author-Email": "Ann Author <ann@example.org>",
    "Keywords": "one,two",
    "Classifier": ["Programming Language :: Python :: 3", "Topic :: Utilities"],
    "Project-URL": ["Home, https://example.org/"],
    "Requires-Python": ">=3.8",
    "License-Expression": "MIT",
    "Description-Content-Type": "text/markdown",
    "Description": "# Demo\n\nGrüße.\n",
    "Provides-Extra": ["more"],
}
REFUSED = {"Classifier": ["Nonsense :: x"], "Summary": "s" * 600}
FAULTS = ("metadata-classifier-unknown", "metadata-summary", "expected a known classifier", "Nonsense :: x")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIndex]:
    with RunningIndex(tmp_path_factory.mktemp("index") / "data") as index:
        yield index


@pytest.fixture(scope="module")
def token(index: RunningIndex) -> str:
    return index.token()


class Uploader:
    """twine and uv with nobody's configuration but the test's."""

    def __init__(self, index: RunningIndex, token: str, home: Path) -> None:
        url = f"{index.base_url}/legacy/"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TWINE_", "UV_", "PIP_"))},
            "HOME": str(home),
            "COLUMNS": "1000",
            "NO_COLOR": "1",
            "TWINE_REPOSITORY_URL": url,
            "TWINE_USERNAME": "__token__",
            "TWINE_PASSWORD": token,
            "TWINE_NON_INTERACTIVE": "1",
            "UV_NO_CONFIG": "1",
            "UV_CACHE_DIR": str(home / "uv"),
            "UV_PUBLISH_URL": url,
            "UV_PUBLISH_TOKEN": token,
        }

    def twine(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self._run(BIN / "twine", "upload", "--disable-progress-bar", "--config-file", os.devnull, *arguments)

    def uv(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self._run(BIN / "uv", "publish", "--trusted-publishing", "never", *arguments)

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=90)


@pytest.fixture
def uploader(index: RunningIndex, token: str, tmp_path: Path) -> Uploader:
    return Uploader(index, token, tmp_path)


def words(done: subprocess.CompletedProcess[str]) -> str:
    """All that was printed, without the line breaks that fit a terminal."""
    return " ".join((done.stdout + done.stderr).split())


def received(index: RunningIndex) -> list[Path]:
    """The files that uploads left in the folder where they are received."""
    return list((index.data / "incoming").glob("*.upload"))


def build_both(name: str, folder: Path) -> tuple[Path, Path]:
    wheel = build_wheel(name, metadata=METADATA, requires=["six>=1"], path=folder)
    return wheel, build_sdist(name, metadata=METADATA, requires=["six>=1"], path=folder)


@pytest.mark.parametrize("client", ["twine", "uv"])
def test_wheel_and_sdist_of_a_real_client_are_published(
    index: RunningIndex, uploader: Uploader, tmp_path: Path, client: str
) -> None:
    name = f"sent-by-{client}"
    files = build_both(name, tmp_path)
    sent = getattr(uploader, client)(*files)
    assert sent.returncode == 0, words(sent)
    index.wait_published(name, wheel_filename(name))
    index.wait_published(name, sdist_filename(name))
    assert received(index) == []


@pytest.mark.parametrize("client", ["twine", "uv"])
def test_upload_that_runs_again_succeeds(uploader: Uploader, tmp_path: Path, client: str) -> None:
    files = build_both(f"again-{client}", tmp_path)
    send = getattr(uploader, client)
    for _ in range(2):
        sent = send(*files)
        assert sent.returncode == 0, words(sent)


def test_uv_with_check_url_sends_only_what_is_not_there(
    index: RunningIndex, uploader: Uploader, tmp_path: Path
) -> None:
    wheel = build_wheel("checked", path=tmp_path)
    check = ["--check-url", f"{index.base_url}/simple/"]
    assert uploader.uv(*check, wheel).returncode == 0
    index.wait_published("checked", wheel_filename("checked"))
    again = uploader.uv(*check, wheel)
    assert again.returncode == 0 and "already exists, skipping" in words(again)
    build_wheel("checked", files={"other.py": b""}, path=tmp_path)
    other = uploader.uv(*check, wheel)
    assert other.returncode != 0


def test_user_of_uv_sees_every_fault(uploader: Uploader, tmp_path: Path) -> None:
    refused = uploader.uv(build_wheel("refused", metadata=REFUSED, path=tmp_path))
    assert refused.returncode != 0
    for word in ("400", *FAULTS):
        assert word in words(refused)


def test_user_of_twine_sees_every_fault_who_asks_for_details(uploader: Uploader, tmp_path: Path) -> None:
    wheel = build_wheel("refused", metadata=REFUSED, path=tmp_path)
    refused = uploader.twine("--verbose", wheel)
    assert refused.returncode != 0
    for word in ("400", *FAULTS):
        assert word in words(refused)
    # The server sends the standard reason phrase; then twine itself says where the rest is to be had.
    assert "--verbose" in words(uploader.twine(wheel))


@pytest.mark.parametrize("client", ["twine", "uv"])
def test_user_sees_that_the_name_is_taken(uploader: Uploader, tmp_path: Path, client: str) -> None:
    name = f"taken-{client}"
    send, details = getattr(uploader, client), ["--verbose"] if client == "twine" else []
    assert send(build_wheel(name, path=tmp_path)).returncode == 0
    refused = send(*details, build_wheel(name, files={"other.py": b""}, path=tmp_path))
    assert refused.returncode != 0
    assert "409" in words(refused) and "already exist" in words(refused)


@pytest.mark.parametrize("client", ["twine", "uv"])
def test_user_with_a_wrong_token_sees_why_though_the_file_is_large(
    index: RunningIndex, tmp_path: Path, client: str
) -> None:
    """The answer comes before the file was read; it must not be lost in a broken connection."""
    wheel = build_wheel("large", payload_size=30_000_000, path=tmp_path)
    uploader = Uploader(index, "wheelmark-AgEAAAAA", tmp_path)
    refused = getattr(uploader, client)(*(["--verbose"] if client == "twine" else []), wheel)
    assert refused.returncode != 0
    assert "403" in words(refused) and "token-malformed" in words(refused)


def test_of_uploads_at_one_moment_one_wins_and_none_fails(index: RunningIndex, token: str) -> None:
    wheels = [build_wheel("rush", files={f"v{number}.py": b""}) for number in range(8)]
    with ThreadPoolExecutor(len(wheels)) as pool:
        answers = pool.map(lambda wheel: index.upload(wheel_filename("rush"), wheel, token=token).status, wheels)
        assert Counter(answers) == {200: 1, 409: len(wheels) - 1}
    assert received(index) == []


def raw_request(index: RunningIndex, head: str, body: bytes, *, wait: bool = True) -> str:
    """Send bytes as they are, end the sending, and give what is answered."""
    with socket.create_connection(("127.0.0.1", index.port), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + body)
        if not wait:
            return ""
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
            if b"[" in answer.partition(b"\r\n\r\n")[2]:
                break
        return answer.decode("latin-1")


def head(token: str, *lines: str) -> str:
    kind = "Content-Type: multipart/form-data; boundary=b"
    return "\n".join(
        ["POST /legacy/ HTTP/1.1", "Host: localhost", f"Authorization: {basic(token)}", kind, *lines, "", ""]
    )


PART = (
    b'--b\r\nContent-Disposition: form-data; name="content"; filename="demo-1.0-py3-none-any.whl"\r\n\r\n'
    + b"x" * 300_000
)


def test_upload_without_a_length_is_told_to_give_one(index: RunningIndex, token: str) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PART), PART)
    answer = raw_request(index, head(token, "Transfer-Encoding: chunked"), chunked)
    assert answer.startswith("HTTP/1.1 411 ") and "[form-length]" in answer


def test_upload_that_is_cut_off_is_told_so_and_leaves_nothing(index: RunningIndex, token: str) -> None:
    answer = raw_request(index, head(token, "Content-Length: 5000000"), PART)
    assert answer.startswith("HTTP/1.1 400 ") and "[form-broken]" in answer
    assert received(index) == []


def test_client_that_vanishes_in_the_middle_leaves_nothing(index: RunningIndex, token: str) -> None:
    seen = index.output.count("form-broken")
    raw_request(index, head(token, "Content-Length: 5000000"), PART, wait=False)
    eventually(lambda: index.output.count("form-broken") > seen, seconds=20, what="the end of the upload in the log")
    eventually(lambda: not received(index), seconds=5, what="an empty folder")
    assert index.status("/readyz") == 200
