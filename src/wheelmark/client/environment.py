"""The environment in which any tool sees the verified indexes and nothing else.

1. The forward proxy is the HTTP proxy for every host, this machine included. It connects nowhere, so whatever names
   another source (a configuration, a lock file, a build script) fails, loudly.
2. The child trusts our certificate authority and no other: a tool that went around the proxy to an https address
   would not believe the answer.
3. Variables that add a source, a certificate or an exception from the proxy are taken away, and the indexes are put
   in their place for tools that take one from the environment.

Caches: tools remember downloads by address and do not hash again what they have unpacked. A cache that an unverified
run may have filled is therefore not used, and none is kept; the proxy is on this machine, so what it costs is the
download.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from wheelmark.errors import Fault

_UV_PROXY_KEYS = frozenset({"http-proxy", "https-proxy", "no-proxy"})
MAX_PROJECT_BYTES = 1024 * 1024

_PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy"})
# Of pip's and uv's variables only these are kept: they say nothing about sources, and a new one might.
_KEPT = frozenset(
    {
        "PIP_BREAK_SYSTEM_PACKAGES", "PIP_CONSTRAINT", "PIP_NO_BUILD_ISOLATION", "PIP_NO_COLOR", "PIP_NO_INPUT",
        "PIP_NO_BINARY", "PIP_NO_DEPS", "PIP_ONLY_BINARY", "PIP_PRE", "PIP_PREFER_BINARY", "PIP_PREFIX",
        "PIP_PROGRESS_BAR", "PIP_PYTHON", "PIP_QUIET", "PIP_REQUIRE_HASHES", "PIP_REQUIRE_VIRTUALENV", "PIP_ROOT",
        "PIP_ROOT_USER_ACTION", "PIP_TARGET", "PIP_UPLOADED_PRIOR_TO", "PIP_USER", "PIP_VERBOSE",
        "UV_BREAK_SYSTEM_PACKAGES", "UV_COMPILE_BYTECODE", "UV_CONCURRENT_BUILDS", "UV_CONCURRENT_DOWNLOADS",
        "UV_CONCURRENT_INSTALLS", "UV_CONSTRAINT", "UV_EXCLUDE_NEWER", "UV_FROZEN", "UV_HTTP_TIMEOUT",
        "UV_LINK_MODE", "UV_LOCKED", "UV_NO_BINARY", "UV_NO_BUILD", "UV_NO_PROGRESS", "UV_NO_SYNC",
        "UV_OVERRIDE", "UV_PRERELEASE", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON",
        "UV_PYTHON_DOWNLOADS", "UV_PYTHON_PREFERENCE", "UV_REQUIRE_HASHES", "UV_RESOLUTION", "UV_SYSTEM_PYTHON",
        "UV_TOOL_BIN_DIR", "UV_TOOL_DIR", "UV_WORKING_DIR",
    }
)  # fmt: skip
_DROPPED_PREFIXES = ("PIP_", "UV_", "PDM_PYPI_", "POETRY_REPOSITORIES_", "POETRY_CERTIFICATES_", "POETRY_PYPI_")
_CERTIFICATE_FILES = (
    "SSL_CERT_FILE",  # OpenSSL, uv, httpx
    "REQUESTS_CA_BUNDLE",  # requests (poetry, and pdm asks for it by name)
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",  # a build backend may start cargo
    "NODE_EXTRA_CA_CERTS",
)
_SWITCHED_ON = (
    "PIP_NO_CACHE_DIR",
    "PIP_DISABLE_PIP_VERSION_CHECK",
    "UV_NO_CACHE",
    "HATCH_NO_UPDATE_CHECK",
)


class UvProject(NamedTuple):
    """What a project says of indexes to uv by itself: it knows best how they are to be written in its lock file."""

    names_index: bool = False
    names_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """The one way to the network that a child has."""

    proxy_url: str
    certificates: Path  # what the child must believe, as one PEM file, alone in its folder
    scratch: Path  # an empty folder for caches that last as long as the run
    index_urls: Sequence[str]  # as the user wrote them, the highest priority first
    uv_project: UvProject
    scratch_is_near: bool = False  # on the file system that is installed to: files can be linked from there


def child_environment(environment: Mapping[str, str], way: WayOut) -> dict[str, str]:
    """The environment of the child."""
    kept = {name: value for name, value in environment.items() if _is_kept(name)}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), way.proxy_url)
    kept |= proxies | {name.upper(): value for name, value in proxies.items()}
    # pip puts this above its configuration files and above what a build asks of it.
    kept["PIP_PROXY"] = way.proxy_url
    kept |= dict.fromkeys(_CERTIFICATE_FILES, str(way.certificates))
    # A folder counts beside the file; without one OpenSSL takes the system's.
    kept["SSL_CERT_DIR"] = str(way.certificates.parent)
    kept["UV_SYSTEM_CERTS"] = kept["UV_NATIVE_TLS"] = "0"
    kept["GIT_ALLOW_PROTOCOL"] = "file"  # version control has its own ways to the network
    kept |= dict.fromkeys(_SWITCHED_ON, "1")
    kept |= _indexes(way)
    kept |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_TOOLS_CACHE_DIR": str(way.scratch / "pip-tools"),
        "POETRY_CACHE_DIR": str(way.scratch / "poetry"),
        "PDM_CACHE_DIR": str(way.scratch / "pdm"),
        "PDM_CHECK_UPDATE": "0",
    }
    if not way.scratch_is_near:
        kept.setdefault("UV_LINK_MODE", "copy")  # or uv would warn that it cannot link
    return kept


def uv_project(folder: Path) -> UvProject:
    """What uv, started in that folder, finds in the project's own configuration: the nearest file that has any."""
    for directory in (folder, *folder.parents):
        tool = _toml(directory / "pyproject.toml").get("tool")
        own = _toml(directory / "uv.toml") or (tool.get("uv") if isinstance(tool, dict) else None)
        if isinstance(own, dict) and own:
            entries = own.get("index")
            tables = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
            default = "index-url" in own or any(one.get("default") is True for one in tables)
            return UvProject(default or bool(tables) or "extra-index-url" in own, default)
    return UvProject()


