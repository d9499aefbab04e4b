"""How a process writes its log: lines for people on a terminal, JSON otherwise.

A worker's child shares its process with user code, which may configure `logging` and structlog as it likes: our lines go
through a logger of our own, so they come out once, as they are told to, whatever anybody configures; and what is configured
is left alone. Only what nobody takes care of joins our lines: records of a logger without a handler, and structlog where it
is not configured.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

import structlog

from durableq.cli.friendly import Friendly
from durableq.words.telemetry import Log

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("auto", "console", "json")
FRIENDLY: Final = "friendly"
"""What `durableq dev` makes of "auto" and "console"."""


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


def own_log(log_format: str = "auto", level: str = "info", **fields: Any) -> Log:
    """A log on stdout, bound to these fields, that no configuration of others changes. A call never raises because stdout
    has failed.
    """
    pipeline = _pipeline(log_format, level)
    factory = pipeline.pop("logger_factory")
    log: Log = structlog.wrap_logger(factory(), **pipeline, **fields)
    return log


def configure_logs(log_format: str = "auto", level: str = "info") -> None:
    """The same for every structlog logger of this process: where there is no user code, or it has not configured structlog."""
    structlog.configure(**_pipeline(log_format, level))


def _pipeline(log_format: str, level: str) -> dict[str, Any]:
    lines = Lines(sys.stdout)
    readable = log_format in ("console", FRIENDLY) or (log_format == "auto" and sys.stdout.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if readable else "iso", utc=not readable),
    ]
    if log_format == FRIENDLY:
        processors.append(Friendly(colours=sys.stdout.isatty(), everything=level.lower() == "debug"))
    elif readable:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty()))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=repr)]
    return {
        "processors": processors,
        "wrapper_class": structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        "logger_factory": lambda *_: lines,
        "cache_logger_on_first_use": True,
    }


def adopt_strays(log: Log, log_format: str, level: str) -> None:
    """Once user code has been imported: write what nobody else would, instead of losing it or leaving it unformatted.

    Nothing is added to any logger, so that whoever configures logging later finds it as it would be without us.
    """
    if not structlog.is_configured():
        configure_logs(log_format, level)
    logging.lastResort = _Strays(log)
    if logging.root.level == logging.WARNING and not any(_handlers()):
        logging.root.setLevel(max(logging.INFO, getattr(logging, level.upper())))


def _handlers() -> Iterator[logging.Handler]:
    known = list(logging.root.manager.loggerDict.values())
    for logger in (logging.root, *(each for each in known if isinstance(each, logging.Logger))):
        yield from (handler for handler in logger.handlers if not isinstance(handler, logging.NullHandler))


class _Strays(logging.Handler):
    """Takes the records of loggers that have no handler; each becomes a line of ours, its message the event."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                fields["exc_info"] = record.exc_info
            self._say(record.levelno)(record.getMessage(), **fields)
        except Exception:  # a message that does not fit its arguments: as every handler does
            self.handleError(record)

    def _say(self, level: int) -> Callable[..., Any]:
        if level >= logging.ERROR:
            return self._log.error
        if level >= logging.WARNING:
            return self._log.warning
        return self._log.info if level >= logging.INFO else self._log.debug


def connection_log(log: Log) -> Callable[[bool, str], None]:
    """What a link tells when it connects or breaks, as lines of the log."""

    def changed(up: bool, reason: str) -> None:
        if up:
            log.info("redis.connected")
        else:
            log.warning("redis.lost", reason=reason)

    return changed
