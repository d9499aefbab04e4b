"""release_runs and release_strangers: runs go back unworked to the place in their queue where they were."""

from __future__ import annotations

import pytest

from durableq.store.failures import LeaseLost
from durableq.store.records import STALE
from durableq.store.runs import Answers, FinishWrite, ReleaseWrite, WaitWrite
from tests.store.guards import check_items_are_answered_apart, check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, Held, Shard


async def release(shard: Shard, held: Held) -> Answers:
    return await shard.runs.release_runs(held.lease, [ReleaseWrite(held.run, held.epoch)])


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, release)


@lease_gone
async def test_a_lease_that_is_gone_is_refused(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, release)


async def test_each_item_is_answered_by_itself(shard: Shard) -> None:
    async def act(helds: list[Held]) -> Answers:
        return await shard.runs.release_runs("L1", [ReleaseWrite(held.run, held.epoch) for held in helds])

    await check_items_are_answered_apart(shard, act)


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_released_run_is_first_in_its_queue_again(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    younger = await shard.queued()
    before = await shard.stored()
    answers = await shard.deliver(delivery, lambda: release(shard, held))
    after = await shard.stored()
    assert answers.items == ([STALE] if delivery == "reply lost" else [None])
    assert before.changed(after) <= {"run", "held", "ready", "work", "bell"}
    was = before.of("run", held.run)
    del was["l"]
    assert after.of("run", held.run) == was | {"s": "q"}
    claimed = [run.id for run in (await shard.claim(room=2)).runs]
    assert sorted(claimed) == sorted([held.run, younger])
    assert after.of("ready", "a/f")[held.run] <= after.of("ready", "a/f")[younger]


async def test_a_released_suspect_is_claimed_alone_again(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    await release(shard, Held("L1", run, mine.epoch))
    after = await shard.stored()
    assert run in after.of("suspects", "a")
    assert after.of("run", run)["x"] == "2"
    assert "alone" not in after.of("lease", "L1")


async def test_news_goes_with_the_turn_and_stays_as_memo(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "n", "w", b"", shard.now_ms, b"")])
    await shard.timers.fire_timers()
    await release(shard, held)
    after = await shard.stored()
    assert ("news", held.run) not in after.items
    assert after.of("steps", held.run) == {"n": f"1 {shard.now_ms} s "}


# Strangers


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_runs_that_the_child_does_not_know_go_back(shard: Shard, delivery: str) -> None:
    known, stranger = await shard.claimed(), await shard.claimed()
    number = shard.number("L1")
    released, lost = await shard.deliver(
        delivery, lambda: shard.runs.release_strangers("L1", number, [known.run, "what redis lost"])
    )
    after = await shard.stored()
    assert released == ([] if delivery == "reply lost" else [stranger.run])
    assert lost == ["what redis lost"]
    assert after.of("held", "L1") == {known.run}
    assert after.of("run", stranger.run)["s"] == "q"
    assert after.of("run", known.run)["s"] == "r"


async def test_a_late_copy_takes_nothing_from_a_claim_that_came_after_it(shard: Shard) -> None:
    await shard.lease()
    number = shard.number("L1")
    await shard.runs.release_strangers("L1", number, [])
    held = await shard.claimed()
    assert await shard.runs.release_strangers("L1", number, []) == ([], [])
    assert (await shard.stored()).of("run", held.run)["s"] == "r"


async def test_a_late_copy_of_a_claim_from_before_takes_nothing(shard: Shard) -> None:
    await shard.lease()
    old = shard.number("L1")
    await shard.runs.claim_runs("L1", old, 5, False, 0, ["a"])
    await shard.runs.release_strangers("L1", shard.number("L1"), [])
    await shard.queued()
    assert (await shard.runs.claim_runs("L1", old, 5, False, 0, ["a"])).runs == []


async def test_a_stranger_that_had_the_child_to_itself_sets_it_free(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    await shard.claim(alone=True)
    assert await shard.runs.release_strangers("L1", shard.number("L1"), []) == ([run], [])
    assert "alone" not in (await shard.stored()).of("lease", "L1")


async def test_at_most_a_hundred_strangers_a_call(shard: Shard) -> None:
    await shard.lease()
    await shard.backlog(130)
    for _ in range(2):
        await shard.claim(room=65)
    assert len((await shard.runs.release_strangers("L1", shard.number("L1"), []))[0]) == 100
    assert len((await shard.runs.release_strangers("L1", shard.number("L1"), []))[0]) == 30


async def test_a_run_that_ended_meanwhile_is_no_stranger(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.runs.finish_runs("L1", [FinishWrite(held.run, held.epoch, "c", b"")], 10, 10)
    assert await shard.runs.release_strangers("L1", shard.number("L1"), [held.run]) == ([], [held.run])


async def test_strangers_of_a_lease_that_is_gone_are_somebody_else_s(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.crash("L1")
    with pytest.raises(LeaseLost):
        await shard.runs.release_strangers("L1", 9, [held.run])
