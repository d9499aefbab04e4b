"""Declared functions over a shard: what routing and delivering make of their events, with nothing executed."""

from __future__ import annotations

from typing import Any

import structlog

import durableq as dq
from durableq.cli.deployment import declarations_of
from durableq.model.event import Event, decode_event, encode_event
from durableq.model.failure import Failure
from durableq.model.run import State
from durableq.services.deliverer import Deliverer
from durableq.services.router import Router
from durableq.store.events import NewEvent
from durableq.store.reads import RunRow
from durableq.store.runs import FinishWrite
from durableq.words import codec
from durableq.words.ids import run_id
from tests.store.shard import Held, Shard

LEASE = "L1"


async def nothing(ctx: dq.Context) -> None:
    """A body that no test here executes."""


class Routed:
    """A router and a deliverer over a shard, and apps that are deployed to it."""

    def __init__(self, shard: Shard) -> None:
        log = structlog.get_logger()
        self.shard = shard
        self.app = dq.App("shop")
        self.router = Router(shard.events, shard.waits, shard.registry, log)
        self.deliverer = Deliverer(shard.waits, shard.runs, log, 100)
        self._sent = 0
        self._entries: list[str] = []
        self._releases = 0

    def function(self, id: str, *triggers: Any, **options: Any) -> str:
        """Declare a function. Returns its full id."""
        return self.app.function(id, triggers=triggers, **options)(nothing).full_id

    async def deploy(self, app: dq.App | None = None) -> None:
        """Make what is declared the newest deployment, and have one lease that can execute all of it."""
        app = app or self.app
        self._releases += 1
        await self.shard.registry.register_app(app.id, f"r{self._releases}", declarations_of(app))
        functions = app.functions.values()
        finish_ms = {function.full_id: function.finish_ms for function in functions if function.finish_ms}
        await self.shard.leases.register_lease(
            LEASE, "worker", [app.id], "r", [function.full_id for function in functions], finish_ms=finish_ms
        )

    async def send(self, *events: Event[Any]) -> list[str]:
        """Accept events, without routing them. Returns their entries."""
        new = []
        for event in events:
            self._sent += 1
            new.append(NewEvent(f"e{self._sent}", 60_000, encode_event(event)))
        entries = await self.shard.events.send_events(new)
        self._entries += entries
        return entries

    async def route(self) -> None:
        """Route and deliver until nothing is left of either."""
        while await self.router.route() + await self.deliverer.deliver():
            pass

    async def runs(self, function: str) -> list[str]:
        """The runs of a function: of events that were sent here in their order, of others the oldest first."""
        return [row.id for row in await self.rows(function)]

    async def rows(self, function: str) -> list[RunRow]:
        found = await self.shard.reads.newest([function], list(State), 1000)
        place = {run_id(entry, function, 0): number for number, entry in enumerate(self._entries)}
        mine = [row for row in found if row.function == function]
        return sorted(mine, key=lambda row: (place.get(row.id, len(place)), row.id))

    async def state(self, run: str) -> str:
        row = await self.shard.reads.row(run)
        assert row is not None
        return row.state.label

    async def given(self, run: str) -> Event[dict[str, Any]]:
        """The event of a run, as its function gets it."""
        row = await self.shard.reads.row(run)
        assert row is not None
        return decode_event(await self.shard.runs.read_input(run), f"{row.created_at_ms}-0")

    async def claim(self) -> list[Held]:
        """Take every ready run."""
        claim = await self.shard.claim(LEASE, 100, self.app.id)
        return [Held(LEASE, run.id, run.epoch) for run in claim.runs]

    async def complete(self, held: Held, result: Any = None) -> None:
        out = b"" if result is None else codec.encode(result)
        await self._end(held, "c", out)

    async def fail(self, held: Held, error: Exception) -> None:
        await self._end(held, "f", Failure.of(error).encode())

    async def cancel(self, *runs: str, why: str = "asked for") -> None:
        await self.shard.cancels.cancel_runs(list(runs), why)

    async def sweep(self) -> None:
        """Take away what hangs on final runs."""
        while await self.shard.cancels.sweep_ended():
            pass

    async def _end(self, held: Held, state: str, out: bytes) -> None:
        (answer,) = (
            await self.shard.runs.finish_runs(held.lease, [FinishWrite(held.run, held.epoch, state, out)], 100, 100)
        ).items
        assert answer is None

    async def run_of(self, function: str) -> str:
        """The one run of a function."""
        (run,) = await self.runs(function)
        return run

    async def started_by(self, event: Event[Any], *functions: str) -> Held:
        """The run of the first of these functions that this event starts, in hand."""
        await self.send(event)
        await self.route()
        (held,) = [held for held in await self.claim() if held.run in await self.runs(functions[0])]
        return held

    async def references(self) -> list[str]:
        """The system events that scripts have written."""
        stored = await self.shard.stored()
        return [fields[1].decode() for _, fields in stored.of("events") if fields[1].startswith(b"S")]

    async def aside(self) -> list[str]:
        """Why entries were set aside."""
        kept = (await self.shard.stored()).of("aside")
        return [(entry if isinstance(entry, str) else entry.decode()).split(" ", 2)[2] for entry in kept]
