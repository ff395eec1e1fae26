"""What names of files and programs mean, and how they are shown without what differs by chance."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from wheelmark.scan.dynamic.places import HOME, SCRATCH, VENV
from wheelmark.scan.values import words

MAX_ARGUMENTS = 12
MAX_ARGUMENT = 120  # characters
_TRANSFERS = words("curl wget nc ncat netcat socat ssh scp sftp rsync ftp tftp telnet nslookup dig host ping")
_ARRANGES = words("crontab at batch systemctl launchctl schtasks update-rc.d chkconfig loginctl")
_SHELLS = words("sh bash dash zsh ksh ash busybox")
_TRANSFER_WORD = re.compile(rf"(?:^|[\s;&|(`'\"/])(?:{'|'.join(sorted(_TRANSFERS))})(?=\s+\S)")
_STARTS = re.compile(
    rf"^(?:{re.escape(HOME)}/(?:"
    r"\.(?:bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zprofile|zshenv|zlogin|xprofile|xinitrc|xsession)$"
    r"|\.config/(?:autostart|systemd/user|fish)/|\.ssh/(?:authorized_keys|rc)$|Library/LaunchAgents/"
    r"|\.local/lib/python[\d.]+/site-packages/(?:[^/]*\.(?:pth|start)|(?:site|user)customize\.py)$"
    r"|\.config/pip/|\.pip/|\.gitconfig$)"
    r"|/etc/(?:cron|rc|init|systemd/|profile|ld\.so\.preload|xdg/autostart/|environment|sudoers)"
    r"|/(?:usr/)?lib/systemd/|/var/spool/(?:cron|at)"
    rf"|{re.escape(VENV)}/lib/python[\d.]+/site-packages/"
    r"(?:[^/]*\.(?:pth|start)|(?:site|user)customize\.py)$)"
)
_SOURCE = re.compile(r"\.(?:py|pyw|pth|start|so|pyd|sh|js|exe|bin|dat)$|/setup\.cfg$")
_CHANCE = (
    # Names that `tempfile` and `mktemp` make up, alone and after what a program puts before them.
    (re.compile(r"\btmp(?:[a-z0-9_]{8}|\.[A-Za-z0-9]{10})(?![\w])"), "tmp*"),
    (re.compile(r"(/tmp/[\w.-]{0,60}?[._-])[a-z0-9_]{8}(?=$|[/\s'\"])"), r"\1*"),
    (re.compile(r"/proc/\d+"), "/proc/*"),
    (re.compile(r"0x[0-9a-f]{6,16}\b"), "0x*"),
    (re.compile(r"(pipe_handle|fd|tracker_fd)=\d+"), r"\1=*"),
)


def transfers(path: str, arguments: Sequence[bytes]) -> bool:
    """True for a program whose purpose is the network, and for a shell that is told to start one."""
    name = posixpath.basename(path)
    if name in _TRANSFERS:
        return True
    return name in _SHELLS and _TRANSFER_WORD.search(b" ".join(arguments).decode("utf-8", "replace")) is not None


def arranges_start(path: str) -> bool:
    """True for a program that arranges for others to be started."""
    return posixpath.basename(path) in _ARRANGES


def starts_by_itself(path: str) -> bool:
    """True for a file whose content is executed without anybody asking for it again."""
    return _STARTS.match(path) is not None


def is_home(path: str) -> bool:
    """True for a path among the user's own files."""
    return path.startswith(f"{HOME}/")


def is_source(path: str) -> bool:
    """True for files that do something, as against metadata and what a build leaves behind."""
    return _SOURCE.search(path) is not None


def shown_path(path: str) -> str:
    """A path as people write it."""
    return f"~{path.removeprefix(HOME)}" if is_home(path) else path


def command(path: str, arguments: Sequence[bytes]) -> str:
    """A command line for people: the program by its name, however it was looked for, and the first arguments."""
    shown = [posixpath.basename(path) if not path.startswith((SCRATCH, HOME)) else shown_path(path)]
    shown += [argument.decode("utf-8", "backslashreplace")[:MAX_ARGUMENT] for argument in arguments[1:MAX_ARGUMENTS]]
    return " ".join(shown)


def normal(text: str) -> str:
    """Text without process numbers, addresses in memory and names of temporary files."""
    for pattern, replacement in _CHANCE:
        text = pattern.sub(replacement, text)
    return text
