"""Logging: structlog for everything, one line for an event, on standard error. No secret gets in.

Libraries log through the standard module; their lines take the same way. A line is key=value for people at a
terminal and one JSON object for machines, as `WHEELMARK_LOG_FORMAT` says.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

REDACTED = "[redacted]"
MAX_VALUE_CHARS = 2_000

_SECRET_NAMES = re.compile(
    r"pass(word|phrase|wd)|secret|token(?!_id)|authori[sz]ation|cookie|credential|private_?key|api_?key|otp|session",
    re.IGNORECASE,
)
# A token of ours (a macaroon behind PyPI's prefix), the credentials of an HTTP header, and those of an address.
_SECRET_VALUES = re.compile(
    r"pypi-[A-Za-z0-9_\-=]{16,}|(?<=Basic )[A-Za-z0-9+/=]{8,}|(?<=Bearer )[A-Za-z0-9._\-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: no value under a name that speaks of secrets, and nothing that looks like one."""
    return {name: REDACTED if _SECRET_NAMES.search(name) else _clean(value) for name, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        # Control characters come from outside, and would write into the operator's terminal.
        return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _SECRET_VALUES.sub(REDACTED, value[:MAX_VALUE_CHARS]))
    if isinstance(value, Mapping):
        return {key: REDACTED if _SECRET_NAMES.search(str(key)) else _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


def configure_logs(form: str, *, process: str, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Set logging up for this process. `form`: console, json, or auto (console on a terminal)."""
    stream = stream or sys.stderr
    as_json = form == "json" or (form == "auto" and not stream.isatty())

    def name_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("process", process)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        name_process,
        structlog.processors.format_exc_info,
        redact,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0)
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:-2], structlog.stdlib.ExtraAdder(), *shared[-2:]],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # tuf tells of each holder whose signature a threshold did without.
    for chatty in ("procrastinate", "asyncio", "urllib3", "_granian", "granian", "tuf"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
