"""The faults: what chaos does to processes and to Redis. Each is one act; `FAULTS` says how often each is drawn.

When adding a fault: a coroutine here that leaves things as they must be for the next one, and its row in FAULTS.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

import redis

from tests.acceptance.harness import Stage, now_ms
from tests.chaos.troupe import Troupe


class Blow(NamedTuple):
    """One fault that was dealt: when it was over, and whose bodies were cut off by it."""

    name: str
    at_ms: float
    pids: frozenset[int] = frozenset()


@dataclass
class Fray:
    """What faults work on, and what they have done."""

    stage: Stage
    troupe: Troupe
    chance: Random
    blows: list[Blow] = field(default_factory=list)
    thawing: set[asyncio.Task[None]] = field(default_factory=set)

    def dealt(self, name: str, *pids: int) -> None:
        self.blows.append(Blow(name, now_ms(), frozenset(pids)))


async def child_killed(fray: Fray) -> None:
    pid = fray.troupe.any_child(fray.chance)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            fray.dealt("child killed", pid)


async def parent_killed(fray: Fray) -> None:
    worker = fray.troupe.any_worker(fray.chance)
    if worker is not None:
        fray.troupe.doomed.add(worker)
        worker.signal(signal.SIGKILL)
        fray.dealt("parent killed")


async def worker_killed(fray: Fray) -> None:
    worker = fray.troupe.any_worker(fray.chance)
    if worker is not None:
        fray.troupe.doomed.add(worker)
        children = worker.children
        worker.kill_group()
        fray.dealt("worker killed", *children)


async def worker_told_to_leave(fray: Fray) -> None:
    worker = fray.troupe.any_worker(fray.chance)
    if worker is not None:
        fray.troupe.doomed.add(worker)
        worker.signal_group(signal.SIGTERM)
        fray.dealt("worker told to leave")


async def scheduler_killed(fray: Fray) -> None:
    scheduler = fray.troupe.any_scheduler(fray.chance)
    if scheduler is not None:
        fray.troupe.doomed.add(scheduler)
        scheduler.kill_group()
        fray.dealt("scheduler killed")


async def worker_frozen(fray: Fray) -> None:
    worker = fray.troupe.any_worker(fray.chance)
    if worker is not None:
        _freeze(fray, "worker frozen", [worker.pid, *worker.children])


async def child_frozen(fray: Fray) -> None:
    pid = fray.troupe.any_child(fray.chance)
    if pid is not None:
        _freeze(fray, "child frozen", [pid])


async def scheduler_frozen(fray: Fray) -> None:
    scheduler = fray.troupe.any_scheduler(fray.chance)
    if scheduler is not None:
        _freeze(fray, "scheduler frozen", [scheduler.pid])


def _freeze(fray: Fray, name: str, pids: list[int]) -> None:
    """Stop them, and let them go on later: sometimes within their lease, sometimes beyond it."""
    seconds = fray.chance.choice((1, 5, 13))

    async def thaw() -> None:
        await asyncio.sleep(seconds)
        _signal_all(pids, signal.SIGCONT)
        fray.troupe.frozen.difference_update(pids)
        fray.dealt(f"{name} for {seconds} s")

    _signal_all(pids, signal.SIGSTOP)
    fray.troupe.frozen.update(pids)
    thawing = asyncio.get_running_loop().create_task(thaw())
    fray.thawing.add(thawing)
    thawing.add_done_callback(fray.thawing.discard)


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def redis_killed(fray: Fray) -> None:
    seconds = fray.chance.choice((0, 1, 4))
    fray.stage.server.kill()
    await asyncio.sleep(seconds)
    fray.stage.server.start()
    fray.dealt(f"Redis killed, back after {seconds} s")


async def redis_frozen(fray: Fray) -> None:
    seconds = fray.chance.choice((0.2, 2, 7))
    fray.stage.server.pause()
    await asyncio.sleep(seconds)
    fray.stage.server.resume()
    fray.dealt(f"Redis frozen for {seconds} s")


async def scripts_flushed(fray: Fray) -> None:
    with fray.stage.server.sync_client() as client:
        client.script_flush()
    fray.dealt("scripts flushed")


async def connections_cut(fray: Fray) -> None:
    """All of them, or one at random in the middle of whatever it does."""
    with fray.stage.server.sync_client() as client:
        victims = [entry for entry in client.client_list(_type="normal") if entry["cmd"] != "client|list"]
        if fray.chance.random() < 0.7 and victims:
            victims = [fray.chance.choice(victims)]
        for victim in victims:
            with contextlib.suppress(redis.ResponseError):  # gone already
                client.client_kill_filter(_id=victim["id"])
    fray.dealt("connections cut" if len(victims) > 1 else "a connection cut")


Fault = Callable[[Fray], Awaitable[None]]

FAULTS: dict[Fault, float] = {
    child_killed: 4,
    parent_killed: 2,
    worker_killed: 3,
    worker_told_to_leave: 2,
    scheduler_killed: 2,
    worker_frozen: 3,
    child_frozen: 1,
    scheduler_frozen: 1,
    redis_killed: 2,
    redis_frozen: 1,
    scripts_flushed: 2,
    connections_cut: 4,
}


async def deal(fray: Fray, pause_s: float, over: asyncio.Event, faults: Mapping[Fault, float] = FAULTS) -> None:
    """Faults, until it is over."""
    names, weights = list(faults), list(faults.values())
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), min(fray.chance.expovariate(1 / pause_s), 4 * pause_s))
            return
        fray.troupe.tend()
        (fault,) = fray.chance.choices(names, weights)
        await fault(fray)
