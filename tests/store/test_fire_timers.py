"""fire_timers: what is due happens, once, not before its time, whoever calls and however often."""

from __future__ import annotations

import asyncio

import pytest

from durableq.model.memo import Memo, MemoKind
from durableq.store.runs import SuspendWrite, WaitWrite
from tests.servers import RealServer, on
from tests.store.shard import DELIVERIES, Held, Shard


async def sleeping(shard: Shard, key: str = "nap", kind: str = "w", due_in_ms: int = 100) -> Held:
    held = await shard.claimed()
    write = WaitWrite(held.run, held.epoch, 0, key, kind, b"zz", shard.now_ms + due_in_ms, b"")
    await shard.runs.record_waits("L1", [write])
    return held


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_sleeper_is_ready_when_its_time_has_come(shard: Shard, delivery: str) -> None:
    held = await shard.waiting(due_in_ms=100)
    shard.advance(99)
    early = await shard.timers.fire_timers()
    assert (early.fired, early.next_ms) == (0, 1)
    shard.advance(1)
    before = await shard.stored()
    fired = await shard.deliver(delivery, shard.timers.fire_timers)
    after = await shard.stored()
    assert (fired.fired, fired.next_ms) == (0 if delivery == "reply lost" else 1, None)
    assert before.changed(after) == {"run", "steps", "history", "timers", "waiting", "ready", "bell"}
    assert after.of("run", held.run) == before.of("run", held.run) | {"s": "q", "q": "1", "t": "0"}
    assert after.of("steps", held.run) == {"nap": f"1 {shard.now_ms} s sleep"}
    assert after.of("timers") == {}
    assert held.run in after.of("ready", "a/f")


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_the_holder_of_a_run_in_hand_is_told(shard: Shard, delivery: str) -> None:
    held = await sleeping(shard)
    shard.advance(100)
    before = await shard.stored()
    await shard.deliver(delivery, shard.timers.fire_timers)
    after = await shard.stored()
    assert before.changed(after) == {"run", "steps", "history", "timers", "news", "inbox"}
    assert after.of("run", held.run) == before.of("run", held.run) | {"q": "1", "t": "0", "o": "1"}
    assert after.of("news", held.run) == [f"1 nap 1 {shard.now_ms} s zz"]
    assert len(after.of("inbox", "L1")) == 1


@on("redis7", "valkey")
async def test_the_inbox_brings_what_became_due(shard: Shard, server: RealServer) -> None:
    held = await sleeping(shard)
    other = Shard(server)
    other.calls.identity = shard.calls.identity
    other.calls.now_ms = shard.advance(100)
    waiting = asyncio.create_task(shard.bells.wait(apps=[], events=False, timers=False, inbox="L1", block_ms=3000))
    await other.timers.fire_timers()
    rung = await waiting
    assert rung.news == [(held.run, "nap", Memo(1, shard.now_ms, MemoKind.WOKEN, b"zz"))]
    assert rung[:3] == (False, False, False)
    await other.close()


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_the_delay_before_a_step_s_next_attempt_ends(shard: Shard, delivery: str) -> None:
    held = await sleeping(shard, kind="r")
    await shard.suspend(held)
    shard.advance(100)
    await shard.deliver(delivery, shard.timers.fire_timers)
    after = await shard.stored()
    assert after.of("steps", held.run) == {"nap": f"1 {shard.now_ms} r zz"}, "what failed and how often stays known"
    assert after.of("run", held.run)["s"] == "q"


async def test_a_queued_run_stays_queued_when_its_wait_ends(shard: Shard) -> None:
    held = await sleeping(shard)
    await shard.release(held)
    shard.advance(100)
    await shard.timers.fire_timers()
    after = await shard.stored()
    assert after.of("run", held.run)["s"] == "q"
    assert after.of("steps", held.run) == {"nap": f"1 {shard.now_ms} s zz"}


async def test_a_run_with_two_waits_goes_on_at_the_first_and_keeps_the_second(shard: Shard) -> None:
    held = await sleeping(shard, "short", due_in_ms=100)
    wait = SuspendWrite(held.run, held.epoch, 0, "long", "w", b"", shard.now_ms + 500)
    await shard.runs.suspend_runs("L1", [wait])
    shard.advance(100)
    fired = await shard.timers.fire_timers()
    assert (fired.fired, fired.next_ms) == (1, 400)
    (mine,) = (await shard.claim()).runs
    assert mine.memos["long"].number == 0
    assert mine.memos["short"].number == 1


async def test_the_longest_overdue_come_first_and_no_more_than_the_limit(shard: Shard) -> None:
    helds = [await shard.waiting(due_in_ms=100 - i) for i in range(5)]
    shard.advance(100)
    fired = await shard.timers.fire_timers(limit=2)
    assert (fired.fired, fired.next_ms) == (2, 0)
    ready = (await shard.stored()).of("ready", "a/f")
    assert set(ready) == {helds[4].run, helds[3].run}


async def test_two_schedulers_at_once_fire_each_timer_once(shard: Shard) -> None:
    for _ in range(20):
        await shard.waiting(due_in_ms=1)
    shard.advance(1)
    rounds = await asyncio.gather(*(shard.timers.fire_timers(limit=7) for _ in range(6)))
    assert sum(done.fired for done in rounds) == 20
    (again,) = [(await shard.claim(room=100)).runs]
    assert len(again) == 20
    assert all(run.sequence == 1 for run in again)


async def test_a_delayed_run_starts_at_its_time(shard: Shard) -> None:
    await shard.lease()
    run = await shard.queued(due_at_ms=shard.now_ms + 1000)
    stored = await shard.stored()
    assert stored.of("run", run)["s"] == "w"
    assert stored.of("timers") == {f"d {run}": shard.now_ms + 1000}
    shard.advance(999)
    await shard.timers.fire_timers()
    assert (await shard.claim()).runs == []
    shard.advance(1)
    await shard.timers.fire_timers()
    (mine,) = (await shard.claim()).runs
    assert (mine.id, mine.epoch, mine.begun_at_ms) == (run, 1, shard.now_ms)


async def test_nothing_is_early_when_the_clock_steps_back(shard: Shard) -> None:
    held = await shard.waiting(due_in_ms=1000)
    shard.advance(-5000)
    assert (await shard.timers.fire_timers()).next_ms == 6000
    shard.advance(6000)
    await shard.timers.fire_timers()
    assert (await shard.stored()).of("run", held.run)["s"] == "q"


async def test_the_last_timer_of_a_waiting_run_wakes_it_whatever_it_was_for(shard: Shard) -> None:
    """Redis came back with the timer and without the memo it belongs to: the run must not sleep for ever."""
    held = await shard.waiting(due_in_ms=10)
    await shard.command("HDEL", shard.key("steps", held.run), "nap")
    shard.advance(10)
    await shard.timers.fire_timers()
    assert (await shard.stored()).of("run", held.run)["s"] == "q"


async def test_overdue_timers_are_seen_by_who_may_warn(shard: Shard) -> None:
    assert await shard.timers.overdue_ms() == 0
    seconds, _ = await shard.command("TIME")
    held = await shard.claimed()
    await shard.suspend(held, key="nap", kind="w", due_at_ms=int(seconds) * 1000 - 60_000)
    assert 59_000 < await shard.timers.overdue_ms() < 90_000
