"""How much one look may cost. What crosses a bound was not seen to its end, so the look is incomplete."""

from __future__ import annotations

from dataclasses import dataclass

from wheelmark.dist import Bounds

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBounds:
    """Limits of one phase of a look, if nothing else is said. Sizes are bytes, times seconds."""

    max_members: int = 20_000  # files that are put into the sandbox
    max_unpacked_bytes: int = 256 * MIB
    max_standins: int = 5  # rounds in which one more missing module is stood in for
    max_modules: int = 16  # top-level modules that are imported, each in a process of its own
    step_seconds: float = 20.0  # one command, one import
    phase_seconds: float = 90.0
    linger_seconds: float = 2.0  # for what is left running after the last step
    cpu_seconds: int = 20  # of one process
    address_space: int = 1024 * MIB  # of one process
    processes: int = 64
    file_bytes: int = 64 * MIB
    open_files: int = 256
    scratch_bytes: int = 128 * MIB  # each of /tmp, home and /dev/shm; where the distribution lies there is more
    max_resident_bytes: int = 1536 * MIB  # of all processes together, looked at several times a second
    max_output_bytes: int = MIB
    max_trace_bytes: int = 32 * MIB
    max_observations: int = 200

    def archive(self) -> Bounds:
        """The bounds of reading the archive."""
        return Bounds(
            max_members=self.max_members,
            max_member_bytes=self.max_unpacked_bytes,
            max_total_bytes=self.max_unpacked_bytes,
        )

    def limits(self) -> dict[str, list[int]]:
        """What the kernel is told of every process inside, soft and hard, by the names of the `resource` module."""
        both = {
            "RLIMIT_AS": self.address_space,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }
        # The soft one comes as a signal of its own, which tells it from other ends.
        return {name: [value, value] for name, value in both.items()} | {
            "RLIMIT_CPU": [self.cpu_seconds, self.cpu_seconds + 1]
        }
