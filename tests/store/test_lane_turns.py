"""Keys of a narrow limit take turns at a wide one, whatever the backlog of one of them."""

from __future__ import annotations

from tests.store.gates import deploy, finish, held_by, triggered
from tests.store.shard import Shard


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
