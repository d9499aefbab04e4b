"""Looks at slots while it goes on: whether one is kept by a run that has ended, and for how long.

A run that was cancelled, or suspended, in hand leaves its slots with the lease until its code has ended; a dead lease is
noticed after ten seconds, and later where Redis was away. Longer than that nothing may be held by what has ended.
"""

from __future__ import annotations

import asyncio
import time

from durableq.store.calls import Calls
from tests.acceptance.harness import Stage

KEPT_MOST_S = 45.0
FINALS = (b"c", b"f", b"x", None)


class SlotWatch:
    """What was seen so far."""

    def __init__(self, stage: Stage) -> None:
        self.longest_s = 0.0
        self.looks = 0
        self._stage = stage
        self._since: dict[tuple[str, str], float] = {}
        self._problems: dict[tuple[str, str], str] = {}

    async def look(self) -> None:
        """Once: all slots of all pools."""
        calls = await self._stage.calls()
        seen = {
            (pool, member.decode())
            for pool, members in await _slots(calls)
            for member in members
            if await _has_ended(calls, member.decode())
        }
        now_s = time.monotonic()
        self.looks += 1
        self._since = {slot: self._since.get(slot, now_s) for slot in seen}
        for slot, since_s in self._since.items():
            self.longest_s = max(self.longest_s, now_s - since_s)
            if now_s - since_s > KEPT_MOST_S:
                self._problems[slot] = (
                    f"{slot[1]} has had a slot of {slot[0]} for {now_s - since_s:.0f} s after its end"
                )

    def problems(self) -> list[str]:
        return list(self._problems.values())


async def _slots(calls: Calls) -> list[tuple[str, list[bytes]]]:
    prefix, cursor, keys = calls.key("slots", ""), b"0", set[str]()
    while True:
        cursor, page = await calls.read("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", 1000)
        keys.update(key.decode() for key in page)
        if cursor == b"0":
            break
    ordered = sorted(keys)
    found = await asyncio.gather(*(calls.read("SMEMBERS", key) for key in ordered))
    return list(zip([key.removeprefix(prefix) for key in ordered], found, strict=True))


async def _has_ended(calls: Calls, member: str) -> bool:
    run_id, _, left_with = member.partition("~")
    return bool(left_with) or await calls.read("HGET", calls.key("run", run_id), "s") in FINALS
