"""What can be observed of a distribution that runs, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wheelmark.scan.report import Context


class Kind(StrEnum):
    """What kind of thing was done, or tried: that the sandbox did not let it is no excuse."""

    CONTACT = "contact"  # connected to an address, or asked for one by name
    TRANSFER = "transfer"  # started a program whose purpose is the network
    LISTEN = "listen"  # waits for others to connect
    DECOY_READ = "decoy-read"  # opened a made-up secret
    DECOY_USED = "decoy-used"  # a made-up secret in a command line, in a file, in bytes sent
    AUTOSTART = "autostart"  # arranged to be started again
    DROPPED_RUN = "dropped-run"  # executed a file that it had written
    PROCESS = "process"  # started another program
    MANY_PROCESSES = "many-processes"
    LEFT_RUNNING = "left-running"
    SELF_DELETE = "self-delete"  # removed files of its own distribution
    HOME_WRITTEN = "home-written"  # wrote where the user's own files are
    INTERFERES = "interferes"  # attaches to processes or ends ones that it did not start
    ESCAPE = "escape"  # asks the kernel for what only leaving or hiding needs
    STOPPED = "stopped"  # ended with an error, so that what follows was not seen


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Observation:
    """One thing that was seen, without anything that differs from run to run."""

    kind: Kind
    context: Context  # the phase
    member: str  # the file that was run
    step: str  # in words: what was being done
    what: str  # what was seen; printable, bounded
