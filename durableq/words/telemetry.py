"""Telemetry: the log, and the names of what is logged.

Every line is an event name and fields; the names are listed in docs/inside.md. Processes choose how lines are written
(cli/logs.py): readable on a terminal, JSON otherwise.
"""

from __future__ import annotations

from typing import Any, Protocol

import structlog


class Log(Protocol):
    """What this package needs of a structlog logger."""

    def bind(self, **fields: Any) -> Log: ...
    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...
    def exception(self, event: str, **fields: Any) -> Any: ...


def get_log(**fields: Any) -> Log:
    """A logger bound to these fields, written as structlog is configured when it speaks."""
    log: Log = structlog.get_logger(**fields)
    return log
