"""What is particular to pip and uv when they run under `wheelmark pip` and `wheelmark uv`. Pure.

Options that name another source are refused before anything runs. This is for the message: the network is closed
anyway (see `environment` and `forward`), but this comes sooner and says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wheelmark.errors import Fault

_SOURCE_FAULT = "expected the verified index as the only source, got {} on the command line; leave it out"
_DIRECT_ADDRESS = re.compile(r"(?:[^\s@]+\s*@\s*)?(?:https?|ftp|(?:git|hg|svn|bzr)(?:\+[a-z]+)?)://?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """What we must know of one installer."""

    name: str
    source_options: frozenset[str]
    source_letters: str  # short options that name a source
    value_letters: str  # short options that take a value, which ends a cluster like `-Ui`
    abbreviates: bool  # a unique beginning of a long option counts as the option


PIP = Installer(
    name="pip",
    source_options=frozenset(
        {
            "--index-url", "--pypi-url", "--extra-index-url", "--find-links", "--trusted-host", "--proxy",
            "--no-proxy-env", "--cert", "--isolated", "--cache-dir",
        }
    ),
    source_letters="if",
    value_letters="ifrcetdwCbso",
    abbreviates=True,
)  # fmt: skip
UV = Installer(
    name="uv",
    source_options=frozenset(
        {
            "--index", "--default-index", "--index-url", "--extra-index-url", "--find-links", "--allow-insecure-host",
            "--trusted-host", "--config-file", "--torch-backend", "--cache-dir",
        }
    ),
    source_letters="if",
    value_letters="ifrcebopPCwm",
    abbreviates=False,
)  # fmt: skip

# These run the user's program, which would find the network closed, or talk to other servers by design.
_UV_REFUSED = frozenset({"run", "x", "publish", "self", "python"})


def argument_faults(installer: Installer, arguments: Sequence[str], *, own: Sequence[str]) -> list[Fault]:
    """What in the installer's own arguments would go around the verified indexes, or cannot work behind them.

    `own` are the addresses below which the indexes' files lie: a direct address there is verified like any other.
    """
    faults = [
        Fault("other-source", "arguments", _SOURCE_FAULT.format(_shown(argument)))
        for argument in arguments
        if _names_source(installer, argument) or _is_elsewhere(argument, own)
    ]
    if installer is UV:
        words = [argument for argument in arguments if not argument.startswith("-")]
        if words[:2] == ["tool", "run"] or (words and words[0] in _UV_REFUSED):
            faults.append(
                Fault(
                    "uv-command",
                    "arguments",
                    f"expected a uv command that installs, got {words[0]!r}; install with `wheelmark uv`, then use uv "
                    "itself with --no-sync or --offline, or have all of it under `wheelmark run -- uv …`",
                )
            )
    return faults


def _is_elsewhere(argument: str, own: Sequence[str]) -> bool:
    match = _DIRECT_ADDRESS.match(argument)
    if match is None:
        return False
    address = argument[argument.find("@") + 1 :].strip() if not argument.startswith("http") else argument
    return not any(address.startswith(prefix) for prefix in own)


def _names_source(installer: Installer, argument: str) -> bool:
    if argument.startswith("--"):
        name = argument.partition("=")[0]
        if installer.abbreviates and len(name) > 3:
            return any(option.startswith(name) for option in installer.source_options)
        return name in installer.source_options
    if not argument.startswith("-"):
        return False
    for letter in argument[1:]:
        if letter in installer.source_letters:
            return True
        if letter in installer.value_letters:
            return False
    return False


def _shown(argument: str) -> str:
    """The argument without a password that an address in it may carry."""
    return repr(re.sub(r"//[^/@\s]*@", "//…@", argument)[:200])
