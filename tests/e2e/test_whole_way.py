"""The whole way of a file, with real clients: uploaded, inspected, signed, served, installed verified."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.client import clean_environment, installed_versions, new_environment, run_wheelmark
from support.distributions import build_sdist, build_wheel
from support.server import SIMPLE_JSON, RunningIndex, eventually
from wheelmark.client import verify_repository
from wheelmark.trust import check_metadata_set

BIN = Path(sys.executable).parent

# Harmless, and never run: what a scanner must not let through is code that unpacks hidden code while it is installed.
TROUBLE = """\
import base64
from setuptools import setup

exec(base64.b64decode("cHJpbnQoMSk=").decode())
setup(name="trouble", version="1.0")
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIndex]:
    with RunningIndex(tmp_path_factory.mktemp("index") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def token(index: RunningIndex) -> str:
    return index.token()


@pytest.fixture
def root(index: RunningIndex, tmp_path: Path) -> Path:
    path = tmp_path / "root.json"
    path.write_bytes(index.root)
    return path


def a_wheel(folder: Path, name: str, version: str = "1.0", *, payload_size: int = 0) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    module = {f"{name}/__init__.py": f'VERSION = "{version}"\n'.encode()}
    path.write_bytes(build_wheel(name, version, files=module, payload_size=payload_size))
    return path


def a_malicious_sdist(folder: Path, name: str) -> Path:
    path = folder / f"{name}-1.0.tar.gz"
    path.write_bytes(build_sdist(name, "1.0", files={"setup.py": TROUBLE.encode()}))
    return path


def twine(
    index: RunningIndex, token: str, *paths: Path, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(
        TWINE_REPOSITORY_URL=f"{index.base_url}/legacy/", TWINE_USERNAME="__token__", TWINE_PASSWORD=token
    )
    command: list[str | Path] = [
        BIN / "twine",
        "upload",
        "--non-interactive",
        "--disable-progress-bar",
        *options,
        *paths,
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def uv_publish(index: RunningIndex, token: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(UV_PUBLISH_TOKEN=token)
    command: list[str | Path] = [BIN / "uv", "publish", "--publish-url", f"{index.base_url}/legacy/", *paths]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def held(index: RunningIndex) -> dict[str, str]:
    rows = json.loads(index.command("admin", "file", "list", "--state", "held", "--json").stdout)
    return {row["filename"]: row["reason"] for row in rows}


def every_address(index: RunningIndex, project: str, path: Path) -> dict[str, int]:
    """The status of every address under which a file could be read, or its existence be learned."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    addresses = [
        f"/simple/{project}/",
        f"/simple/{project}/?format=application/vnd.pypi.simple.v1+json",
        f"/files/{sha256}/{path.name}",
        f"/files/{sha256}/{path.name}.metadata",
        f"/tuf/targets/simple/{project}/index.json",
        f"/tuf/targets/simple/{project}/{sha256}.index.json",
        f"/project/{project}/",
        f"/project/{project}/1.0/",
    ]
    return {address: index.status(address) for address in addresses}


@pytest.mark.parametrize(("uploader", "installer"), [("twine", "uv"), ("uv", "pip")])
def test_uploaded_by_either_tool_and_installed_verified_by_either(
    index: RunningIndex, root: Path, tmp_path: Path, uploader: str, installer: str
) -> None:
    name = f"way_{uploader}_{installer}"
    wheel = a_wheel(tmp_path, name)
    done = (twine if uploader == "twine" else uv_publish)(index, index.token(), wheel)
    assert done.returncode == 0, done.stdout + done.stderr
    project = name.replace("_", "-")
    index.wait_published(project, wheel.name)
    python = new_environment(tmp_path / "venv")
    words = ["--python", str(python), "install"] if installer == "pip" else ["pip", "install", "--python", str(python)]
    options = ["--index", f"{index.base_url}/simple/", "--root", str(root)]
    ran = run_wheelmark(installer, *options, *words, project, state=tmp_path / "state")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert installed_versions(python, name) == {name: "1.0"}


def test_plain_pip_and_uv_install_as_from_any_index(index: RunningIndex, token: str, tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path, "plain")
    assert twine(index, token, wheel).returncode == 0
    index.wait_published("plain", wheel.name)
    commands: list[list[str | Path]] = [
        [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "-d", tmp_path / "pip", "plain"],
        [BIN / "uv", "pip", "install", "--no-cache", "--target", tmp_path / "uv", "plain"],
    ]
    for command in commands:
        address = f"{index.base_url}/simple/"
        environment = clean_environment(PIP_INDEX_URL=address, UV_DEFAULT_INDEX=address)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr


def test_malicious_upload_is_held_with_its_reason_and_reachable_by_no_address(
    index: RunningIndex, token: str, tmp_path: Path
) -> None:
    sdist = a_malicious_sdist(tmp_path, "trouble")
    assert twine(index, token, sdist).returncode == 0
    reason = eventually(lambda: held(index).get(sdist.name), seconds=30, what="the file held")
    assert "malicious" in reason
    statuses = every_address(index, "trouble", sdist)
    assert set(statuses.values()) == {404}, statuses
    assert b"trouble" not in index.get("/simple/", accept=SIMPLE_JSON).data
    assert b"trouble" not in index.get("/simple/").data
    assert b"trouble" not in index.get("/").data
    assert b"1.0.tar.gz" not in index.get("/search?q=trouble").data


def test_released_file_is_published_and_a_rejected_one_stays_out(
    index: RunningIndex, token: str, tmp_path: Path
) -> None:
    wanted, unwanted = a_malicious_sdist(tmp_path, "misjudged"), a_malicious_sdist(tmp_path, "judged")
    assert twine(index, token, wanted, unwanted).returncode == 0
    eventually(lambda: {wanted.name, unwanted.name} <= held(index).keys(), seconds=30, what="both held")
    index.command("admin", "file", "release", wanted.name, "--reason", "false alarm")
    index.command("admin", "file", "reject", unwanted.name, "--reason", "it is what it looks like")
    index.wait_published("misjudged", wanted.name)
    assert set(every_address(index, "judged", unwanted).values()) == {404}


def test_yank_reaches_the_page_and_removal_takes_the_bytes_away(
    index: RunningIndex, token: str, tmp_path: Path
) -> None:
    first, second = a_wheel(tmp_path, "changing", "1.0"), a_wheel(tmp_path, "changing", "2.0")
    assert twine(index, token, first, second).returncode == 0
    for wheel in (first, second):
        index.wait_published("changing", wheel.name)
    index.command("admin", "release", "yank", "changing", "1.0", "--reason", "broken on Tuesdays")

    def yanked() -> object:
        page = json.loads(index.get("/simple/changing/", accept=SIMPLE_JSON).data)
        return {file["filename"]: file.get("yanked") for file in page["files"]}[first.name]

    eventually(lambda: yanked() == "broken on Tuesdays", seconds=10, what="the yank on the page")
    sha256 = hashlib.sha256(second.read_bytes()).hexdigest()
    assert index.status(f"/files/{sha256}/{second.name}") == 200
    index.command("admin", "release", "remove", "changing", "2.0", "--reason", "a secret is in it")
    eventually(lambda: index.listed("changing") == [first.name], seconds=10, what="the removal on the page")
    assert index.status(f"/files/{sha256}/{second.name}") == 404
    assert index.status(f"/files/{sha256}/{second.name}.metadata") == 404
    again = twine(index, token, second)
    assert again.returncode != 0, "a name that was removed is never used again"


def test_quarantined_project_serves_no_file_and_takes_none(index: RunningIndex, token: str, tmp_path: Path) -> None:
    wheel, later = a_wheel(tmp_path, "suspect"), a_wheel(tmp_path, "suspect", "2.0")
    assert twine(index, token, wheel).returncode == 0
    index.wait_published("suspect", wheel.name)
    index.command("admin", "project", "status", "suspect", "quarantined", "--reason", "under review")
    eventually(lambda: index.listed("suspect") == [], seconds=10, what="an empty page")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert index.status(f"/files/{sha256}/{wheel.name}") == 404
    page = json.loads(index.get("/simple/suspect/", accept=SIMPLE_JSON).data)
    assert page["project-status"]["status"] == "quarantined"
    assert twine(index, token, later).returncode != 0


def test_whole_repository_verifies_by_an_unmodified_tuf_client(index: RunningIndex, token: str, tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path, "counted")
    assert twine(index, token, wheel).returncode == 0
    index.wait_published("counted", wheel.name)
    summary = verify_repository(f"{index.base_url}/simple/", index.root, include_files=True)
    assert summary.faults == ()
    assert summary.pages >= 1
    assert summary.files >= 1

    def fetch(name: str) -> bytes | None:
        answer = index.get(f"/tuf/{name}")
        return answer.data if answer.status == 200 else None

    from datetime import UTC, datetime

    report = check_metadata_set(fetch, index.root, datetime.now(UTC))
    assert report.faults == ()
    assert report.target_count == summary.pages


def test_flipped_byte_in_the_store_is_refused_and_nothing_is_installed(
    index: RunningIndex, token: str, root: Path, tmp_path: Path
) -> None:
    wheel = a_wheel(tmp_path, "flipped", payload_size=300_000)
    assert twine(index, token, wheel).returncode == 0
    index.wait_published("flipped", wheel.name)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    stored = next(path for path in (index.data / "store").rglob(sha256) if path.is_file())
    body = bytearray(stored.read_bytes())
    body[len(body) // 2] ^= 1
    stored.chmod(0o600)
    stored.write_bytes(body)
    for installer in ("pip", "uv"):
        python = new_environment(tmp_path / f"venv-{installer}")
        words = (
            ["--python", str(python), "install"] if installer == "pip" else ["pip", "install", "--python", str(python)]
        )
        options = ["--index", f"{index.base_url}/simple/", "--root", str(root)]
        ran = run_wheelmark(installer, *options, *words, "flipped", state=tmp_path / installer)
        assert ran.returncode == 3, ran.stdout + ran.stderr
        assert "wheelmark: refused:" in ran.stderr
        assert installed_versions(python, "flipped") == {}
