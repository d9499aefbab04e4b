"""fire_waits: the holder ends a wait of its own that is due; who is first, holder or scheduler, writes the memo."""

from __future__ import annotations

import pytest

from durableq.model.memo import Memo, MemoKind
from durableq.store.records import STALE, NotYet, Recorded
from durableq.store.runs import Answers, FireWrite, StepWrite, WaitWrite
from tests.store.guards import check_items_are_answered_apart, check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, Held, Shard


async def fire(shard: Shard, held: Held, key: str = "nap", seen: int = 0) -> Answers:
    return await shard.runs.fire_waits(held.lease, [FireWrite(held.run, held.epoch, seen, key)])


async def sleeping(shard: Shard, kind: str = "w", due_in_ms: int = 100, key: str = "nap") -> Held:
    held = await shard.claimed()
    write = WaitWrite(held.run, held.epoch, 0, key, kind, b"zz", shard.now_ms + due_in_ms, b"")
    await shard.runs.record_waits("L1", [write])
    return held


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, fire)


@lease_gone
async def test_a_lease_that_is_gone_is_refused(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, fire)


async def test_each_item_is_answered_by_itself(shard: Shard) -> None:
    async def act(helds: list[Held]) -> Answers:
        real = [held for held in helds if held.run != "nobody"]
        due = shard.now_ms
        await shard.runs.record_waits(
            "L1", [WaitWrite(held.run, held.epoch, 0, "nap", "w", b"", due, b"") for held in real]
        )
        return await shard.runs.fire_waits("L1", [FireWrite(held.run, held.epoch, 0, "nap") for held in helds])

    await check_items_are_answered_apart(shard, act)


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize(("kind", "ended"), [("w", "s"), ("r", "r")])
async def test_a_wait_that_is_due_ends_once(shard: Shard, delivery: str, kind: str, ended: str) -> None:
    held = await sleeping(shard, kind)
    shard.advance(100)
    before = await shard.stored()
    answers = await shard.deliver(delivery, lambda: fire(shard, held))
    after = await shard.stored()
    assert answers.items == [Recorded(1, shard.now_ms, [])]
    assert before.changed(after) == {"run", "steps", "history", "timers"}
    assert after.of("steps", held.run) == {"nap": f"1 {shard.now_ms} {ended} zz"}
    assert after.of("timers") == {}
    assert after.of("run", held.run) == before.of("run", held.run) | {"q": "1", "t": "0"}
    assert len(after.of("history", held.run)) == 2


async def test_no_wait_ends_before_its_time(shard: Shard) -> None:
    held = await sleeping(shard, due_in_ms=100)
    shard.advance(99)
    before = await shard.stored()
    assert (await fire(shard, held)).items == [NotYet(1, [])]
    assert before.changed(await shard.stored()) == set()


async def test_who_comes_after_the_scheduler_is_answered_with_its_memo(shard: Shard) -> None:
    held = await sleeping(shard)
    shard.advance(100)
    await shard.timers.fire_timers()
    shard.advance(7)
    woken = Memo(1, shard.now_ms - 7, MemoKind.WOKEN, b"zz")
    assert (await fire(shard, held)).items == [Recorded(1, shard.now_ms - 7, [("nap", woken)])]


async def test_news_comes_while_a_wait_is_not_due(shard: Shard) -> None:
    held = await sleeping(shard, due_in_ms=10, key="short")
    write = WaitWrite(held.run, held.epoch, 0, "long", "w", b"", shard.now_ms + 100, b"")
    await shard.runs.record_waits("L1", [write])
    shard.advance(10)
    await shard.timers.fire_timers()
    (answer,) = (await fire(shard, held, "long")).items
    assert answer == NotYet(90, [("short", Memo(1, shard.now_ms, MemoKind.WOKEN, b"zz"))])


async def test_a_step_s_result_is_no_wait_and_stays(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "k", "d", b"v", b"")])
    assert (await fire(shard, held, "k", seen=1)).items == [Recorded(1, shard.now_ms, [])]
    assert (await shard.runs.read_memos(held.run))["k"].blob == b"v"


async def test_a_wait_that_redis_has_lost_makes_its_holder_stale(shard: Shard) -> None:
    held = await shard.claimed()
    assert (await fire(shard, held, "never recorded")).items == [STALE]
    assert (await fire(shard, held, seen=1)).items == [STALE]
