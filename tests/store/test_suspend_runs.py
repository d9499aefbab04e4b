"""suspend_runs: a turn ends when nothing can go on; never while there is something that the holder has not seen."""

from __future__ import annotations

import pytest

from durableq.model.memo import Memo, MemoKind
from durableq.store.records import STALE
from durableq.store.runs import Answers, FireWrite, StepWrite, SuspendWrite, WaitWrite
from tests.store.guards import check_items_are_answered_apart, check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, ONCE, Held, Shard


async def suspend(shard: Shard, held: Held, key: str = "nap", seen: int = 0, due_in_ms: int = 1000) -> Answers:
    write = SuspendWrite(held.run, held.epoch, seen, key, "w" if key else "", b"zz", shard.now_ms + due_in_ms, b"note")
    return await shard.runs.suspend_runs(held.lease, [write])


async def begin_wait(shard: Shard, held: Held, key: str = "nap", due_in_ms: int = 1000) -> None:
    write = WaitWrite(held.run, held.epoch, 0, key, "w", b"zz", shard.now_ms + due_in_ms, b"")
    await shard.runs.record_waits(held.lease, [write])


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, suspend)


@lease_gone
async def test_a_lease_that_is_gone_is_refused(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, suspend)


async def test_each_item_is_answered_by_itself(shard: Shard) -> None:
    async def act(helds: list[Held]) -> Answers:
        due = shard.now_ms + 1
        return await shard.runs.suspend_runs(
            "L1", [SuspendWrite(held.run, held.epoch, 0, "nap", "w", b"", due) for held in helds]
        )

    await check_items_are_answered_apart(shard, act)


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_sleep_is_recorded_and_the_run_put_to_sleep_in_one_act(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    before = await shard.stored()
    answers = await shard.deliver(delivery, lambda: suspend(shard, held))
    after = await shard.stored()
    # Sent again, it finds the run out of hand: by then the holder has nothing more to do with it.
    assert answers.items == ([STALE] if delivery == "reply lost" else [None])
    assert before.changed(after) == {"run", "steps", "history", "timers", "timer_bell", "held", "waiting"}
    was = before.of("run", held.run)
    assert after.of("run", held.run) == was | {"s": "w", "l": "", "t": "1", "m": str(int(was["m"]) + len(b"zz"))}
    assert after.of("steps", held.run) == {"nap": f"0 {shard.now_ms} w zz"}
    assert after.of("timers") == {f"w {held.run} nap": shard.now_ms + 1000}
    assert after.of("waiting", "a/f") == {held.run: int(was["c"])}
    assert after.of("held", "L1") == set()


async def test_a_run_that_waits_already_is_suspended_without_another_wait(shard: Shard) -> None:
    held = await shard.claimed()
    await begin_wait(shard, held)
    before = await shard.stored()
    assert (await suspend(shard, held, key="")).items == [None]
    assert before.changed(await shard.stored()) == {"run", "held", "waiting"}


async def test_of_several_waits_of_one_run_the_last_puts_it_to_sleep(shard: Shard) -> None:
    held = await shard.claimed()
    due = shard.now_ms + 10
    writes = [
        SuspendWrite(held.run, held.epoch, 0, key, "w", b"", due + i, b"", int(i == 2))
        for i, key in enumerate(("x", "y", "z"))
    ]
    assert (await shard.runs.suspend_runs("L1", writes)).items == [None, None, None]
    after = await shard.stored()
    assert after.of("run", held.run)["s"] == "w"
    assert sorted(after.of("timers").values()) == [due, due + 1, due + 2]
    assert after.of("run", held.run)["t"] == "3"


async def test_it_is_refused_while_there_is_news(shard: Shard) -> None:
    held = await shard.claimed()
    await begin_wait(shard, held, due_in_ms=10)
    shard.advance(10)
    await shard.timers.fire_timers()
    before = await shard.stored()
    woken = ("nap", Memo(1, shard.now_ms, MemoKind.WOKEN, b"zz"))
    assert (await suspend(shard, held, key="")).items == [[woken]]
    assert (await suspend(shard, held, key="other")).items == [[woken]]
    assert before.changed(await shard.stored()) == set()
    await begin_wait(shard, held, "other")
    assert (await suspend(shard, held, key="", seen=1)).items == [None]


async def test_of_a_batch_with_news_nothing_is_begun(shard: Shard) -> None:
    held = await shard.claimed()
    await begin_wait(shard, held, due_in_ms=0)
    await shard.timers.fire_timers()
    writes = [
        SuspendWrite(held.run, held.epoch, 0, key, "w", b"", shard.now_ms + 10, b"", last)
        for key, last in (("x", 0), ("y", 1))
    ]
    (one, other) = (await shard.runs.suspend_runs("L1", writes)).items
    assert one == other != []
    assert (await shard.stored()).of("timers") == {}


async def test_what_the_holder_itself_has_ended_is_not_news(shard: Shard) -> None:
    held = await shard.claimed()
    await begin_wait(shard, held, due_in_ms=0)
    await shard.runs.fire_waits("L1", [FireWrite(held.run, held.epoch, 0, "nap")])
    assert (await suspend(shard, held, key="", seen=0)).items == [[]], "it has not seen number 1, whoever wrote it"
    assert (await suspend(shard, held, key="next", seen=1)).items == [None]


@pytest.mark.parametrize("lost", ["wait", "result"])
async def test_a_run_whose_waits_redis_has_lost_is_ready_again(shard: Shard, lost: str) -> None:
    """Redis came back without what would wake the run: put to sleep, it would sleep for ever."""
    held = await shard.claimed()
    before = await shard.stored()
    (answer,) = (await suspend(shard, held, key="", seen=0 if lost == "wait" else 1)).items
    after = await shard.stored()
    assert answer is STALE
    assert before.changed(after) == {"run", "held", "ready", "bell"}
    assert after.of("run", held.run)["s"] == "q"
    ((again,),) = [(await shard.claim()).runs]
    assert again.epoch == held.epoch + 1


async def test_a_wait_for_what_has_a_result_begins_the_turn_anew_and_leaves_the_result(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "k", "d", b"v", b"")])
    (answer,) = (await suspend(shard, held, key="k", seen=1)).items
    after = await shard.stored()
    assert answer is STALE
    assert after.of("run", held.run)["s"] == "q"
    assert after.of("steps", held.run) == {"k": f"1 {shard.now_ms} d0 v"}


async def test_the_sleep_of_a_run_claimed_alone_lets_its_child_claim_again(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    other = await shard.queued()
    assert (await shard.claim()).runs == []
    await shard.suspend(Held("L1", run, mine.epoch), key="nap", kind="w", due_at_ms=shard.now_ms + 5)
    assert [claimed.id for claimed in (await shard.claim()).runs] == [other]
    assert "x" not in (await shard.stored()).of("run", run)


async def test_a_suspended_run_sleeps_until_its_time_and_then_goes_on(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.deliver(ONCE, lambda: suspend(shard, held, due_in_ms=100))
    shard.advance(99)
    await shard.timers.fire_timers()
    assert (await shard.claim()).runs == []
    shard.advance(1)
    await shard.timers.fire_timers()
    (mine,) = (await shard.claim()).runs
    assert mine.id == held.run
    assert mine.memos == {"nap": Memo(1, shard.now_ms, MemoKind.WOKEN, b"zz")}
    assert mine.sequence == 1
