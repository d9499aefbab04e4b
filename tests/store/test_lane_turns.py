"""Keys of a narrow limit take turns at a wide one, whatever the backlog of one of them; and what a priority changes of that."""

from __future__ import annotations

from tests.store.gates import deploy, finish, fire, held_by, triggered
from tests.store.shard import Held, Shard


async def test_tenants_take_turns_at_a_limit_for_all(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 2=5 ")
    many = await triggered(shard, *["c0=a/f: c2=a/f:k:A"] * 4)
    (one,) = await triggered(shard, "c0=a/f: c2=a/f:k:B")
    (other,) = await triggered(shard, "c0=a/f: c2=a/f:k:C")
    await shard.lease()
    order = []
    for _ in range(6):
        (run,) = await held_by(shard)
        order.append(run.run)
        shard.advance(1)
        await finish(shard, run)
    assert order[0] == many[0]
    assert {one, other} <= set(order[1:4]), order
    assert [run for run in order if run in many] == many


async def test_a_priority_brings_a_parked_key_forward_among_those_that_wait_for_a_throttle(shard: Shard) -> None:
    await deploy(shard, f=" 2=1 t=1/1000/1 ")
    keys = [f"p=0 t=a/f:t: c2=a/f:k:{key}" for key in "ABC"]
    runs = await triggered(shard, *(gates for gates in keys for _ in range(2)))
    await shard.lease()
    order = [held.run for held in await held_by(shard)]
    (urgent,) = await triggered(shard, "p=600000 t=a/f:t: c2=a/f:k:C")
    await finish(shard, Held("L1", runs[0], 1))
    while len(order) < 7:
        shard.advance(1000)
        await fire(shard)
        for held in await held_by(shard):
            order.append(held.run)
            await finish(shard, held)
    assert order[:2] == [runs[0], urgent]
    assert sorted(order) == sorted([*runs, urgent])
