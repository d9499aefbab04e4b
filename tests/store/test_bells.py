"""Bells: one ring wakes one idle process of those who ask for it; none is kept waiting for what came before."""

from __future__ import annotations

import asyncio

import pytest

from durableq.store.bells import SILENCE, Rung
from durableq.store.events import Backlog, Entry, NewEvent
from durableq.store.failures import StoreError
from tests.servers import RealServer, on
from tests.store.shard import EVENT, Shard

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


async def test_a_look_waits_for_nothing_and_brings_what_is_there(shard: Shard) -> None:
    held = await shard.claimed()
    asked = {"apps": [], "events": False, "timers": False, "inbox": "L1", "block_ms": None}
    assert await shard.bells.wait(**asked) == SILENCE  # type: ignore[arg-type]
    await shard.cancels.cancel_runs([held.run], "by hand")
    assert (await shard.bells.wait(**asked)).cancelled == [(held.run, "by hand")]  # type: ignore[arg-type]


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
    assert (rung.ready, rung.events, rung.timers, rung.news) == (True, True, False, [])
    assert await wait(shard, block_ms=5, events=True) == SILENCE


async def heard(shard: Shard) -> Rung:
    return await shard.bells.wait(apps=[], events=True, timers=False, inbox="", block_ms=LONG_MS)


async def test_an_event_that_comes_alone_travels_with_the_ring(shard: Shard) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"declared"})
    assert (await heard(shard)).backlog is None
    for _ in range(2):
        (entry,) = await shard.sent()
        assert (await heard(shard)).backlog == await shard.events.unrouted(10)
        await shard.events.route_events((await shard.events.unrouted(1)).cursor, entry, 1, 1, [], 1000)


async def test_events_that_come_together_or_behind_others_or_are_large_do_not_travel_with_the_ring(
    shard: Shard,
) -> None:
    entries = await shard.sent(2)
    assert (await heard(shard)).backlog is None
    shard.advance(201)
    entries += await shard.sent()
    rung = await heard(shard)
    assert (rung.events, rung.backlog) == (True, None)
    await shard.route(entries, ["a/f"] * 3)
    await shard.sent(blob=b"x" * 4097)
    rung = await heard(shard)
    assert (rung.events, rung.backlog) == (True, None)


async def test_one_new_event_among_known_ones_travels_with_the_ring(shard: Shard) -> None:
    (first,) = await shard.events.send_events([NewEvent("k", 60_000, EVENT)])
    await shard.route([first], ["a/f"])
    await heard(shard)
    _, second, _ = await shard.events.send_events([NewEvent(key, 60_000, EVENT) for key in ("k", "l", "l")])
    assert (await heard(shard)).backlog == Backlog(first, 0, [Entry(second, EVENT)])


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
