"""A shard with functions that declare flow control, and events for them as routers send them: with real keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest_asyncio

from durableq.model.event import Event, encode_event
from durableq.model.flow import numbers
from durableq.model.gating import gating_of
from durableq.store.events import Decision
from durableq.words import codec
from durableq.words.ids import run_id
from tests.servers import Server
from tests.store.gates import RELEASES, held_by
from tests.store.shard import Held, Shard

PER_CUSTOMER = {"limit": 1, "key": "event.data.customer", "scope": "function", "hold": "turn"}


class Flowing:
    """Functions of the app `a`, by what they declare."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.declared: dict[str, dict[str, Any]] = {}
        self.events = 0
        """How many were sent: their ids are o-1, o-2 and so on."""

    async def declare(self, **functions: Mapping[str, Any]) -> None:
        """A deployment with these functions besides those that there are."""
        self.declared.update({name: dict(options) for name, options in functions.items()})
        RELEASES["count"] += 1
        blobs = {
            name: codec.encode({"name": name, "triggers": [{"event": "order/created"}], "retries": 4, **options})
            for name, options in self.declared.items()
        }
        found = {name: text for name, options in self.declared.items() if (text := numbers(options))}
        await self.shard.registry.register_app("a", f"r{RELEASES['count']}", blobs, found)

    async def send(self, *data: Mapping[str, Any], function: str = "f", due_at_ms: int = 0, ts: int = 1) -> list[str]:
        """An event for each, decided for this function. Returns the runs that there are, or would be."""
        full_id = f"a/{function}"
        gating = gating_of(full_id, self.declared[function])
        assert gating is not None
        runs: list[str] = []
        for start in range(0, len(data), 100):
            page = data[start : start + 100]
            entries = []
            for one in page:
                self.events += 1
                event = Event("order/created", dict(one), id=f"o-{self.events}")
                entries += await self.shard.sent(blob=encode_event(event))
            backlog = await self.shard.events.unrouted(1)
            details = [gating.gates({"name": "order/created", "data": one, "ts": ts})[0] for one in page]
            ids = [run_id(entry, full_id, 0) for entry in entries]
            decisions = [
                Decision("run", entry, run, full_id, due_at_ms, detail)
                for entry, run, detail in zip(entries, ids, details, strict=True)
            ]
            await self.shard.events.route_events(
                backlog.cursor, entries[-1], backlog.registry, len(entries), decisions, 100_000
            )
            runs += ids
        return runs

    async def claim(self, *functions: str, lease: str = "L1", room: int = 50) -> list[Held]:
        """A claim of everything that may be claimed, by a worker that has these functions."""
        if lease not in {row.lease for row in await self.shard.reads.leases()}:
            await self.shard.lease(lease, *(f"a/{name}" for name in functions or self.declared))
        return await held_by(self.shard, lease, room)


@pytest_asyncio.fixture
async def flowing(server: Server) -> AsyncIterator[Flowing]:
    shard = Shard(server)
    await shard.calls.open()
    yield Flowing(shard)
    await shard.close()
