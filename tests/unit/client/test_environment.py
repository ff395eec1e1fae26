"""The environment that leaves a tool one way to the network, and one authority to believe."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from wheelmark.client.environment import UvProject, WayOut, child_environment, is_near, uv_project, uv_proxy_fault

PROXY = "http://127.0.0.1:4321/"
INDEX = "https://index.example.org/simple"
HOSTILE = [
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_PROXY", "PIP_ISOLATED",
    "PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_REQUIREMENT", "PIP_NO_PROXY_ENV", "UV_INDEX", "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_INSECURE_HOST", "UV_CONFIG_FILE", "UV_CACHE_DIR",
    "UV_HTTPS_PROXY", "UV_TORCH_BACKEND", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "PDM_PYPI_URL",
    "PDM_PYPI_CA_CERTS", "PDM_CACHE_DIR", "POETRY_CACHE_DIR", "POETRY_CERTIFICATES_OWN_CERT",
    "POETRY_REPOSITORIES_OWN_URL", "PIP_TOOLS_CACHE_DIR",
]  # fmt: skip


def way(*urls: str, project: UvProject = UvProject()) -> WayOut:  # noqa: B008  # a tuple
    scratch = Path("/scratch")
    return WayOut(
        proxy_url=PROXY,
        certificates=scratch / "certificates" / "own.pem",
        scratch=scratch,
        index_urls=urls or (INDEX,),
        uv_project=project,
    )


def test_uv_copies_only_where_it_cannot_link(tmp_path: Path) -> None:
    assert child_environment({}, way())["UV_LINK_MODE"] == "copy"
    assert "UV_LINK_MODE" not in child_environment({}, replace(way(), scratch_is_near=True))
    assert is_near(tmp_path, {"VIRTUAL_ENV": str(tmp_path)})
    assert not is_near(Path("/proc"), {"VIRTUAL_ENV": str(tmp_path)})
    assert not is_near(tmp_path / "missing", {})


def test_nothing_of_the_users_sources_exceptions_and_certificates_remains() -> None:
    made = child_environment({"PATH": "/bin", **dict.fromkeys(HOSTILE, "https://example.invalid/")}, way())
    assert [name for name, value in made.items() if "example.invalid" in value] == []
    assert made["PATH"] == "/bin"
    assert not {"NO_PROXY", "no_proxy"} & made.keys()


def test_proxy_is_the_way_out_and_our_authority_the_only_one() -> None:
    made = child_environment({}, way())
    assert {made[name] for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY", "PIP_PROXY")} == {PROXY}
    assert {made[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")} == {
        "/scratch/certificates/own.pem"
    }
    assert made["SSL_CERT_DIR"] == "/scratch/certificates"


def test_tools_are_told_the_index_as_it_was_written_and_use_no_cache_of_an_earlier_run() -> None:
    made = child_environment({}, way())
    assert (made["PIP_INDEX_URL"], made["UV_DEFAULT_INDEX"], made["PDM_PYPI_URL"]) == (INDEX, INDEX, INDEX)
    assert (made["PIP_CONFIG_FILE"], made["PIP_NO_CACHE_DIR"], made["UV_NO_CACHE"]) == (os.devnull, "1", "1")
    caches = {made[name] for name in ("POETRY_CACHE_DIR", "PDM_CACHE_DIR", "PIP_TOOLS_CACHE_DIR")}
    assert len(caches) == 3
    assert all(path.startswith("/scratch/") for path in caches)


def test_several_indexes_keep_their_order_for_pip_and_for_uv() -> None:
    made = child_environment({}, way("https://a/", "https://b/", "https://c/"))
    assert (made["PIP_INDEX_URL"], made["PIP_EXTRA_INDEX_URL"]) == ("https://a/", "https://b/ https://c/")
    # uv: UV_INDEX first, the default last.
    assert (made["UV_INDEX"], made["UV_DEFAULT_INDEX"]) == ("https://a/ https://b/", "https://c/")


def test_project_that_names_its_indexes_itself_keeps_its_spelling() -> None:
    made = child_environment({}, way("https://a/", "https://b/", project=UvProject(True, True)))
    assert not {"UV_INDEX", "UV_DEFAULT_INDEX"} & made.keys()
    some = child_environment({}, way("https://a/", project=UvProject(True, False)))
    assert some["UV_DEFAULT_INDEX"] == "https://a/"


def test_settings_that_say_nothing_about_sources_are_kept() -> None:
    given = {"PIP_REQUIRE_HASHES": "1", "UV_LINK_MODE": "hardlink", "PDM_USE_VENV": "0", "UV_EXCLUDE_NEWER": "3 days"}
    made = child_environment(given, way())
    assert {name: made[name] for name in given} == given


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pyproject.toml", "[project]\n", UvProject()),
        ("pyproject.toml", "[tool.uv]\npackage = false\n", UvProject()),
        ("pyproject.toml", '[[tool.uv.index]]\nurl = "x"\n', UvProject(True, False)),
        ("pyproject.toml", '[[tool.uv.index]]\nurl = "x"\ndefault = true\n', UvProject(True, True)),
        ("pyproject.toml", '[tool.uv]\nindex-url = "x"\n', UvProject(True, True)),
        ("uv.toml", '[[index]]\nurl = "x"\ndefault = true\n', UvProject(True, True)),
        ("uv.toml", "index = 3\n", UvProject()),
        ("uv.toml", "= broken", UvProject()),
        ("pyproject.toml", "tool = 3\n", UvProject()),
    ],
)
def test_project_configuration_is_found_from_a_folder_inside(
    tmp_path: Path, name: str, text: str, expected: UvProject
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "inside").mkdir()
    assert uv_project(tmp_path / "inside") == expected


@pytest.mark.parametrize("place", ["project/uv.toml", "uv.toml", "user/uv/uv.toml", "system/uv/uv.toml"])
def test_proxy_setting_in_any_file_that_uv_reads_is_a_fault(tmp_path: Path, place: str) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "user"), "XDG_CONFIG_DIRS": str(tmp_path / "system")}
    (tmp_path / "project").mkdir()
    assert uv_proxy_fault(tmp_path / "project", environment) is None
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('no-proxy = ["*"]\n')
    fault = uv_proxy_fault(tmp_path / "project", environment)
    assert fault is not None
    assert (fault.field, "no-proxy" in fault.message) == (str(path), True)
