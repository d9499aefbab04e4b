"""Slots of code that outlives its turn stay with the lease, by names of their own, until that code has ended (decision 013)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from durableq.store.runs import LEAVING, LeaveWrite, left_behind, left_late
from tests.store.gates import deploy, finish, fire, held_by, triggered
from tests.store.shard import DELIVERIES, Held, Shard

POOL = "a/f:x:"


async def by_leaving_slots(shard: Shard, held: Held) -> str:
    await shard.runs.leave_slots("L1", [LeaveWrite(held.run, held.epoch)])
    return left_behind(held.run, "L1")


async def by_leaving_late(shard: Shard, held: Held) -> str:
    due = shard.now_ms + 1000
    await shard.suspend(held, key="wnap", kind="w", blob=b"", due_at_ms=due, last=LEAVING)
    return left_late(held.run, "L1", held.epoch)


WAYS: dict[str, Callable[[Shard, Held], Awaitable[str]]] = {"slots": by_leaving_slots, "late": by_leaving_late}


async def one_of_two(shard: Shard, kind: str = "c0") -> tuple[Held, str]:
    """A run in hand that has the only slot, and the run that waits for it."""
    await deploy(shard, f=" 0=1 1=1 ")
    _, other = await triggered(shard, *[f"{kind}={POOL}"] * 2)
    await shard.lease()
    await shard.lease("L2")
    (held,) = await held_by(shard)
    return held, other


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("way", WAYS)
async def test_nobody_has_the_slot_before_the_code_has_ended(shard: Shard, way: str, delivery: str) -> None:
    held, other = await one_of_two(shard)
    name = await WAYS[way](shard, held)
    if way == "slots":
        await finish(shard, held)
    assert await held_by(shard, "L2") == []
    await shard.deliver(delivery, lambda: shard.flow.free_slots("L1", [name]))
    assert [one.run for one in await held_by(shard, "L2")] == [other]
    assert not (await shard.stored()).of("leaving", "L1")


@pytest.mark.parametrize("way", WAYS)
async def test_a_comparison_that_was_on_its_way_takes_nothing_from_code_of_a_run_in_hand(
    shard: Shard, way: str
) -> None:
    """Names come to be on the connection of writes, comparisons travel on that of claims: they know the run alone."""
    held, _ = await one_of_two(shard)
    name = await WAYS[way](shard, held)
    await shard.runs.release_strangers("L1", shard.number("L1"), [held.run])
    assert name in (await shard.stored()).of("slots", POOL)
    assert await held_by(shard, "L2") == []
    await shard.runs.release_strangers("L1", shard.number("L1"), [])
    assert name not in (await shard.stored()).of("slots", POOL)


@pytest.mark.parametrize("kind", ["c0", "r1"])
@pytest.mark.parametrize("way", WAYS)
async def test_it_returns_with_the_lease(shard: Shard, way: str, kind: str) -> None:
    held, other = await one_of_two(shard, kind)
    await WAYS[way](shard, held)
    await shard.crash("L1")
    shard.advance(1000)
    await fire(shard)
    (again,) = await held_by(shard, "L2")
    assert again.run == held.run, "the oldest of its key"
    assert await held_by(shard, "L2") == []
    await finish(shard, again)
    assert [one.run for one in await held_by(shard, "L2")] == [other]
