"""Bells: one ring wakes one idle process of those who ask for it; none is kept waiting for what came before."""

from __future__ import annotations

import asyncio

import pytest

from durableq.store.bells import SILENCE
from durableq.store.failures import StoreError
from tests.servers import RealServer, on
from tests.store.shard import Shard

pytestmark = on("redis7", "valkey")

LONG_MS = 3000


async def another(shard: Shard, server: RealServer) -> Shard:
    other = Shard(server)
    await other.calls.open()
    return other


def wait(shard: Shard, block_ms: int = LONG_MS, **asked: object) -> asyncio.Task[object]:
    given = {"apps": ["a"], "events": False, "timers": False, "inbox": ""} | asked
    return asyncio.create_task(shard.bells.wait(block_ms=block_ms, **given))  # type: ignore[arg-type]


async def test_silence_ends_after_the_time_asked_for(shard: Shard) -> None:
    await shard.lease()
    assert await wait(shard, block_ms=5) == SILENCE


async def test_a_ready_run_wakes_one_child_of_its_app(shard: Shard, server: RealServer) -> None:
    await shard.lease("L1", "a/f", "b/g")
    first, second, elsewhere = [await another(shard, server) for _ in range(3)]
    waiting = {wait(first, 400), wait(second, 400)}
    others = wait(elsewhere, 50, apps=["b"])
    await shard.queued("a/f")
    done, late = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().ready for task in done] == [True]  # type: ignore[attr-defined]
    assert len(late) == 1
    assert [await task for task in late] == [SILENCE]
    assert await others == SILENCE
    for shard_ in (first, second, elsewhere):
        await shard_.close()


async def test_a_ring_that_nobody_heard_wakes_the_next_who_asks(shard: Shard) -> None:
    await shard.lease()
    await shard.queued()
    rung = await shard.bells.wait(apps=["a"], events=True, timers=False, inbox="L1", block_ms=LONG_MS)
    assert rung == (True, True, False, [])
    assert await wait(shard, block_ms=5, events=True) == SILENCE


async def test_a_new_earliest_timer_wakes_a_scheduler(shard: Shard) -> None:
    await shard.waiting()
    assert (await shard.bells.wait(apps=[], events=False, timers=True, inbox="", block_ms=LONG_MS)).timers


async def test_a_bell_of_an_app_without_workers_is_not_made(shard: Shard) -> None:
    await shard.queued("nobody/f")
    assert ("bell", "nobody") not in (await shard.stored()).items


async def test_bells_that_were_flushed_away_are_an_error_and_no_silence(shard: Shard) -> None:
    await shard.lease()
    await shard.command("FLUSHALL")
    with pytest.raises(StoreError, match="NOGROUP"):
        await wait(shard)


@pytest.mark.parametrize("bell", ["event_bell", "timer_bell"])
async def test_a_bell_that_somebody_deleted_is_made_again(shard: Shard, bell: str) -> None:
    await shard.lease()
    await shard.command("DEL", shard.key(bell))
    asked = {"events": True, "timers": True, "inbox": "L1"}
    assert await wait(shard, block_ms=5, **asked) == SILENCE
    await shard.queued()
    rung = await shard.bells.wait(apps=["a"], events=True, timers=False, inbox="L1", block_ms=LONG_MS)
    assert rung.ready
    assert rung.events


async def test_bells_of_a_namespace_that_is_gone_are_not_made_again(shard: Shard) -> None:
    await shard.lease()
    await shard.command("FLUSHALL")
    with pytest.raises(StoreError, match="NOGROUP"):
        await wait(shard, events=True)
    assert await shard.command("DBSIZE") == 0
