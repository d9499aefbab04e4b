"""Fills the queue, and watches it empty, from outside of any worker: with the product's own client, router and store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import structlog

import durableq as dq
from durableq.services.router import Router
from durableq.services.views import RunView
from durableq.store.events import Events
from durableq.store.opening import calls_on, open_link
from durableq.store.registry import Registry
from durableq.store.waits import Waits
from durableq.words.telemetry import get_log
from scripts.bench_parts.app import app
from scripts.bench_parts.processes import BenchError, Server

POLL_S = 0.02
PATIENCE_S = 180.0
BATCH = 1000


class Driver:
    """One connection for events, one for routing. Waits by TYPE, which no script uses, so that it is not counted."""

    def __init__(self, server: Server) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        self._server = server
        self.client = dq.Client(server.url)
        self.calls = calls_on(open_link(server.url, "bench"), "default")
        self._registry = Registry(self.calls)
        self._router = Router(Events(self.calls), Waits(self.calls), self._registry, get_log())

    async def __aenter__(self) -> Self:
        await self.calls.open(within_s=5)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.aclose()
        await self.calls.link.close()

    async def register(self) -> None:
        """Make the functions known where no worker has."""
        declarations = {function.id: function.declaration() for function in app.functions.values()}
        await self._registry.register_app(app.id, "bench", declarations)

    async def send(self, events: Sequence[dq.Event]) -> None:
        """Accept events, without routing them."""
        for start in range(0, len(events), BATCH):
            await self.client.send(events[start : start + BATCH])

    async def route(self) -> int:
        """Route everything that was accepted. Returns the runs."""
        return await self._router.route()

    async def fill(self, events: Sequence[dq.Event]) -> None:
        """Accept and route."""
        await self.send(events)
        routed = await self.route()
        if routed != len(events):
            raise BenchError(f"{len(events)} events became {routed} runs")

    async def drained(self, *functions: str) -> None:
        """Wait until these functions have no run that is ready or in hand."""
        client, key = self._server.client, self.calls.key
        living: Any = client.zrange(key("leases"), 0, -1)
        leases = [lease.decode() for lease in living]
        deadline = time.monotonic() + PATIENCE_S
        for empty in (
            *(key(name, f"{app.id}/{function}") for function in functions for name in ("ready", "gated")),
            *(key("held", lease) for lease in leases),
        ):
            while client.type(empty) != b"none":
                if time.monotonic() > deadline:
                    raise BenchError(f"{empty} did not empty within {PATIENCE_S:.0f} s")
                await asyncio.sleep(POLL_S)

    async def completed(self, function: str, count: int, newest: int) -> list[RunView]:
        """Wait until this function has so many completed runs, and give the newest of them."""
        done = self.calls.key("done", f"{app.id}/{function}:c")
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self._server.client.zcard(done) >= count:
                runs = await self.client.runs.list(function=f"{app.id}/{function}", status="completed", limit=newest)
                return [await self.client.runs.get(run.id) for run in runs]
            await asyncio.sleep(POLL_S)
        raise BenchError(f"{function} did not complete {count} runs within {PATIENCE_S:.0f} s")
