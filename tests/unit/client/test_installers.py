"""What pip and uv may be told, and the environment that leaves them one source."""

from __future__ import annotations

import os

import pytest

from wheelmark.client.installers import PIP, UV, Installer, argument_faults, child_environment

PROXY = "http://127.0.0.1:4321/"
SOURCE_VARIABLES = [
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_PROXY", "PIP_ISOLATED",
    "PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_REQUIREMENT", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_INSECURE_HOST", "UV_CONFIG_FILE", "UV_CACHE_DIR", "UV_HTTPS_PROXY",
    "UV_TORCH_BACKEND", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy",
]  # fmt: skip


@pytest.mark.parametrize(
    ("installer", "arguments"),
    [
        (PIP, ["install", "-i", "https://example.invalid/simple", "demo"]),
        (PIP, ["install", "-ihttps://example.invalid/simple", "demo"]),
        (PIP, ["install", "-Ui", "https://example.invalid/simple", "demo"]),
        (PIP, ["install", "--index-url=https://example.invalid/simple", "demo"]),
        (PIP, ["install", "--index", "https://example.invalid/simple", "demo"]),
        (PIP, ["install", "--extra", "https://example.invalid/simple", "demo"]),
        (PIP, ["install", "-f", "wheels", "demo"]),
        (PIP, ["install", "--find-links", "wheels", "demo"]),
        (PIP, ["--proxy", "example.invalid:3128", "install", "demo"]),
        (PIP, ["--isolated", "install", "demo"]),
        (PIP, ["install", "--trusted-host", "example.invalid", "demo"]),
        (PIP, ["install", "--cache-dir", "cache", "demo"]),
        (PIP, ["install", "https://example.invalid/demo-1.0.tar.gz"]),
        (PIP, ["install", "demo @ https://example.invalid/demo-1.0.tar.gz"]),
        (PIP, ["install", "demo@https://example.invalid/demo-1.0.tar.gz"]),
        (PIP, ["install", "-e", "git+https://example.invalid/demo"]),
        (PIP, ["install", "git+ssh://git@example.invalid/demo"]),
        (PIP, ["install", "-r", "HTTPS://example.invalid/requirements.txt"]),
        (UV, ["pip", "install", "--default-index", "https://example.invalid/simple", "demo"]),
        (UV, ["pip", "install", "--index=https://example.invalid/simple", "demo"]),
        (UV, ["pip", "install", "-f", "wheels", "demo"]),
        (UV, ["pip", "install", "--config-file", "uv.toml", "demo"]),
        (UV, ["pip", "install", "--torch-backend=auto", "torch"]),
        (UV, ["pip", "install", "demo @ git+https://example.invalid/demo"]),
    ],
)
def test_argument_that_names_another_source_is_refused(installer: Installer, arguments: list[str]) -> None:
    faults = argument_faults(installer, arguments, fixed_port=False)
    assert {fault.code for fault in faults} == {"other-source"}
    assert "expected the verified index as the only source, got" in faults[0].message


@pytest.mark.parametrize(
    ("installer", "arguments"),
    [
        (PIP, ["install", "-U", "-rfirst-if.txt", "--pre", "--progress-bar", "off", "demo>=1", "-c", "pins.txt"]),
        (PIP, ["install", "--target", "if", "--no-deps", "./demo", "demo[extra]==1.0"]),
        (PIP, ["index", "versions", "demo"]),
        (PIP, ["--python", ".venv", "list"]),
        (PIP, []),
        (UV, ["pip", "install", "-U", "-r", "requirements.txt", "--python", ".venv", "demo"]),
        (UV, ["pip", "sync", "-q", "pylock.toml"]),
        (UV, ["venv"]),
        (UV, ["tool", "install", "demo"]),
        (UV, ["--version"]),
    ],
)
def test_ordinary_arguments_pass(installer: Installer, arguments: list[str]) -> None:
    assert argument_faults(installer, arguments, fixed_port=False) == []


@pytest.mark.parametrize("command", ["add", "lock", "sync", "export"])
def test_uv_writes_a_lock_file_only_for_a_port_that_stays(command: str) -> None:
    (fault,) = argument_faults(UV, ["-q", command, "demo"], fixed_port=False)
    assert (fault.code, "--port" in fault.message) == ("uv-port", True)
    assert argument_faults(UV, ["-q", command, "demo"], fixed_port=True) == []


@pytest.mark.parametrize("arguments", [["run", "demo.py"], ["tool", "run", "demo"], ["publish"], ["python", "install"]])
def test_uv_command_that_needs_the_network_for_itself_is_refused(arguments: list[str]) -> None:
    (fault,) = argument_faults(UV, arguments, fixed_port=True)
    assert fault.code == "uv-command"


def test_password_in_a_refused_address_is_not_repeated() -> None:
    (fault,) = argument_faults(PIP, ["https://user:secret@example.invalid/x"], fixed_port=False)
    assert "secret" not in fault.message


@pytest.mark.parametrize("installer", [PIP, UV])
def test_environment_names_the_proxy_as_the_only_source(installer: Installer) -> None:
    hostile = dict.fromkeys(SOURCE_VARIABLES, "https://example.invalid/")
    made = child_environment(installer, {"PATH": "/bin", **hostile}, PROXY, python_prefix="/usr")
    assert not [name for name, value in made.items() if "example.invalid" in value]
    assert made["PATH"] == "/bin"
    assert (made["PIP_INDEX_URL"], made["UV_DEFAULT_INDEX"]) == (f"{PROXY}simple/", f"{PROXY}simple/")
    assert (made["PIP_CONFIG_FILE"], made["UV_NO_CONFIG"]) == (os.devnull, "1")
    assert (made["PIP_NO_CACHE_DIR"], made["UV_NO_CACHE"]) == ("1", "1")
    # The proxy is also the way out, for all hosts: there is no exception for this machine.
    assert {made[name] for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY")} == {PROXY}
    assert "NO_PROXY" not in made
    assert "no_proxy" not in made


def test_settings_that_say_nothing_about_sources_are_kept() -> None:
    assert child_environment(PIP, {"PIP_REQUIRE_HASHES": "1"}, PROXY, python_prefix="/")["PIP_REQUIRE_HASHES"] == "1"
    assert child_environment(UV, {"UV_LINK_MODE": "hardlink"}, PROXY, python_prefix="/")["UV_LINK_MODE"] == "hardlink"


def test_activated_environment_is_the_one_that_pip_installs_into() -> None:
    assert child_environment(PIP, {"VIRTUAL_ENV": "/venv"}, PROXY, python_prefix="/usr")["PIP_PYTHON"] == "/venv"
    assert "PIP_PYTHON" not in child_environment(PIP, {"VIRTUAL_ENV": "/venv"}, PROXY, python_prefix="/venv")
    assert "PIP_PYTHON" not in child_environment(UV, {"VIRTUAL_ENV": "/venv"}, PROXY, python_prefix="/usr")
