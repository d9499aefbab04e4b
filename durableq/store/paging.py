"""Indexes of runs read in pages, so that any number of runs can be gone through in calls that are bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator

from durableq.model.run import FINAL, State
from durableq.store.calls import Calls
from durableq.store.records import pairs

PAGE = 100


class Paging:
    """Goes through runs of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def queued(self, function: str) -> AsyncIterator[list[str]]:
        """Ids of a function's queued runs, those that flow control has parked among them. Not those that are suspects."""
        async for page in self._pages("ready", function):
            yield page
        async for page in self._members("gated", function):
            yield page

    async def suspects(self, app: str) -> AsyncIterator[list[str]]:
        """Ids of an app's runs that are to be executed alone, since their workers have died."""
        async for page in self._pages("suspects", app):
            yield page

    async def running(self) -> AsyncIterator[list[str]]:
        """Ids of all runs in hand, of any function. A lease holds at most as many as its child has room for."""
        key, read = self._calls.key, self._calls.read
        for leases in ("leases", "dead"):
            for lease in await read("ZRANGE", key(leases), 0, -1):
                yield [raw.decode() for raw in await read("SMEMBERS", key("held", lease.decode()))]

    async def waiting(self, function: str) -> AsyncIterator[list[str]]:
        """Ids of a function's waiting runs, oldest first."""
        async for page in self._pages("waiting", function):
            yield page

    async def final(self, function: str, state: State) -> AsyncIterator[list[str]]:
        """Ids of a function's runs that have ended so, the first that did first."""
        assert state in FINAL
        async for page in self._pages("done", f"{function}:{state.value}"):
            yield page

    async def now_ms(self) -> int:
        """The server's time."""
        if self._calls.now_ms is not None:
            return self._calls.now_ms
        seconds, micros = await self._calls.read("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def _pages(self, index: str, argument: str) -> AsyncIterator[list[str]]:
        """By score, from a score on. Not by rank: what is taken out while somebody pages would let others be passed over."""
        key, least, seen = self._calls.key(index, argument), b"-inf", set[bytes]()
        while True:
            count = PAGE + len(seen)  # of the score at which the last page ended; so there is always something new
            flat = await self._calls.read("ZRANGEBYSCORE", key, least, "+inf", "WITHSCORES", "LIMIT", 0, count)
            found = [(member, _text(score)) for member, score in pairs(flat)]
            if not found:
                return
            fresh = [member.decode() for member, _ in found if member not in seen]
            if fresh:
                yield fresh
            if len(found) < count:
                return
            last = found[-1][1]
            ties = {member for member, score in found if score == last}
            seen = ties | seen if last == least else ties
            least = last

    async def _members(self, index: str, argument: str) -> AsyncIterator[list[str]]:
        """Of a set, in no order. What is in it all the while is met, once or more often."""
        cursor: bytes | int = 0
        while True:
            cursor, found = await self._calls.read("SSCAN", self._calls.key(index, argument), cursor, "COUNT", PAGE)
            if found:
                yield [member.decode() for member in found]
            if cursor in (b"0", 0):
                return

    async def _scan(self, index: str, argument: str) -> AsyncIterator[list[str]]:
        """Of a set: all that is in it for as long as this takes, some of them twice."""
        key, cursor = self._calls.key(index, argument), b"0"
        while True:
            cursor, found = await self._calls.read("SSCAN", key, cursor, "COUNT", PAGE)
            if found:
                yield [member.decode() for member in found]
            if cursor in (b"0", 0):
                return


def _text(score: bytes | float) -> bytes:
    return score if isinstance(score, bytes) else repr(score).encode()
