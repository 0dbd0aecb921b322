"""Structured logs: JSON lines in files, readable lines on a terminal; run, actor, model and order ids bound to every line."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

_SECRET_KEY = re.compile(r"secret|password|token|api_?key|authorization", re.IGNORECASE)


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if _SECRET_KEY.search(key):
            event[key] = "***"
    return event


def _processors(context: Mapping[str, str]) -> list[Any]:
    def bind(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        # For the whole process: context variables do not reach the threads in which Ray runs an actor's methods.
        return {**context, **event}

    return [
        bind,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]


def configure_logs(
    path: Path | None = None, *, stream: TextIO | None = None, level: str = "INFO", **context: str
) -> None:
    """Send this process's logs to `path` as JSON lines, or to `stream` (default stderr) in readable form.

    `context` (run_id=…, actor=…) is bound to every line. Values whose key looks like a secret are masked.
    """
    number = logging.getLevelNamesMapping()[level]
    target: TextIO
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.open("a", buffering=1)
        render: Any = structlog.processors.JSONRenderer()
    else:
        target = stream or sys.stderr
        render = structlog.dev.ConsoleRenderer(colors=target.isatty())
    structlog.configure(
        processors=[*_processors(context), render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> Any:
    """A logger whose lines carry `logger=name`."""
    return structlog.get_logger().bind(logger=name)
