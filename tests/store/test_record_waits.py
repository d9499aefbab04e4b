"""record_waits: sleeps and retry delays of a run that stays in hand: a pending memo and a timer, once."""

from __future__ import annotations

import pytest

from durableq.model.memo import Memo, MemoKind
from durableq.store.records import STALE, Recorded
from durableq.store.runs import Answers, FireWrite, StepWrite, WaitWrite
from tests.store.guards import check_items_are_answered_apart, check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, Held, Shard


async def wait(
    shard: Shard,
    held: Held,
    key: str = "nap",
    *,
    kind: str = "w",
    blob: bytes = b"zz",
    due_in_ms: int = 1000,
    seen: int = 0,
) -> Answers:
    write = WaitWrite(held.run, held.epoch, seen, key, kind, blob, shard.now_ms + due_in_ms, b"note")
    return await shard.runs.record_waits(held.lease, [write])


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, wait)


@lease_gone
async def test_a_lease_that_is_gone_is_refused(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, wait)


async def test_each_item_is_answered_by_itself(shard: Shard) -> None:
    async def act(helds: list[Held]) -> Answers:
        due = shard.now_ms + 1
        return await shard.runs.record_waits(
            "L1", [WaitWrite(held.run, held.epoch, 0, "nap", "w", b"", due, b"") for held in helds]
        )

    await check_items_are_answered_apart(shard, act)


@pytest.mark.parametrize("kind", ["w", "r"])
@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_wait_is_a_pending_memo_and_one_timer(shard: Shard, delivery: str, kind: str) -> None:
    held = await shard.claimed()
    before = await shard.stored()
    answers = await shard.deliver(delivery, lambda: wait(shard, held, kind=kind, blob=b"\x00 b"))
    after = await shard.stored()
    assert answers.items == [Recorded(0, 0, [])]
    assert before.changed(after) == {"run", "steps", "history", "timers", "timer_bell"}
    assert after.of("timers") == {f"{kind} {held.run} nap": shard.now_ms + 1000}
    assert after.of("steps", held.run) == {"nap": f"0 {shard.now_ms} {kind} \x00 b"}
    was = before.of("run", held.run)
    assert after.of("run", held.run) == was | {"t": "1", "m": str(int(was["m"]) + len(b"\x00 b"))}
    assert after.of("history", held.run) == [f"{shard.now_ms} {kind} nap note"]


async def test_only_a_new_earliest_timer_rings_the_schedulers(shard: Shard) -> None:
    held = await shard.claimed()
    await wait(shard, held, "first", due_in_ms=1000)
    before = await shard.stored()
    await wait(shard, held, "later", due_in_ms=2000)
    assert "timer_bell" not in before.changed(await shard.stored())
    await wait(shard, held, "sooner", due_in_ms=500)
    assert "timer_bell" in before.changed(await shard.stored())


async def test_a_result_that_is_there_stays_and_comes_back(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "nap", "d", b"v", b"")])
    before = await shard.stored()
    (answer,) = (await wait(shard, held, kind="r", seen=1)).items
    assert answer == Recorded(1, 0, [("nap", Memo(1, shard.now_ms, MemoKind.DATA, b"v"))])
    assert before.changed(await shard.stored()) == set()


async def test_a_later_attempt_s_delay_replaces_the_one_that_ended(shard: Shard) -> None:
    held = await shard.claimed()
    before = await shard.stored()
    await wait(shard, held, "k", kind="r", blob=b"the first attempt", due_in_ms=10)
    shard.advance(10)
    await shard.runs.fire_waits("L1", [FireWrite(held.run, held.epoch, 0, "k")])
    await wait(shard, held, "k", kind="r", blob=b"attempt 2", due_in_ms=20, seen=1)
    after = await shard.stored()
    assert after.of("steps", held.run)["k"] == f"0 {shard.now_ms} r attempt 2"
    assert after.of("timers") == {f"r {held.run} k": shard.now_ms + 20}
    assert int(after.of("run", held.run)["m"]) == int(before.of("run", held.run)["m"]) + len(b"attempt 2")


async def test_a_late_copy_of_an_earlier_attempt_s_delay_changes_nothing(shard: Shard) -> None:
    held = await shard.claimed()
    first = WaitWrite(held.run, held.epoch, 0, "k", "r", b"attempt 1", shard.now_ms + 10, b"")
    await shard.runs.record_waits("L1", [first])
    shard.advance(10)
    await shard.timers.fire_timers()
    await shard.runs.record_waits("L1", [first])  # between the two attempts
    assert (await shard.stored()).of("timers") == {}
    await wait(shard, held, "k", kind="r", blob=b"attempt 2", due_in_ms=1000, seen=1)
    before = await shard.stored()
    await shard.runs.record_waits("L1", [first])
    changed = before.changed(await shard.stored())
    assert changed <= {"run", "news"}, "what was news to the late copy's holder is passed over"
    assert (await shard.stored()).of("timers") == {f"r {held.run} k": shard.now_ms + 1000}


async def test_a_holder_that_has_seen_more_than_there_is_is_stale(shard: Shard) -> None:
    held = await shard.claimed()
    assert (await wait(shard, held, seen=3)).items == [STALE]


async def test_a_wait_forgives_the_deaths_before_it(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    await wait(shard, Held("L1", run, mine.epoch))
    after = await shard.stored()
    assert "x" not in after.of("run", run)
    assert "alone" not in after.of("lease", "L1")


async def test_history_keeps_a_thousand_entries(shard: Shard) -> None:
    held = await shard.claimed()
    due = shard.now_ms + 1000
    for start in range(0, 1010, 101):
        waits = [WaitWrite(held.run, held.epoch, 0, f"k{start + i}", "w", b"", due, b"") for i in range(101)]
        await shard.runs.record_waits("L1", waits)
    history = (await shard.stored()).of("history", held.run)
    assert len(history) == 1000
    assert history[-1].split(" ")[2] == "k1009"
