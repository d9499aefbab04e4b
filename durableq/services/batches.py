"""The events of a batch, decoded for a run in hand: 10 MiB take a tenth of a second, in which other runs go on as well."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from durableq.model.event import Event, each_given

AT_ONCE_BYTES: Final = 128 * 1024
"""About a millisecond of decoding."""


async def decoded(given: bytes, created_at_ms: int) -> list[Event[dict[str, Any]]]:
    """All events of this batch. Raises CodecError when any of them is damaged."""
    events: list[Event[dict[str, Any]]] = []
    size = 0
    for one in each_given(given, created_at_ms):
        events.append(one.event())
        size += len(one.blob)
        if size > AT_ONCE_BYTES:
            size = 0
            await asyncio.sleep(0)
    return events
