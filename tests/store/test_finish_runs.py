"""finish_runs: a run becomes final, once and for ever, and everything that could still move it goes."""

from __future__ import annotations

import pytest

from durableq.store.records import STALE
from durableq.store.runs import Answers, FinishWrite, WaitWrite
from tests.store.guards import check_items_are_answered_apart, check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, EVENT, Held, Shard


async def finish(shard: Shard, held: Held, state: str = "c", out: bytes = b"out", keep: int = 100) -> Answers:
    return await shard.runs.finish_runs(held.lease, [FinishWrite(held.run, held.epoch, state, out)], keep, keep)


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, finish)


@lease_gone
async def test_a_lease_that_is_gone_is_refused(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, finish)


async def test_each_item_is_answered_by_itself(shard: Shard) -> None:
    async def act(helds: list[Held]) -> Answers:
        return await shard.runs.finish_runs(
            "L1", [FinishWrite(held.run, held.epoch, "c", b"") for held in helds], 10, 10
        )

    await check_items_are_answered_apart(shard, act)


@pytest.mark.parametrize("state", ["c", "f"])
@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_the_run_is_final_with_its_output(shard: Shard, delivery: str, state: str) -> None:
    held = await shard.claimed()
    before = await shard.stored()
    answers = await shard.deliver(delivery, lambda: finish(shard, held, state, b"\x00 out"))
    after = await shard.stored()
    assert answers.items == ([STALE] if delivery == "reply lost" else [None])
    assert before.changed(after) == {"run", "output", "held", "done", "kept", "meta"}
    weight = len(EVENT) + len(b"\x00 out") + 400
    changes = {"s": state, "l": "", "e": str(shard.now_ms), "m": str(weight)}
    assert after.of("run", held.run) == before.of("run", held.run) | changes
    assert after.of("output", held.run) == b"\x00 out"
    assert after.of("done", f"a/f:{state}") == {held.run: shard.now_ms}
    assert after.of("kept") == {f"a/f:{state}"}
    assert after.of("meta")["kept_bytes"] == str(weight)


async def test_an_empty_result_takes_no_key(shard: Shard) -> None:
    held = await shard.claimed()
    await finish(shard, held, out=b"")
    assert ("output", held.run) not in (await shard.stored()).items


async def test_twice_in_one_call_finishes_once(shard: Shard) -> None:
    held = await shard.claimed()
    write = FinishWrite(held.run, held.epoch, "c", b"1")
    answers = await shard.runs.finish_runs("L1", [write, write._replace(state="f", out=b"2")], 10, 10)
    assert answers.items == [None, STALE]
    assert (await shard.stored()).of("output", held.run) == b"1"


async def test_timers_of_a_final_run_are_void_without_effect_and_swept(shard: Shard) -> None:
    held = await shard.claimed()
    waits = [
        WaitWrite(held.run, held.epoch, 0, f"{kind}{i}", kind, b"", shard.now_ms + 10, b"")
        for kind in "wr"
        for i in range(3)
    ]
    await shard.runs.record_waits("L1", waits)
    await finish(shard, held)
    final = (await shard.stored()).of("run", held.run)
    assert (await shard.stored()).of("void") == {held.run}
    shard.advance(10)
    await shard.timers.fire_timers(limit=2)
    assert await shard.cancels.sweep_ended() is False
    after = await shard.stored()
    assert (after.of("timers"), after.of("void")) == ({}, set())
    assert after.of("run", held.run) == final


async def test_news_that_was_never_fetched_goes_with_the_turn(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "n", "w", b"", shard.now_ms, b"")])
    await shard.timers.fire_timers()
    assert (await shard.stored()).of("news", held.run)
    await finish(shard, held)
    after = await shard.stored()
    assert ("news", held.run) not in after.items
    assert "o" not in after.of("run", held.run)


async def test_beyond_the_count_the_oldest_of_the_same_function_and_state_goes(shard: Shard) -> None:
    ended = []
    for i in range(4):
        shard.advance(1)
        ended.append(await shard.finished("c", keep=3))
        if i == 0:
            failed = await shard.finished("f", keep=3)
    after = await shard.stored()
    assert set(after.of("done", "a/f:c")) == {held.run for held in ended[1:]}
    assert failed.run in after.of("done", "a/f:f")
    gone = [name for name, run in after.items if run == ended[0].run]
    assert gone == [], f"left of a pruned run: {gone}"


async def test_a_lowered_count_is_reached_by_and_by(shard: Shard) -> None:
    for _ in range(6):
        shard.advance(1)
        await shard.finished("c", keep=6)
    for left in (5, 4, 3, 2, 2):
        shard.advance(1)
        await shard.finished("c", keep=2)
        assert len((await shard.stored()).of("done", "a/f:c")) == left


async def test_a_run_from_which_something_hangs_is_not_deleted_before_that_is_swept(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "n", "w", b"", shard.now_ms + 9, b"")])
    await finish(shard, held, keep=1)
    shard.advance(1)
    await shard.finished("c", keep=1)
    assert held.run in (await shard.stored()).of("done", "a/f:c")
    await shard.cancels.sweep_ended()
    shard.advance(1)
    await shard.finished("c", keep=1)
    after = await shard.stored()
    assert (after.of("timers"), after.of("void")) == ({}, set())
    assert after.of("run", held.run) == {}


async def test_the_end_of_a_run_claimed_alone_lets_its_child_claim_again(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    await finish(shard, Held("L1", run, mine.epoch))
    assert "alone" not in (await shard.stored()).of("lease", "L1")


async def test_the_run_that_ends_is_kept_also_when_the_clock_has_stepped_back(shard: Shard) -> None:
    """Its list is full of runs with later ends: whoever waits for the result must still find it."""
    for _ in range(3):
        shard.advance(1)
        await shard.finished("c", keep=3)
    shard.advance(-60_000)
    held = await shard.finished("c", keep=3)
    after = await shard.stored()
    assert held.run in after.of("done", "a/f:c")
    assert len(after.of("done", "a/f:c")) == 3
