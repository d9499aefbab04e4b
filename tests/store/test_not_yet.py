"""A wait for an event does not time out while an event that was accepted in its time may still answer it."""

from __future__ import annotations

import pytest

from durableq.store.records import NotYet
from durableq.store.runs import FireWrite
from tests.store.awaiting import accept, asleep, awaiting, begin, deliver, happened, route
from tests.store.shard import Held, Shard


async def state(shard: Shard, held: Held) -> str:
    return str((await shard.stored()).of("run", held.run)["s"])


async def kind(shard: Shard, held: Held) -> str:
    return str((await shard.stored()).of("steps", held.run)["wait"].split()[2])


@pytest.mark.parametrize("routed", [False, True], ids=["to be routed", "to be delivered"])
async def test_what_was_accepted_in_time_is_waited_for(shard: Shard, routed: bool) -> None:
    held = await asleep(shard)
    entry = await accept(shard)
    if routed:
        await route(shard, [entry])
    shard.advance(60_001)
    await shard.timers.fire_timers()
    assert await state(shard, held) == "w"
    if not routed:
        await route(shard, [entry])
    assert await deliver(shard) == 1
    assert (await state(shard, held), await kind(shard, held)) == ("q", "m")


async def test_an_event_of_another_name_that_is_routed_holds_nothing_up(shard: Shard) -> None:
    held = await asleep(shard)
    entry = await accept(shard)
    shard.advance(60_001)
    await shard.timers.fire_timers()
    await route(shard, [entry], name="other/name")
    shard.advance(100)
    await shard.timers.fire_timers()
    assert (await state(shard, held), await kind(shard, held)) == ("q", "z")


async def test_a_post_of_another_name_holds_nothing_up(shard: Shard) -> None:
    await asleep(shard)
    await happened(shard)
    other = await shard.claimed("L2")
    await begin(shard, other, event_name="other/name")
    shard.advance(60_001)
    (answer,) = (await shard.runs.fire_waits("L2", [FireWrite(other.run, other.epoch, 0, "wait")])).items
    assert (answer.number, await kind(shard, other)) == (1, "z")


async def test_the_longer_it_is_overdue_the_later_it_is_looked_at_again(shard: Shard) -> None:
    held = await asleep(shard)
    await accept(shard)
    due = shard.now_ms + 60_000
    shard.advance(60_000)
    for after in (100, 200, 400, 800, 1600, 3200, 6400, 11_400):
        await shard.timers.fire_timers()
        (score,) = (await shard.stored()).of("timers").values()
        assert score == due + after
        shard.advance(score - shard.now_ms)
    assert await state(shard, held) == "w"


async def test_the_holders_clock_is_told_to_wait_as_well(shard: Shard) -> None:
    held = await awaiting(shard)
    entry = await accept(shard)
    shard.advance(60_001)
    fire = FireWrite(held.run, held.epoch, 0, "wait")
    (answer,) = (await shard.runs.fire_waits(held.lease, [fire])).items
    assert isinstance(answer, NotYet)
    assert answer.remaining_ms == 100
    await route(shard, [entry], buckets=())
    (answer,) = (await shard.runs.fire_waits(held.lease, [fire])).items
    assert (answer.number, await kind(shard, held)) == (1, "z")


async def test_with_the_memory_gate_closed_a_wait_is_held_for_ten_minutes(shard: Shard) -> None:
    held = await asleep(shard)
    await accept(shard)
    shard.advance(60_000 + 600_000)
    await shard.upkeep.set_gate(1.0, prunable=False)
    await shard.timers.fire_timers()
    assert await state(shard, held) == "w"
    shard.advance(5000)
    await shard.timers.fire_timers()
    assert (await state(shard, held), await kind(shard, held)) == ("q", "z")