def is_near(scratch: Path, environment: Mapping[str, str]) -> bool:
    """Whether a folder is on the file system where an installer most likely installs to."""
    try:
        return scratch.stat().st_dev == Path(environment.get("VIRTUAL_ENV") or Path.cwd()).stat().st_dev
    except OSError:
        return False


def uv_proxy_fault(folder: Path, environment: Mapping[str, str]) -> Fault | None:
    """The setting of uv that would lead around the proxy, in any file that uv would read when started in that folder.

    With `http-proxy` in a file uv looks at no variable, and with `no-proxy` beside it goes straight to an index. To an
    https index it would get no further than the certificate; a plain http index has no such second fence.
    """
    user = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "/")) / ".config")
    system = [Path(one) for one in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep) if one]
    for path in [
        *(directory / "uv.toml" for directory in (folder, *folder.parents)),
        *(directory / "uv" / "uv.toml" for directory in (user, *system, Path("/etc"))),
    ]:
        if found := sorted(_toml(path).keys() & _UV_PROXY_KEYS):
            return Fault("uv-proxy", str(path), f"expected no proxy settings in uv's configuration, got {found[0]}")
    return None


def _toml(path: Path) -> dict[str, Any]:
    """The file, or nothing: whoever reads it in earnest says what is wrong with it."""
    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(MAX_PROJECT_BYTES).decode())
    except (OSError, ValueError):
        return {}


def _is_kept(name: str) -> bool:
    if name.lower() in _PROXY_VARIABLES or name in _CERTIFICATE_FILES:
        return False
    return name in _KEPT or not name.startswith(_DROPPED_PREFIXES)


def _indexes(way: WayOut) -> dict[str, str]:
    """For pip, uv and pdm. uv asks `UV_INDEX` in its order before the default, and stops at the first that has it."""
    first, last = way.index_urls[0], way.index_urls[-1]
    # Also pip's variables for uv and uv's for pip: a build may start the other one.
    named = {"PIP_INDEX_URL": first, "PDM_PYPI_URL": first}
    if len(way.index_urls) > 1:
        named["PIP_EXTRA_INDEX_URL"] = " ".join(way.index_urls[1:])
    if not way.uv_project.names_default:
        named["UV_DEFAULT_INDEX"] = last
    if not way.uv_project.names_index and len(way.index_urls) > 1:
        named["UV_INDEX"] = " ".join(way.index_urls[:-1])
    return named
