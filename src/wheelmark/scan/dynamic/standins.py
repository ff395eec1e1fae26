"""Runs inside the sandbox: modules that are not there are stood in for, so that what follows their import is seen.

It is executed before a step, with `NAMES` among its globals: only those names are stood in for. A stand-in does
nothing, and lets nearly everything be done with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

CALLS = "/opt/look/calls/"  # as in `places`, which cannot be imported here
PIECE, OVERLAP, MAX_TOLD, MAX_NAME = 350, 100, 20_000, 100
NAMES: frozenset[str] = frozenset(globals().get("NAMES", ()))


def tell(name: str, arguments: object) -> None:
    """Say what is called with what, in pieces that strace shows whole; they overlap, so that nothing is cut in two."""
    try:
        text = ascii(arguments)[:MAX_TOLD]
    except Exception:  # noqa: BLE001 - whatever the objects of others do when they are shown
        return
    for start in range(0, max(1, len(text) - OVERLAP), PIECE - OVERLAP):
        with contextlib.suppress(OSError):
            os.unlink(f"{CALLS}{name} {text[start : start + PIECE]}")  # noqa: PTH108 - not a file, a word to strace


class StandIn:
    """A value of a module that is not there."""

    def __init__(self, name: str) -> None:
        self.__dict__["name"] = name[-MAX_NAME:]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What a decorator is given, it gives back; everything else is another stand-in."""
        if len(arguments) == 1 and not named and isinstance(arguments[0], (FunctionType, type)):
            return arguments[0]
        tell(self.__dict__["name"], (arguments, named))
        return StandIn(self.__dict__["name"] + "()")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self.__dict__['name']}.{name}")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """As a base class it is none."""
        return ()

    def __getitem__(self, key: Any) -> Any:
        return StandIn(self.__dict__["name"] + "[]")

    def __setitem__(self, key: Any, value: Any) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def __str__(self) -> str:
        return ""


class StandInModule(ModuleType):
    """A module that is not there."""

    __version__ = "0"
    __all__: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")


class StandInFinder:
    """Asked last, after everybody else has not found a module."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """A specification for the names that are stood in for, and all that is below them."""
        if name.partition(".")[0] not in NAMES:
            return None
        return ModuleSpec(name, StandInFinder, is_package=True)  # type: ignore[arg-type]  # a class will do as a loader

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """The module itself."""
        return StandInModule(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """There is nothing to execute."""


sys.meta_path.append(StandInFinder)
