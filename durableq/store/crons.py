"""Verbs of cron triggers: what is to be looked at, and the ticks themselves.

A trigger's name is `app/function key`. Where its ticks stand is in Redis; which times tick is decided by who calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from durableq.store.calls import Calls
from durableq.store.records import pairs


class CronToLookAt(NamedTuple):
    """A trigger, what it is (encoded), and up to where its ticks are settled."""

    trigger: str
    spec: bytes
    upto_ms: int

    @property
    def function(self) -> str:
        """The full id of its function."""
        return self.trigger.partition(" ")[0]


class Look(NamedTuple):
    """The server's time, ms until the next look beyond these (None: none is due), and the triggers."""

    now_ms: int
    next_ms: int | None
    crons: list[CronToLookAt]


class TickWrite(NamedTuple):
    """A tick to perform: its time, the id of its run, the event as it is stored, what the declaration asks for (dress_run)."""

    tick_ms: int
    run_id: str
    blob: bytes
    extras: bytes = b""


class Settled(NamedTuple):
    """How far the ticks are settled by a call: all up to here, with so many of them missed, and what comes next."""

    upto_ms: int
    missed: int
    next_ms: int
    look_at_ms: int


class Ticked(NamedTuple):
    """Runs created, ticks skipped, and whether nothing was done since no worker has the function."""

    created: int
    skipped: int
    held_back: bool


class CronRow(NamedTuple):
    """A trigger as screens read it. Times in ms, 0: never."""

    trigger: str
    spec: bytes
    upto_ms: int
    next_ms: int
    look_at_ms: int
    ticks: int
    tick_ms: int
    run_id: str
    skipped: int
    skipped_tick_ms: int
    skipped_for: str
    missed: int
    missed_at_ms: int

    @property
    def function(self) -> str:
        """The full id of its function."""
        return self.trigger.partition(" ")[0]


class Crons:
    """The cron triggers of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def read_crons(self, limit: int) -> Look:
        """The triggers that are to be looked at now, the longest overdue first."""
        now_ms, next_ms, found = await self._calls.run("read_crons", limit)
        crons = [CronToLookAt(trigger.decode(), spec, upto_ms) for trigger, spec, upto_ms in found]
        return Look(now_ms, None if next_ms < 0 else next_ms, crons)

    async def tick_cron(
        self, cron: CronToLookAt, settled: Settled, overlap: str, ticks: Sequence[TickWrite] = ()
    ) -> Ticked:
        """Perform at most 100 ticks, and settle all up to `settled.upto_ms`. `cron` is the trigger as it was read.

        Raises:
            CronMoved: Another scheduler was first, or a deployment has changed it.
            QueueFull: Redis is nearly out of memory; nothing has changed.
        """
        created, skipped, held_back = await self._calls.run(
            "tick_cron",
            cron.trigger,
            cron.spec,
            cron.upto_ms,
            settled.upto_ms,
            settled.missed,
            settled.next_ms,
            settled.look_at_ms,
            overlap,
            *chain.from_iterable(ticks),
        )
        return Ticked(created, skipped, held_back == 1)

    async def next_at_ms(self) -> int | None:
        """When the earliest trigger is to be looked at; None when there is none."""
        head = await self._calls.read("ZRANGE", self._calls.key("crons"), 0, 0, "WITHSCORES")
        return next((int(float(due)) for _, due in pairs(head)), None) if head else None

    async def listed(self, limit: int = 1000) -> list[CronRow]:
        """The first `limit` triggers, in the order in which they are due."""
        due = await self._calls.read("ZRANGE", self._calls.key("crons"), 0, limit - 1, "WITHSCORES")
        found = []
        for trigger, score in pairs(due):
            stored = await self._calls.read("HGETALL", self._calls.key("cron", trigger.decode()))
            fields = {name.decode(): value for name, value in pairs(stored)}
            if "spec" in fields:
                found.append(_row(trigger.decode(), int(float(score)), fields))
        return found


def _row(trigger: str, look_at_ms: int, fields: dict[str, bytes]) -> CronRow:
    def number(name: str) -> int:
        return int(fields.get(name, 0))

    def text(name: str) -> str:
        return fields.get(name, b"").decode()

    return CronRow(
        trigger,
        fields["spec"],
        number("upto"),
        number("next"),
        look_at_ms,
        number("ticks"),
        number("tick"),
        text("run"),
        number("skipped"),
        number("skipped_tick"),
        text("skipped_for"),
        number("missed"),
        number("missed_at"),
    )
