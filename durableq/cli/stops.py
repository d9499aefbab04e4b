"""How `durableq dev` is told to stop: SIGTERM, Ctrl-C, and the terminal that closes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Final

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stops:
    """Handles them from here on. A second Ctrl-C says not to wait for anything; a second of the others changes nothing."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.at_once = asyncio.Event()
        # Under nohup the terminal's end is ignored, and stays so.
        self._numbers = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self._numbers:
            asyncio.get_running_loop().add_signal_handler(number, self._told, number)

    def _told(self, number: signal.Signals) -> None:
        if number is signal.SIGINT and self.stopping.is_set():
            self.at_once.set()
        self.stopping.set()

    def ignore(self) -> None:
        """What is left takes a moment: another signal must not turn a clean end into a kill."""
        for number in self._numbers:
            asyncio.get_running_loop().remove_signal_handler(number)
            with contextlib.suppress(ValueError):
                signal.signal(number, signal.SIG_IGN)
