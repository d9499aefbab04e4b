"""retry_runs: the code between steps failed; the run waits for its next attempt, and nothing wakes it before."""

from __future__ import annotations

import pytest

from durableq.store.records import STALE
from durableq.store.runs import Answers, RetryWrite, WaitWrite
from tests.store.guards import check_items_are_answered_apart, check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, Held, Shard


async def retry(shard: Shard, held: Held, attempt: int = 1, due_in_ms: int = 1000) -> Answers:
    return await shard.runs.retry_runs(
        held.lease, [RetryWrite(held.run, held.epoch, attempt, shard.now_ms + due_in_ms, b"why")]
    )


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, retry)


@lease_gone
async def test_a_lease_that_is_gone_is_refused(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, retry)


async def test_each_item_is_answered_by_itself(shard: Shard) -> None:
    async def act(helds: list[Held]) -> Answers:
        writes = [RetryWrite(held.run, held.epoch, 1, shard.now_ms + 1, b"") for held in helds]
        return await shard.runs.retry_runs("L1", writes)

    await check_items_are_answered_apart(shard, act)


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_the_run_waits_for_its_next_attempt(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    before = await shard.stored()
    answers = await shard.deliver(delivery, lambda: retry(shard, held))
    after = await shard.stored()
    assert answers.items == ([STALE] if delivery == "reply lost" else [None])
    assert before.changed(after) == {"run", "history", "timers", "timer_bell", "held", "waiting"}
    changes = {"s": "w", "l": "", "a": "1", "d": str(shard.now_ms + 1000), "t": "1"}
    assert after.of("run", held.run) == before.of("run", held.run) | changes
    assert after.of("timers") == {f"d {held.run}": shard.now_ms + 1000}
    assert after.of("history", held.run) == [f"{shard.now_ms} retry - why"]


async def test_the_next_attempt_is_claimed_when_it_is_due_and_knows_its_number(shard: Shard) -> None:
    held = await shard.claimed()
    await retry(shard, held, attempt=3)
    shard.advance(999)
    await shard.timers.fire_timers()
    assert (await shard.claim()).runs == []
    shard.advance(1)
    await shard.timers.fire_timers()
    (mine,) = (await shard.claim()).runs
    assert (mine.id, mine.attempt, mine.epoch) == (held.run, 3, held.epoch + 1)
    assert "d" not in (await shard.stored()).of("run", held.run)


async def test_a_wait_that_ends_meanwhile_is_recorded_and_waits_for_the_backoff(shard: Shard) -> None:
    held = await shard.claimed()
    due = shard.now_ms + 100
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "nap", "w", b"", due, b"")])
    await retry(shard, held, due_in_ms=1000)
    shard.advance(100)
    assert (await shard.timers.fire_timers()).fired == 1
    after = await shard.stored()
    assert after.of("run", held.run)["s"] == "w"
    assert after.of("steps", held.run) == {"nap": f"1 {shard.now_ms} s "}
    shard.advance(900)
    await shard.timers.fire_timers()
    (mine,) = (await shard.claim()).runs
    assert (mine.id, mine.sequence) == (held.run, 1)


async def test_a_wait_that_ends_after_the_backoff_finds_the_run_ready(shard: Shard) -> None:
    """Both due at once, the wait's timer first: it makes the run ready, and the backoff's timer then does nothing."""
    held = await shard.claimed()
    due = shard.now_ms + 100
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "nap", "w", b"", due, b"")])
    await retry(shard, held, due_in_ms=101)
    shard.advance(200)
    await shard.timers.fire_timers(limit=1)
    (mine,) = (await shard.claim()).runs
    again = Held("L1", mine.id, mine.epoch)
    await shard.suspend(again, seen=1, key="long", kind="w", due_at_ms=shard.now_ms + 60_000)
    await shard.timers.fire_timers()
    assert (await shard.stored()).of("run", held.run)["s"] == "w", "the old backoff woke a sleeper"
    assert (await shard.stored()).of("run", held.run)["t"] == "1"


async def test_a_failed_attempt_forgives_the_deaths_before_it(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    await retry(shard, Held("L1", run, mine.epoch))
    after = await shard.stored()
    assert "x" not in after.of("run", run)
    assert "alone" not in after.of("lease", "L1")
