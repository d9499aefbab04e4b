"""The stream of events as Redis has it: which entry an event became, which settles what came before what."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any, NamedTuple

from durableq.model.event import decode_event
from tests.acceptance.harness import Stage

PAGE = 1000


class Arrived(NamedTuple):
    """An accepted event."""

    place: tuple[int, int]
    data: dict[str, Any]

    @property
    def at_ms(self) -> int:
        return self.place[0]


class Entries:
    """Reads the stream as it grows. Names of events and entries stay in memory."""

    def __init__(self, stage: Stage) -> None:
        self.by_name: dict[str, list[Arrived]] = defaultdict(list)
        self.references: Counter[tuple[str, str]] = Counter()
        """System events: (sort, run)."""
        self._stage = stage
        self._entries: dict[str, str] = {}
        self._last = "-"
        self._lock = asyncio.Lock()

    async def of(self, event_id: str) -> str:
        """The entry of an accepted event. KeyError for one that is not there."""
        if event_id not in self._entries:
            await self.read()
        return self._entries[event_id]

    async def read(self) -> None:
        """Everything that is new."""
        calls = await self._stage.calls()
        async with self._lock:
            while True:
                page = await calls.read("XRANGE", calls.key("events"), self._last, "+", "COUNT", PAGE)
                for raw, fields in page:
                    self._note(raw.decode(), fields[1])
                if page:
                    self._last = f"({page[-1][0].decode()}"
                if len(page) < PAGE:
                    return

    def _note(self, entry: str, blob: bytes) -> None:
        if blob[:1] == b"S":
            sort, _, run_id = blob[1:].decode().partition(" ")
            self.references[sort, run_id] += 1
            return
        event = decode_event(blob, entry)
        self._entries[event.id or ""] = entry
        self.by_name[event.name].append(Arrived(place_of(entry), event.data))


def place_of(entry: str) -> tuple[int, int]:
    """Entries in their order."""
    ms, _, sequence = entry.partition("-")
    return int(ms), int(sequence)
