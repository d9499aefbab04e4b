"""Throttle: starts are spaced, in the order of creation; nothing is lost, nothing reserved (decision 013)."""

from __future__ import annotations

import itertools

from tests.store.gates import deploy, finish, fire, held_by, states, triggered
from tests.store.shard import Shard


async def starts(shard: Shard, until_ms: int, step_ms: int = 1) -> list[tuple[int, str]]:
    """When which run was claimed, by a worker and a scheduler that look every ms."""
    found, begun_at = [], shard.now_ms
    while shard.now_ms - begun_at <= until_ms:
        await fire(shard)
        for held in await held_by(shard, "L1"):
            found.append((shard.now_ms - begun_at, held.run))
            await finish(shard, held)
        shard.advance(step_ms)
    return found


async def test_starts_are_evenly_spaced_and_the_oldest_is_first(shard: Shard) -> None:
    await deploy(shard, f=" t=10/1000/1 ")
    await shard.lease()
    runs = await triggered(shard, *["t=a/f:t"] * 5)
    found = await starts(shard, 500, 5)
    assert [run for _, run in found] == runs
    times = [at for at, _ in found]
    assert all(95 <= later - earlier <= 105 for earlier, later in itertools.pairwise(times)), times


async def test_a_burst_starts_at_once_and_the_rest_is_spaced(shard: Shard) -> None:
    await deploy(shard, f=" t=10/1000/3 ")
    await shard.lease()
    await triggered(shard, *["t=a/f:t"] * 5)
    times = [at for at, _ in await starts(shard, 300, 5)]
    assert times[:3] == [0, 0, 0]
    assert len(times) == 5
    assert 95 <= times[3] <= 105
    assert 195 <= times[4] <= 205


async def test_what_waits_is_first_in_first_out_over_all_lanes(shard: Shard) -> None:
    await deploy(shard, f=" 0=9 t=10/1000/1 ")
    await shard.lease()
    runs = await triggered(shard, *[f"t=a/f:t c0=k{i % 3}" for i in range(7)])
    assert [run for _, run in await starts(shard, 900, 10)] == runs


async def test_a_cancelled_run_costs_no_turn(shard: Shard) -> None:
    await deploy(shard, f=" t=10/1000/1 ")
    await shard.lease()
    runs = await triggered(shard, *["t=a/f:t"] * 4)
    (held,) = await held_by(shard)
    await finish(shard, held)
    await shard.cancels.cancel_runs(runs[1:3], "by the test")
    found = await starts(shard, 120, 5)
    assert [run for _, run in found] == [runs[3]]
    assert 95 <= found[0][0] <= 105


async def test_a_run_that_waits_for_a_slot_holds_up_nobody_at_the_throttle(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 t=10/1000/1 ")
    await shard.lease()
    runs = await triggered(shard, "t=a/f:t c0=k1", "t=a/f:t c0=k1", "t=a/f:t c0=k2")
    (held,) = await held_by(shard)
    assert held.run == runs[0]
    shard.advance(100)
    await fire(shard)
    assert [one.run for one in await held_by(shard)] == [runs[2]], "the token was not spent on who has no slot"


async def test_what_has_begun_passes_without_a_turn(shard: Shard) -> None:
    await deploy(shard, f=" t=1/3600000/1 ")
    await shard.lease()
    (run,) = await triggered(shard, "t=a/f:t")
    (held,) = await held_by(shard)
    await shard.suspend(held, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 10)
    shard.advance(10)
    await fire(shard)
    assert [one.run for one in await held_by(shard)] == [run]


async def test_a_quicker_throttle_applies_at_once(shard: Shard) -> None:
    await deploy(shard, f=" t=1/3600000/1 ")
    await shard.lease()
    runs = await triggered(shard, "t=a/f:t", "t=a/f:t")
    assert len(await held_by(shard)) == 1
    await deploy(shard, f=" t=10/1000/1 ")
    await fire(shard)
    assert await held_by(shard) == []
    shard.advance(100)
    await fire(shard)
    assert len(await held_by(shard)) == 1
    assert await states(shard, runs) == "rr"
