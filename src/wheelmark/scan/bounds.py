"""The bounds of one scan. What lies beyond one of them was not looked at, so the scan is incomplete, never clean."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanBounds:
    """Limits on what a scan reads and computes. Sizes are bytes."""

    max_source_bytes: int = 8 * MIB  # one Python file; the largest real ones are generated tables of 3 to 5 MB
    max_total_source_bytes: int = 96 * MIB  # all Python files of one distribution together
    max_side_bytes: int = 256 * 1024  # one data file, kept because code may read and run it
    max_total_side_bytes: int = 16 * MIB
    max_archive_bytes: int = 16 * MIB  # one archive inside the distribution, kept because code may open it
    max_total_archive_bytes: int = 32 * MIB
    max_nested_bytes: int = 48 * MIB  # what all archives inside the distribution may yield together
    max_nested_members: int = 20_000
    max_nesting: int = 3  # archives inside archives inside the distribution
    max_decoded_bytes: int = 10 * MIB  # what decoders may produce in one member, all layers together
    max_layers: int = 6  # decoded code inside decoded code
    max_folded_items: int = 200_000  # elements of one sequence that is computed while folding
    max_evaluations: int = 6  # of one function: it is walked again when called with other arguments
    max_inlining: int = 8  # depth of calls from helper to helper that are followed
    max_steps: int = 6_000_000  # syntax nodes evaluated in one distribution
    max_findings: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What the kernel lets one scanning process use. Times are seconds, sizes bytes."""

    address_space: int = 1536 * MIB  # virtual memory, of which an ordinary scan touches less than 100 MiB
    cpu_seconds: int = 60  # for one scan
    wall_seconds: float = 300.0  # for one scan; generous, because a busy machine gives each process little of them
    open_files: int = 32
    scans_per_process: int = 200  # then a fresh one: no leak and no state grows without bound
    replaced_above: int = 96 * MIB  # resident peak, after which a fresh one comes, too: what is left lies in pieces
    max_report_bytes: int = 4 * MIB
    start_seconds: float = 20.0
