"""The facts of a scan in a few lines: kept with the report, and compared with those of the next release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsSummary:
    """What a distribution holds and does, in short. Sizes are bytes; lists are sorted and bounded."""

    acts: tuple[str, ...] = ()  # what its code does and when, as "start a process/import"
    hosts: tuple[str, ...] = ()  # whom its code names when it talks to the network
    modules: tuple[str, ...] = ()  # top-level names that can be imported; those of sdists without tests and build files
    startup_files: tuple[str, ...] = ()  # what the interpreter reads at each start: .pth, .start, sitecustomize
    natives: tuple[str, ...] = ()  # executables and libraries
    decoded_layers: int = 0  # pieces of code that come out of a decoder and are executed
    hidden_calls: int = 0  # calls whose name is kept out of sight
    unparsed: int = 0  # Python files that no parser can read
    python_files: int = 0  # tests and examples, which nothing reaches, not counted
    python_bytes: int = 0
    total_bytes: int = 0  # unpacked

    def to_mapping(self) -> dict[str, object]:
        """For JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_mapping(cls, document: Mapping[str, object]) -> FactsSummary:
        """What `to_mapping` wrote; fields that are missing have their default, unknown ones are left out.

        Raises: ValueError when a field has another type.
        """
        values: dict[str, object] = {}
        for each in fields(cls):
            if each.name not in document:
                continue
            value = document[each.name]
            if isinstance(each.default, tuple):
                if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
                    raise ValueError(f"expected {each.name} as a list of texts, got {value!r}")
                values[each.name] = tuple(value)
            elif isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"expected {each.name} as a whole number, got {value!r}")
            else:
                values[each.name] = value
        return cls(**values)  # type: ignore[arg-type]  # each was checked against the type of its default


NOTHING_KNOWN = FactsSummary()
"""Of a file that was not scanned to the end, or by an older scanner."""
