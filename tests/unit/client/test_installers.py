"""What pip and uv may be told under `wheelmark pip` and `wheelmark uv`."""

from __future__ import annotations

import pytest

from wheelmark.client.installers import PIP, UV, Installer, argument_faults

OWN = ("https://index.example.org/simple/", "https://index.example.org/files/")


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
        (PIP, ["--no-proxy-env", "install", "demo"]),
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
    faults = argument_faults(installer, arguments, own=OWN)
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
        (UV, ["lock"]),
        (UV, ["add", "demo"]),
        (UV, ["pip", "install", f"{OWN[1]}00/demo-1.0-py3-none-any.whl"]),
        (PIP, ["install", f"demo @ {OWN[1]}00/demo-1.0-py3-none-any.whl"]),
    ],
)
def test_ordinary_arguments_pass(installer: Installer, arguments: list[str]) -> None:
    assert argument_faults(installer, arguments, own=OWN) == []


@pytest.mark.parametrize("arguments", [["run", "demo.py"], ["tool", "run", "demo"], ["publish"], ["python", "install"]])
def test_uv_command_that_needs_the_network_for_itself_is_refused(arguments: list[str]) -> None:
    (fault,) = argument_faults(UV, arguments, own=OWN)
    assert fault.code == "uv-command"


def test_password_in_a_refused_address_is_not_repeated() -> None:
    (fault,) = argument_faults(PIP, ["https://user:secret@example.invalid/x"], own=OWN)
    assert "secret" not in fault.message
