"""A log that leaves out what is in order: a month of ticks would fill the output of a test that fails."""

from __future__ import annotations

from typing import Any

from durableq.words.telemetry import Log


class OnlyTrouble:
    """Passes on warnings and errors."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.warning, self.error, self.exception = log.warning, log.error, log.exception

    def bind(self, **fields: Any) -> OnlyTrouble:
        return OnlyTrouble(self._log.bind(**fields))

    def debug(self, event: str, **fields: Any) -> None:
        """In order."""

    def info(self, event: str, **fields: Any) -> None:
        """In order."""
