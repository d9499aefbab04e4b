"""A shard on a test server: every verb over one link, a clock that tests move, faults on demand, runs in every state.

The scripts' clock stands still at START_MS until a test moves it, so what is stored is exact. Only stream ids (and with
them a run's creation) are the server's own time, which is always before START_MS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError

from durableq.store.bells import Bells
from durableq.store.calls import Calls
from durableq.store.cancels import Cancels
from durableq.store.crons import Crons
from durableq.store.events import Decision, Events, NewEvent
from durableq.store.flow import Flow
from durableq.store.invokes import Invokes
from durableq.store.keys import Keys
from durableq.store.leases import Leases
from durableq.store.link import Link
from durableq.store.reads import Reads
from durableq.store.registry import Registry
from durableq.store.runs import FinishWrite, ReleaseWrite, Runs, SuspendWrite
from durableq.store.scripts import load_scripts
from durableq.store.signals import Signals
from durableq.store.timers import Timers
from durableq.store.upkeep import Upkeep
from durableq.store.waits import Waits
from durableq.store.wire import Connection
from durableq.words.ids import run_id
from tests.servers import Server
from tests.store.stored import Stored, read_stored

START_MS = 2_000_000_000_000
EVENT = b"\xc1\x00\nan event, opaque to Lua"
SCRIPTS = load_scripts()

ONCE, TWICE, REPLY_LOST = "once", "twice", "reply lost"
DELIVERIES = (ONCE, TWICE, REPLY_LOST)


class Held(NamedTuple):
    """A run in hand."""

    lease: str
    run: str
    epoch: int


class Faults:
    """Makes the connections of a link lose replies: the server has executed the call, the link never learns it."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self.replies_to_lose = 0
        self.connections = 0

    def __call__(self) -> Connection:
        self.connections += 1
        return _Faulty(self._connect(), self)


