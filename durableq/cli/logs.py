"""How a process writes its log: lines for people on a terminal, JSON otherwise."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

import structlog

from durableq.words.telemetry import Log

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("auto", "console", "json")


class Lines:
    """A logger below structlog that writes lines, and loses them when nothing takes them any more.

    A pipe without a reader or a full disk must not become an error of whoever logs: a run, or the handling of a signal.
    """

    def __init__(self, file: TextIO) -> None:
        self._write = file.write
        self._flush = file.flush

    def msg(self, message: str) -> None:
        """Write one line. ValueError is a file that has been closed."""
        try:
            self._write(message + "\n")
            self._flush()
        except (OSError, ValueError):
            return

    log = debug = info = warn = warning = error = critical = fatal = failure = exception = msg


def configure_logs(log_format: str = "auto", level: str = "info") -> None:
    """Configure structlog for this process, writing to stdout. A log call never raises because stdout has failed."""
    lines = Lines(sys.stdout)
    readable = log_format == "console" or (log_format == "auto" and sys.stdout.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if readable else "iso", utc=not readable),
    ]
    if readable:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty()))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=repr)]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )


def connection_log(log: Log) -> Callable[[bool, str], None]:
    """What a link tells when it connects or breaks, as lines of the log."""

    def changed(up: bool, reason: str) -> None:
        if up:
            log.info("redis.connected")
        else:
            log.warning("redis.lost", reason=reason)

    return changed
