"""A worker that a test drives by hand: it has an app's functions registered, and ends runs when and as it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import durableq as dq
from durableq.model.failure import Failure
from durableq.store.leases import Leases
from durableq.store.opening import calls_on, open_link
from durableq.store.registry import Registry
from durableq.store.runs import FinishWrite, Runs, SuspendWrite
from durableq.store.upkeep import Upkeep
from durableq.words.codec import encode
from tests.servers import RealServer

LEASE = "by-hand"


class ByHand:
    """`async with ByHand(server, app) as worker`."""

    def __init__(self, server: RealServer, app: dq.App) -> None:
        self._app = app
        self._link = open_link(server.url, "by-hand")
        self.calls = calls_on(self._link, "default")
        self._runs = Runs(self.calls)
        self._epochs: dict[str, int] = {}
        self._claims = 0

    async def __aenter__(self) -> ByHand:
        await self.calls.open()
        functions = {function.id: function.declaration() for function in self._app.functions.values()}
        await Registry(self.calls).register_app(self._app.id, "r1", functions)
        full = [f"{self._app.id}/{id}" for id in functions]
        await Leases(self.calls).register_lease(LEASE, "by hand", [self._app.id], "r1", full, lease_ms=600_000)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._link.close()

    async def claim(self) -> list[str]:
        """Take up to a hundred queued runs in hand."""
        self._claims += 1
        claim = await self._runs.claim_runs(LEASE, self._claims, 100, False, 0, [self._app.id])
        self._epochs.update({mine.id: mine.epoch for mine in claim.runs})
        return [mine.id for mine in claim.runs]

    async def complete(self, *runs: str, value: Any = None) -> None:
        """End them with this result."""
        await self._finish(runs, "c", b"" if value is None else encode(value))

    async def fail(self, *runs: str, error: Exception) -> None:
        """End them with this error."""
        await self._finish(runs, "f", Failure.of(error).encode())

    async def put_to_sleep(self, run: str) -> None:
        """Suspend it for an hour."""
        if run not in self._epochs:
            await self.claim()
        due_at_ms = int((await self.calls.link.command("TIME"))[0]) * 1000 + 3_600_000
        write = SuspendWrite(run, self._epochs[run], 0, "nap", "w", b"", due_at_ms)
        assert (await self._runs.suspend_runs(LEASE, [write])).items == [None]

    async def forget(self, *runs: str) -> None:
        """Let their retention be over."""
        upkeep, keys = Upkeep(self.calls), [self.calls.key("run", run) for run in runs]
        async with asyncio.timeout(10):
            while await self.calls.link.command("EXISTS", *keys):
                await upkeep.prune_runs(completed_ms=0, failed_ms=0, bytes_max=0, events_ms=1)

    async def _finish(self, runs: tuple[str, ...], state: str, out: bytes) -> None:
        if not set(runs) <= set(self._epochs):
            await self.claim()
        for start in range(0, len(runs), 100):
            writes = [FinishWrite(run, self._epochs[run], state, out) for run in runs[start : start + 100]]
            answers = await self._runs.finish_runs(LEASE, writes, 1000, 1000)
            assert answers.items == [None] * len(writes), "none was stale"
