"""Real workers over a real store, turned by hand: what the loops of a child do, on any server, by the server's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from durableq import App, Event
from durableq.cli.deployment import declarations_of
from durableq.model.event import encode_event
from durableq.model.failure import Failure
from durableq.model.memo import Memo
from durableq.services.duties import Duties, Tellings
from durableq.services.worker import Worker
from durableq.store.calls import Calls
from durableq.store.cancels import Cancels
from durableq.store.events import Events, NewEvent
from durableq.store.failures import BellGone
from durableq.store.link import Link
from durableq.store.opening import calls_on
from durableq.store.reads import Reads, RunDetails
from durableq.store.registry import Registry
from durableq.store.timers import Timers
from durableq.words import codec
from durableq.words.ids import event_key
from tests.acceptance.harness import until
from tests.servers import Server

SOON_S = 20.0
PAUSE_S = 0.002


class Hands:
    """Apps, a worker for each, timers; `turning` does what there is to do until the end of the block."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._links: list[Link] = []
        self._sent = 0
        self.workers: list[Worker] = []
        self.lines: list[dict[str, Any]] = []
        """What was logged."""

    async def begin(self, *apps: App, concurrency: int = 100) -> None:
        """Register the apps, and have a worker for each."""
        self.calls = await self._opened()
        for app in apps:
            await Registry(self.calls).register_app(app.id, "r1", declarations_of(app))
        for app in apps:
            await self.hire(app, concurrency=concurrency)

    async def hire(self, app: App, *, concurrency: int = 100) -> Worker:
        """One more worker for this app."""
        tell = Tellings(leased=lambda _: None, suspects=lambda: None, lost=lambda _: None, done=lambda: None)
        functions = {function.full_id: function for function in app.functions.values()}
        duties = Duties(functions, [app.id], f"worker-{len(self.workers)}", "r1", concurrency)
        log = structlog.wrap_logger(None, processors=[self._keep], wrapper_class=structlog.BoundLogger)
        worker = Worker(await self._opened(), await self._opened(), duties, tell, log)
        worker.environment.chance = lambda: 0.0
        await worker.begin()
        self.workers.append(worker)
        return worker

    @asynccontextmanager
    async def turning(self) -> AsyncIterator[None]:
        """Turn workers and timers in the background. What a worker raises is raised at the end."""
        turner = asyncio.create_task(self._turn())
        try:
            yield
        finally:
            turner.cancel()
            await asyncio.wait([turner])
            if not turner.cancelled():
                await turner

    async def _turn(self) -> None:
        timers = Timers(self.calls)
        while True:
            for worker in list(self.workers):
                try:
                    await worker.round()
                except BellGone:
                    worker.doubt_lease()
            await timers.fire_timers()
            await asyncio.sleep(PAUSE_S)

    async def close(self) -> None:
        for worker in self.workers:
            worker.hand.drop_all("the test is over")
            await asyncio.gather(*worker.executions)
            worker.environment.close()
        await asyncio.gather(*(link.close() for link in self._links))

    async def _opened(self) -> Calls:
        pool = self._server.client().connection_pool
        self._links.append(Link(lambda: pool.make_connection()))
        calls = calls_on(self._links[-1], "default")
        await calls.open()
        return calls

    def _keep(self, _logger: Any, method: str, line: dict[str, Any]) -> dict[str, Any]:
        self.lines.append({"level": method, **line})
        raise structlog.DropEvent

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of this name in the log."""
        return [line for line in self.lines if line["event"] == event]

    # --- events and runs

    async def send(self, name: str, *data: dict[str, Any]) -> list[str]:
        """Have events accepted, in one call. Returns their entries."""
        writes = []
        for fields in data or ({},):
            self._sent += 1
            blob = encode_event(Event(name, fields))
            writes.append(NewEvent(event_key(name, f"e{self._sent}"), 60_000, blob))
        return await Events(self.calls).send_events(writes)

    async def routed(self) -> None:
        """Wait until all that was sent is routed and delivered."""

        async def done() -> bool:
            sent, routed, posts = await self.calls.read("HMGET", self.calls.key("meta"), "sent", "routed", "posts")
            return bool(sent == routed and posts in (None, b"0"))

        await until(done, "everything is routed", within_s=SOON_S)

    async def runs(self, function: str) -> list[RunDetails]:
        """The runs of this function, oldest first."""
        reads = Reads(self.calls)
        found = await asyncio.gather(*(reads.details(run_id) for run_id in await self.states(function)))
        return [details for details in found if details is not None]

    async def states(self, function: str) -> dict[str, str]:
        """The state of each run of this function, oldest first."""
        prefix = self.calls.key("run")
        ids = sorted(key.decode().removeprefix(prefix) for key in await self.calls.read("KEYS", f"{prefix}*"))
        fields = await asyncio.gather(*(self.calls.read("HMGET", prefix + run_id, "f", "s") for run_id in ids))
        return {run_id: s.decode() for run_id, (f, s) in zip(ids, fields, strict=True) if f == function.encode()}

    async def ended(self, function: str, count: int = 1, *, states: str = "cfx") -> list[RunDetails]:
        """Wait until this many runs of the function are final. Returns all of its runs."""

        await self._are(function, count, states)
        return await self.runs(function)

    async def results(self, function: str, count: int = 1) -> list[Any]:
        """Wait for the ends of this many runs: what each returned, or the Failure of one that did not. Oldest first."""
        return [result_of(details) for details in await self.ended(function, count) if details.row.state in "cfx"]

    async def asleep(self, function: str, count: int = 1) -> list[RunDetails]:
        """Wait until this many runs of the function wait for something, and nothing of them is in hand."""

        await self._are(function, count, "w")
        return await self.runs(function)

    async def _are(self, function: str, count: int, states: str) -> None:
        async def enough() -> bool:
            return sum(state in states for state in (await self.states(function)).values()) >= count

        await until(enough, f"{count} runs of {function} are in {states}", within_s=SOON_S)

    async def cancel(self, *runs: str, why: str = "the test wants it") -> None:
        await Cancels(self.calls).cancel_runs(runs, why)

    async def until(self, condition: Callable[[], Any] | Callable[[], Awaitable[Any]], what: str) -> Any:
        return await until(condition, what, within_s=SOON_S)


def result_of(details: RunDetails) -> Any:
    """What a final run returned, or its Failure."""
    if details.row.state == "c":
        return codec.decode(details.output) if details.output else None
    return Failure.decode(details.output or b"")


def kinds(memos: Sequence[Memo]) -> str:
    """The letters of these memos, in order of number."""
    return "".join(str(memo.kind) for memo in sorted(memos, key=lambda memo: memo.number))
