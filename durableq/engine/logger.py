"""The replay-silent logger: a line of a function appears once per attempt, however often the function is replayed.

It speaks once all memos are answered, or a step without one is asked for. Inside a step's body it always speaks: a body
that runs is never a replay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durableq.engine.replay import Replay


class ReplaySilentLogger:
    """A structlog logger that keeps quiet while memos are being replayed. `bind` and the like give another such logger."""

    __slots__ = ("_logger", "_speaks")

    def __init__(self, logger: Any, speaks: Callable[[], bool]) -> None:
        self._logger = logger
        self._speaks = speaks

    @classmethod
    def of(cls, replay: Replay, attempt: int, step_id: str) -> ReplaySilentLogger:
        """The logger of a run, or of one attempt of a step of it."""
        run = replay.run
        bound = replay.environment.logger.bind(
            app=run.app_id, function=run.function_id, run=run.run_id, attempt=attempt
        )
        if step_id:
            return cls(bound.bind(step=step_id), _always)
        return cls(bound, replay.reading.is_live)

    def bind(self, **values: Any) -> ReplaySilentLogger:
        """A logger that adds these values to each line."""
        return ReplaySilentLogger(self._logger.bind(**values), self._speaks)

    def unbind(self, *keys: str) -> ReplaySilentLogger:
        """A logger without these values."""
        return ReplaySilentLogger(self._logger.unbind(*keys), self._speaks)

    def debug(self, event: str, *args: Any, **values: Any) -> None:
        """Say a line at level debug."""
        if self._speaks():
            self._logger.debug(event, *args, **values)

    def info(self, event: str, *args: Any, **values: Any) -> None:
        """Say a line at level info."""
        if self._speaks():
            self._logger.info(event, *args, **values)

    def warning(self, event: str, *args: Any, **values: Any) -> None:
        """Say a line at level warning."""
        if self._speaks():
            self._logger.warning(event, *args, **values)

    def error(self, event: str, *args: Any, **values: Any) -> None:
        """Say a line at level error."""
        if self._speaks():
            self._logger.error(event, *args, **values)

    def exception(self, event: str, *args: Any, **values: Any) -> None:
        """Say a line at level error with the exception that is being handled."""
        if self._speaks():
            self._logger.exception(event, *args, **values)

    def critical(self, event: str, *args: Any, **values: Any) -> None:
        """Say a line at level critical."""
        if self._speaks():
            self._logger.critical(event, *args, **values)

    def log(self, level: int, event: str, *args: Any, **values: Any) -> None:
        """Say a line at this level, a number of the logging module."""
        if self._speaks():
            self._logger.log(level, event, *args, **values)


def _always() -> bool:
    return True
