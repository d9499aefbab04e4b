"""Verbs and looks of flow control: slots that return late, pauses, what is held, parked and left out (decisions 012 to 015)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

from durableq.store.calls import Calls

WAIT: Final = "wait"
SKIP: Final = "skip"
RESUME: Final = ""


class Skip(NamedTuple):
    """A trigger that started nothing: when, the event's place (or the id of the run that was asked for), why, the key, and
    what it was left out for."""

    at_ms: int
    place: str
    reason: str
    key: str
    other: str


class Flow:
    """Flow control of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def free_slots(self, lease: str, runs: Sequence[str]) -> int:
        """Say that the bodies of runs that were cancelled in hand have ended. Raises LeaseLost: their slots are back then."""
        return int(await self._calls.run("free_slots", lease, *runs))

    async def leaving(self, lease: str) -> set[str]:
        """What a lease keeps slots for whose code has not ended, as `free_slots` names it."""
        return {raw.decode() for raw in await self._calls.read("HKEYS", self._calls.key("leaving", lease))}

    async def pause_functions(self, functions: Sequence[str], mode: str) -> list[bool | None]:
        """Pause (`WAIT`: what is triggered is queued; `SKIP`: it is recorded as skipped) or `RESUME`.

        Per function whether that changed something; None for one that is not registered.
        """
        items = chain.from_iterable((function, mode) for function in functions)
        replies = await self._calls.run("pause_functions", *items)
        return [None if reply == b"NO_FUNCTION" else reply == 1 for reply in replies]

    async def paused(self, app: str) -> dict[str, tuple[str, int]]:
        """The paused functions of an app by short id: mode, and since when in ms."""
        flat = await self._calls.read("HGETALL", self._calls.key("paused", app))
        found = {}
        for name, value in zip(flat[::2], flat[1::2], strict=True):
            mode, at_ms = value.decode().split(" ")
            found[name.decode()] = (mode, int(at_ms))
        return found

    async def skips(self, function: str, limit: int = 100) -> list[Skip]:
        """The newest triggers of a function that started nothing."""
        found = []
        for raw in await self._calls.read("LRANGE", self._calls.key("skips", function), 0, limit - 1):
            at_ms, place, reason, key, other = raw.decode().split(" ")
            found.append(Skip(int(at_ms), place, reason, key, other))
        return found

    async def skipped(self, app: str) -> dict[tuple[str, str], int]:
        """How many were left out, by (short id, reason)."""
        flat = await self._calls.read("HGETALL", self._calls.key("skipped", app))
        found = {}
        for field, count in zip(flat[::2], flat[1::2], strict=True):
            name, _, reason = field.decode().partition(" ")
            found[name, reason] = int(count)
        return found