class _Faulty:
    _writer = None  # so that the link has no transport to take over, and its replies come through here

    def __init__(self, inner: Any, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read_response(self) -> Any:
        reply = await self._inner.read_response()
        # Of errors none is lost: a NOSCRIPT is no reply of the script.
        if self._faults.replies_to_lose > 0:
            self._faults.replies_to_lose -= 1
            raise RedisConnectionError("cut by the test, in the reply")
        return reply


class Shard:
    """The verbs of one namespace, by the names of the store's modules."""

    def __init__(self, server: Server, namespace: str = "t") -> None:
        self.server = server
        self._client: redis.asyncio.Redis = server.client()
        self.faults = Faults(self._client.connection_pool.make_connection)
        self.link = Link(self.faults)
        self.calls = Calls(self.link, SCRIPTS, Keys(namespace))
        self.calls.now_ms = START_MS
        self.bells, self.events, self.leases = Bells(self.calls), Events(self.calls), Leases(self.calls)
        self.reads, self.registry, self.runs = Reads(self.calls), Registry(self.calls), Runs(self.calls)
        self.timers, self.upkeep = Timers(self.calls), Upkeep(self.calls)
        self.crons = Crons(self.calls)
        self.waits, self.signals = Waits(self.calls), Signals(self.calls)
        self.invokes, self.cancels = Invokes(self.calls), Cancels(self.calls)
        self.flow = Flow(self.calls)
        self._events = 0
        self._claims: dict[str, int] = {}

    async def close(self) -> None:
        await self.link.close()
        await self._client.aclose()

    @property
    def now_ms(self) -> int:
        assert self.calls.now_ms is not None
        return self.calls.now_ms

    def advance(self, ms: int) -> int:
        """Move the scripts' clock. Returns the new time."""
        self.calls.now_ms = self.now_ms + ms
        return self.now_ms

    def key(self, name: str, argument: str = "") -> str:
        return self.calls.key(name, argument)

    async def stored(self) -> Stored:
        return await read_stored(self.calls)

    async def command(self, *args: Any) -> Any:
        """A plain command, for arranging what no verb does."""
        return await self.link.command(*args)

    async def deliver(self, delivery: str, act: Callable[[], Awaitable[Any]]) -> Any:
        """Perform a verb; once, twice (a late copy), or with its first reply lost. Returns its first answer."""
        if delivery == REPLY_LOST:
            before = self.faults.connections
            self.faults.replies_to_lose = 1
            answer = await act()
            assert self.faults.connections == before + 1, "the reply was not lost"
            return answer
        answer = await act()
        if delivery == TWICE:
            await act()
        return answer

    # Runs in every state

    async def sent(self, count: int = 1, blob: bytes = EVENT) -> list[str]:
        """Accepted events. Returns their entries."""
        events = [NewEvent(f"e{self._events + i}", 60_000, blob) for i in range(count)]
        self._events += count
        return await self.events.send_events(events)

    async def route(
        self, entries: list[str], functions: list[str], due_at_ms: int = 0, details: list[bytes] | None = None
    ) -> list[str]:
        """Start a run of functions[i] for entries[i], with details[i]. Returns their ids."""
        backlog = await self.events.unrouted(1)
        names = int(await self.command("HGET", self.key("meta"), "names") or 0)
        ids = [run_id(entry, function, 0) for entry, function in zip(entries, functions, strict=True)]
        decisions = [
            Decision("run", entry, run, function, due_at_ms, detail)
            for entry, run, function, detail in zip(entries, ids, functions, details or [b""] * len(ids), strict=True)
        ]
        await self.events.route_events(
            backlog.cursor, entries[-1], backlog.registry, len(entries), decisions, trim_above=100_000, names=names
        )
        return ids

    async def queued(self, function: str = "a/f", *, due_at_ms: int = 0, blob: bytes = EVENT) -> str:
        (run,) = await self.route(await self.sent(blob=blob), [function], due_at_ms)
        return run

    async def backlog(self, count: int, function: str = "a/f") -> list[str]:
        ids: list[str] = []
        while len(ids) < count:
            some = min(100, count - len(ids))
            ids += await self.route(await self.sent(some), [function] * some)
        return ids

    async def lease(self, lease: str = "L1", *functions: str) -> str:
        named = functions or ("a/f",)
        apps = sorted({function.partition("/")[0] for function in named})
        await self.leases.register_lease(lease, "worker", apps, "release", named)
        return lease

    def number(self, lease: str) -> int:
        """The lease's next claim number."""
        self._claims[lease] = self._claims.get(lease, 0) + 1
        return self._claims[lease]

    async def claim(self, lease: str = "L1", room: int = 10, *apps: str, alone: bool = False, skip: int = 0) -> Any:
        return await self.runs.claim_runs(lease, self.number(lease), room, alone, skip, apps or ("a",))

    async def claimed(self, lease: str = "L1", function: str = "a/f") -> Held:
        """A run in hand of a lease, which is begun if need be."""
        if lease not in (row.lease for row in await self.reads.leases()):
            await self.lease(lease, function)
        run = await self.queued(function)
        (mine,) = (await self.claim(lease, 1, function.partition("/")[0])).runs
        assert mine.id == run
        return Held(lease, run, mine.epoch)

    async def waiting(self, lease: str = "L1", *, due_in_ms: int = 1000, key: str = "nap") -> Held:
        held = await self.claimed(lease)
        await self.suspend(held, key=key, kind="w", blob=b"sleep", due_at_ms=self.now_ms + due_in_ms)
        return held

    async def finished(self, state: str = "c", function: str = "a/f", *, keep: int = 100, out: bytes = b"out") -> Held:
        held = await self.claimed(function=function)
        await self.runs.finish_runs(held.lease, [FinishWrite(held.run, held.epoch, state, out)], keep, keep)
        return held

    async def suspend(self, held: Held, seen: int = 0, **wait: Any) -> Any:
        answers = await self.runs.suspend_runs(held.lease, [SuspendWrite(held.run, held.epoch, seen, **wait)])
        return answers.items[0]

    async def release(self, held: Held) -> Any:
        return (await self.runs.release_runs(held.lease, [ReleaseWrite(held.run, held.epoch)])).items[0]

    async def crash(self, lease: str, reason: str = "signal 9") -> int:
        return await self.leases.close_lease(lease, crashed=True, reason=reason, keep_failed=100)

    async def suspected(self, function: str = "a/f", blob: bytes = EVENT) -> str:
        """A queued run that saw two deaths of its worker."""
        run = await self.queued(function, blob=blob)
        for death in ("X1", "X2"):
            await self.lease(f"{death}{run}", function)
            (mine,) = (await self.claim(f"{death}{run}", 1, function.partition("/")[0])).runs
            assert mine.id == run
            await self.crash(f"{death}{run}")
        return run

    async def run_to_the_end(self, functions: tuple[str, ...] = ("a/f",), rounds: int = 50) -> None:
        """Do what a healthy deployment does until every run is final: fire, rescue, claim, finish. Fails if one is stuck."""
        apps = sorted({function.partition("/")[0] for function in functions})
        for turn in range(rounds):
            stored = await self.stored()
            if all(v["s"] in "cfx" for _, v in stored.family("run")):
                return
            due = list(stored.of("timers").values())
            self.calls.now_ms = max([self.now_ms + 2_000, *due])
            while (await self.timers.fire_timers()).fired:
                await asyncio.sleep(0)
            await self.leases.rescue_leases(keep_failed=100)
            for alone in (True, False):
                lease = f"end-{turn}-{alone}"
                await self.leases.register_lease(lease, "worker", apps, "release", functions)
                claim = await self.runs.claim_runs(lease, 1, 100, alone, 0, apps)
                writes = [FinishWrite(run.id, run.epoch, "c", b"") for run in claim.runs]
                if writes:
                    await self.runs.finish_runs(lease, writes, 1000, 1000)
                await self.leases.close_lease(lease, crashed=False, reason="left", keep_failed=100)
        raise AssertionError(
            f"still not final: {[v for _, v in (await self.stored()).family('run') if v['s'] in 'qrw']}"
        )
