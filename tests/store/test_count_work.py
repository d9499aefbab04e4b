"""count_work: each place where work can be, counted for the leases that could do it."""

from __future__ import annotations

from durableq.store.runs import FinishWrite
from durableq.store.work import Work, WorkLeft
from tests.store.awaiting import asleep, deliver, happened
from tests.store.shard import Shard

NOTHING = WorkLeft(0, 0, 0, 0)


async def left(shard: Shard, *leases: str) -> WorkLeft:
    before = await shard.stored()
    counted = await Work(shard.calls).left(leases or ("L1",))
    assert before.changed(await shard.stored()) == set(), "it only reads"
    return counted


async def test_a_run_is_counted_in_every_place_on_its_way(shard: Shard) -> None:
    await shard.lease("L1", "a/f")
    assert await left(shard) == NOTHING
    entries = await shard.sent(2)
    assert await left(shard) == WorkLeft(2, 0, 0, 0)
    await shard.route(entries, ["a/f", "a/f"])
    assert await left(shard) == WorkLeft(0, 2, 0, 0)
    first, _ = (await shard.claim("L1")).runs
    assert await left(shard) == WorkLeft(0, 0, 2, 0)
    await shard.runs.finish_runs("L1", [FinishWrite(first.id, first.epoch, "c", b"")], 9, 9)
    assert await left(shard) == WorkLeft(0, 0, 1, 0)


async def test_what_others_could_do_or_do_is_not_counted(shard: Shard) -> None:
    await shard.lease("L1", "a/f", "b/f")
    await shard.claimed("L2", "a/other")
    await shard.queued("a/other")
    assert await left(shard) == NOTHING
    assert await left(shard, "L1", "L2") == WorkLeft(0, 1, 1, 0)


async def test_a_function_that_two_leases_have_is_counted_once(shard: Shard) -> None:
    await shard.lease("L1", "a/f", "b/f")
    await shard.lease("L2", "a/f")
    await shard.queued("a/f")
    await shard.queued("b/f")
    assert await left(shard, "L1", "L2") == WorkLeft(0, 2, 0, 0)


async def test_suspects_are_counted_as_ready(shard: Shard) -> None:
    await shard.lease("L1", "a/f")
    await shard.suspected("a/f")
    await shard.suspected("a/other")
    assert await left(shard) == WorkLeft(0, 1, 0, 0)


async def test_a_sleeper_counts_when_its_time_has_come(shard: Shard) -> None:
    await shard.waiting("L1", due_in_ms=1000)
    assert await left(shard) == NOTHING
    shard.advance(1000)
    assert await left(shard) == WorkLeft(0, 0, 0, 1)


async def test_leases_that_are_gone_and_none_at_all_have_nothing(shard: Shard) -> None:
    await shard.queued("a/f")
    assert await left(shard, "never") == NOTHING
    assert await Work(shard.calls).left([]) == NOTHING


async def test_what_is_still_to_be_delivered_counts_and_what_waits_does_not(shard: Shard) -> None:
    await asleep(shard)
    assert await left(shard) == NOTHING
    await happened(shard)
    assert await left(shard) == WorkLeft(0, 0, 0, 0, 1)
    await deliver(shard)
    assert await left(shard) == WorkLeft(0, 1, 0, 0, 0)
