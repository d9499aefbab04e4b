"""Waiting for Redis at the start of a process, without being deaf to the wish to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def unless(stopping: asyncio.Event, beginning: Coroutine[Any, Any, None]) -> bool:
    """Await `beginning`, but no longer than until `stopping` is set. Returns whether it came to its end; raises what it raises."""
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
