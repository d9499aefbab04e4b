"""Functions with flow control, and triggers of theirs: gates as routers send them, numbers as deployments register them."""

from __future__ import annotations

from typing import Any

from durableq.model.flow import with_gates
from durableq.store.runs import FinishWrite
from tests.store.shard import Held, Shard

RELEASES = {"count": 0}


async def deploy(shard: Shard, **numbers: str) -> None:
    """The newest deployment of app a: functions f and g, those named with these numbers."""
    RELEASES["count"] += 1
    await shard.registry.register_app("a", f"r{RELEASES['count']}", {"f": b"", "g": b""}, numbers)


async def triggered(
    shard: Shard, *gates: str, function: str = "a/f", due_at_ms: int = 0, extras: bytes = b""
) -> list[str]:
    """An event for each of the gates, in one batch. Returns the runs that there are, or would be."""
    entries = await shard.sent(len(gates))
    return await shard.route(entries, [function] * len(gates), due_at_ms, [with_gates(text, extras) for text in gates])


async def states(shard: Shard, runs: list[str]) -> str:
    """A letter per run; '-' for one that is not there."""
    stored = await shard.stored()
    return "".join(stored.of("run", run).get("s", "-") for run in runs)


async def held_by(shard: Shard, lease: str = "L1", room: int = 10, *apps: str) -> list[Held]:
    """What a claim brings."""
    return [Held(lease, run.id, run.epoch) for run in (await shard.claim(lease, room, *apps)).runs]


async def finish(shard: Shard, *runs: Held, state: str = "c") -> list[Any]:
    writes = [FinishWrite(held.run, held.epoch, state, b"") for held in runs]
    return (await shard.runs.finish_runs(runs[0].lease, writes, 100, 100)).items


async def fire(shard: Shard) -> int:
    return (await shard.timers.fire_timers()).fired


async def reasons(shard: Shard, function: str = "a/f") -> list[str]:
    """Why triggers started nothing, oldest first."""
    return [skip.reason for skip in reversed(await shard.flow.skips(function))]
