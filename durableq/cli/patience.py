"""The ends of a process' life: waiting for Redis without being deaf to the wish to stop, and leaving undisturbed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final

_TO_STOP: Final = (signal.SIGTERM, signal.SIGINT)


def told_to_stop() -> asyncio.Event:
    """Set by SIGTERM and SIGINT from here on, until somebody else handles them."""
    stopping = asyncio.Event()
    for number in _TO_STOP:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def ignore_stops() -> None:
    """What is left takes a moment: a second signal must not turn a clean end into a kill."""
    for number in _TO_STOP:
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def unless(stopping: asyncio.Event, beginning: Coroutine[Any, Any, None]) -> bool:
    """Await `beginning`, but no longer than until `stopping` is set. Returns whether it came to its end first.

    Raises what `beginning` raises.
    """
    begun = asyncio.ensure_future(beginning)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((begun, stop), return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            return False
        begun.result()
        return not stopping.is_set()
    finally:
        begun.cancel()
        stop.cancel()
