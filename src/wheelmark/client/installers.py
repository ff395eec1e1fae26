"""How pip and uv are run so that the verified index is their only source. Pure: arguments and environment in and out.

Three fences, each enough for what it is for:

1. The environment names our proxy as the index, switches off configuration files, and loses every variable that
   adds a source.
2. The proxy is also the installer's HTTP proxy, for every host including this one. It connects nowhere, so what
   hides in a requirements file, a lock file or a build script (an index option, a direct address) fails, loudly.
3. Options that name another source are refused before anything runs. This is for the message: it comes sooner and
   says what to do.

Caches: pip and uv remember downloads by address and do not hash again what they have unpacked. A cache that an
unverified run may have filled is therefore not used, and none is kept; the proxy is on this machine, so what it costs
is the download.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wheelmark.errors import Fault

_SOURCE_FAULT = "expected the verified index as the only source, got {} on the command line; leave it out"
_DIRECT_ADDRESS = re.compile(r"(?:[^\s@]+\s*@\s*)?(?:https?|ftp|(?:git|hg|svn|bzr)(?:\+[a-z]+)?)://?", re.IGNORECASE)
_PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """What we must know of one installer."""

    name: str
    prefix: str  # of the environment variables that set its options
    keep: frozenset[str]  # of those, what says nothing about sources
    source_options: frozenset[str]
    source_letters: str  # short options that name a source
    value_letters: str  # short options that take a value, which ends a cluster like `-Ui`
    abbreviates: bool  # a unique beginning of a long option counts as the option


PIP = Installer(
    name="pip",
    prefix="PIP_",
    keep=frozenset(
        {
            "PIP_BREAK_SYSTEM_PACKAGES", "PIP_CONSTRAINT", "PIP_NO_BUILD_ISOLATION", "PIP_NO_COLOR", "PIP_NO_INPUT",
            "PIP_NO_BINARY", "PIP_NO_DEPS", "PIP_ONLY_BINARY", "PIP_PRE", "PIP_PREFER_BINARY", "PIP_PREFIX",
            "PIP_PROGRESS_BAR", "PIP_PYTHON", "PIP_QUIET", "PIP_REQUIRE_HASHES", "PIP_REQUIRE_VIRTUALENV", "PIP_ROOT",
            "PIP_ROOT_USER_ACTION", "PIP_TARGET", "PIP_UPLOADED_PRIOR_TO", "PIP_USER", "PIP_VERBOSE",
        }
    ),
    source_options=frozenset(
        {
            "--index-url", "--pypi-url", "--extra-index-url", "--find-links", "--trusted-host", "--proxy",
            "--isolated", "--cache-dir",
        }
    ),
    source_letters="if",
    value_letters="ifrcetdwCbso",
    abbreviates=True,
)  # fmt: skip
UV = Installer(
    name="uv",
    prefix="UV_",
    keep=frozenset(
        {
            "UV_BREAK_SYSTEM_PACKAGES", "UV_COMPILE_BYTECODE", "UV_CONCURRENT_BUILDS", "UV_CONCURRENT_DOWNLOADS",
            "UV_CONCURRENT_INSTALLS", "UV_CONSTRAINT", "UV_EXCLUDE_NEWER", "UV_FROZEN", "UV_HTTP_TIMEOUT",
            "UV_LINK_MODE", "UV_LOCKED", "UV_NO_BINARY", "UV_NO_BUILD", "UV_NO_PROGRESS", "UV_NO_SYNC",
            "UV_OVERRIDE", "UV_PRERELEASE", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON",
            "UV_PYTHON_DOWNLOADS", "UV_PYTHON_PREFERENCE", "UV_REQUIRE_HASHES", "UV_RESOLUTION", "UV_SYSTEM_PYTHON",
            "UV_TOOL_BIN_DIR", "UV_TOOL_DIR", "UV_WORKING_DIR",
        }
    ),
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

# uv writes addresses of files into a lock file: with a port of chance, the lock would be of no use in the next run.
_UV_LOCKING = frozenset({"add", "remove", "lock", "sync", "export", "tree"})
# These run the user's program, which would find the network closed (fence 2), or talk to other servers by design.
_UV_REFUSED = frozenset({"run", "x", "publish", "self", "python"})


def argument_faults(installer: Installer, arguments: Sequence[str], *, fixed_port: bool) -> list[Fault]:
    """What in the installer's own arguments would go around the verified index, or cannot work behind it."""
    faults = [
        Fault("other-source", "arguments", _SOURCE_FAULT.format(_shown(argument)))
        for argument in arguments
        if _names_source(installer, argument) or _DIRECT_ADDRESS.match(argument)
    ]
    if installer is UV:
        words = [argument for argument in arguments if not argument.startswith("-")]
        if words[:2] == ["tool", "run"] or (words and words[0] in _UV_REFUSED):
            faults.append(
                Fault(
                    "uv-command",
                    "arguments",
                    f"expected a uv command that installs, got {words[0]!r}; install with `wheelmark uv`, "
                    "then use uv itself with --no-sync or --offline",
                )
            )
        elif words and words[0] in _UV_LOCKING and not fixed_port:
            faults.append(
                Fault(
                    "uv-port",
                    "arguments",
                    f"expected --port before {words[0]!r}, got none: the lock file records the proxy's address, so "
                    "give the project a port of its own, as in `wheelmark uv --port 8765 sync`",
                )
            )
    return faults


def child_environment(
    installer: Installer, environment: Mapping[str, str], proxy_url: str, *, python_prefix: str
) -> dict[str, str]:
    """The environment that the installer runs in. `python_prefix` is where our own interpreter lives."""
    kept = {
        name: value
        for name, value in environment.items()
        if name.lower() not in _PROXY_VARIABLES and (not name.startswith(("PIP_", "UV_")) or name in installer.keep)
    }
    closed = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), proxy_url)
    kept |= closed | {name.upper(): value for name, value in closed.items()}
    # Version control has its own ways to the network.
    kept["GIT_ALLOW_PROTOCOL"] = "file"
    index_url = f"{proxy_url}simple/"
    # Also pip's variables for uv and uv's for pip: a build may start the other one.
    kept |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index_url,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": index_url,
        "UV_NO_CACHE": "1",
    }
    kept.setdefault("UV_LINK_MODE", "copy")  # the cache of one run lies elsewhere: uv would warn that it cannot link
    virtual = environment.get("VIRTUAL_ENV")
    if installer is PIP and virtual and virtual != python_prefix:
        kept.setdefault("PIP_PYTHON", virtual)  # who activated an environment means that one, not ours
    return kept


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
