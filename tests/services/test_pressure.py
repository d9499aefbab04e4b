"""Keys of limits by pressure: what waits where, who holds the slots, and at what cost that is read."""

from __future__ import annotations

from durableq.services.flow_views import HolderView
from durableq.services.pressure import limits_view
from tests.servers import on
from tests.services.flowing import PER_CUSTOMER, Flowing
from tests.services.flowing import flowing as flowing
from tests.store.gates import fire

pytestmark = on("fake", "redis7")


async def test_keys_stand_by_what_is_parked_for_each_slot_then_by_how_long_the_oldest_waits(flowing: Flowing) -> None:
    wide = {**PER_CUSTOMER, "limit": 5}
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]}, g={"concurrency": [wide]})
    runs = await flowing.send(*[{"customer": 1}] * 4, *[{"customer": 2}] * 2)
    await flowing.send(*[{"customer": 9}] * 11, function="g")
    held = await flowing.claim()
    assert len(held) == 7
    flowing.shard.advance(10)
    view = await limits_view(flowing.shard.calls, ["a/f", "a/g"], 10)
    assert [(key.functions, key.key, key.taken, key.limit, key.parked) for key in view.keys] == [
        (("a/f",), "1", 1, 1, 3),
        (("a/g",), "9", 5, 5, 6),
        (("a/f",), "2", 1, 1, 1),
    ]
    first = view.keys[0]
    assert (first.kind, first.scope, first.hold, first.oldest_run) == ("concurrency", "function", "turn", runs[1])
    assert first.holders == (HolderView(runs[0], flowing.shard.now_ms - 10),)
    assert (view.more, view.unseen, view.parked, view.at_least) == (0, 0, 10, False)
    one = await limits_view(flowing.shard.calls, ["a/f", "a/g"], 1)
    assert (len(one.keys), one.more, one.parked) == (1, 2, 10)


async def test_a_key_of_which_nobody_waits_is_listed_while_somebody_executes(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    (run,) = await flowing.send({"customer": "a b/ü"})
    await flowing.claim()
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert (key.key, key.taken, key.parked, [holder.run for holder in key.holders]) == ("a b/ü", 1, 0, [run])


async def test_a_slot_for_the_whole_run_is_held_while_the_run_waits(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [{**PER_CUSTOMER, "hold": "run"}]})
    runs = await flowing.send({"customer": 1})
    (held,) = await flowing.claim()
    await flowing.shard.suspend(held, key="nap", kind="w", blob=b"", due_at_ms=flowing.shard.now_ms + 1000)
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert (key.hold, key.taken, [holder.run for holder in key.holders]) == ("run", 1, runs[:1])


async def test_a_body_that_was_cancelled_and_has_not_ended_is_marked(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    runs = await flowing.send({"customer": 1}, {"customer": 1})
    await flowing.claim()
    await flowing.shard.cancels.cancel_runs([runs[0]], "by the test")
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert [(holder.run, holder.leaving) for holder in key.holders] == [(runs[0], True)]


async def test_a_limit_that_functions_share_stands_there_once_with_its_sharers(flowing: Flowing) -> None:
    shared = {"limit": 2, "key": "'openai'", "scope": "namespace", "hold": "turn"}
    await flowing.declare(f={"concurrency": [shared]}, g={"concurrency": [{**shared, "limit": 1}]})
    await flowing.send(*[{}] * 4)
    await flowing.claim()
    await flowing.send(*[{}] * 3, function="g")
    assert await flowing.claim() == []
    (key,) = (await limits_view(flowing.shard.calls, ["a/f", "a/g"], 10)).keys
    assert (key.key, key.scope, key.functions) == ("openai", "namespace", ("a/f", "a/g"))
    assert (key.limit, key.taken, key.parked) == (1, 2, 5)
    (of_f,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert (of_f.functions, of_f.parked, of_f.limit) == (("a/f", "a/g"), 2, 2)


async def test_a_throttle_says_when_the_next_one_starts(flowing: Flowing) -> None:
    throttle = {"limit": 10, "period_ms": 10_000, "burst": 2, "key": "event.data.customer"}
    await flowing.declare(f={"throttle": throttle})
    await flowing.send(*[{"customer": 7}] * 5)
    assert len(await flowing.claim()) == 2
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert (key.kind, key.key, key.limit, key.period_ms, key.parked) == ("throttle", "7", 10, 10_000, 3)
    assert key.opens_at_ms == flowing.shard.now_ms + 1000
    flowing.shard.advance(1000)
    await fire(flowing.shard)
    assert len(await flowing.claim()) == 1


async def test_a_rate_limit_says_how_much_of_its_window_is_used_and_when_there_is_room(flowing: Flowing) -> None:
    rate = {"limit": 3, "period_ms": 10_000, "key": "event.data.customer"}
    await flowing.declare(f={"rate_limit": rate})
    await flowing.send({"customer": 7}, {"customer": 7})
    flowing.shard.advance(4000)
    await flowing.send({"customer": 7}, {"customer": 7}, {"customer": 8})
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    begun_ms = flowing.shard.now_ms - 4000
    assert (key.kind, key.key, key.taken, key.limit, key.opens_at_ms) == ("rate_limit", "7", 3, 3, begun_ms + 10_000)
    flowing.shard.advance(6000)
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert (key.taken, key.opens_at_ms) == (1, 0)


async def test_a_rate_limit_without_a_key_is_listed_before_it_has_refused_anything(flowing: Flowing) -> None:
    await flowing.declare(f={"rate_limit": {"limit": 3, "period_ms": 10_000, "key": None}})
    await flowing.send({}, {})
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert (key.key, key.taken, key.opens_at_ms) == (None, 2, 0)


async def test_a_singleton_names_its_holder(flowing: Flowing) -> None:
    await flowing.declare(f={"singleton": {"mode": "cancel", "key": "event.data.customer"}})
    runs = await flowing.send({"customer": 1})
    await flowing.claim()
    await flowing.send({"customer": 1})
    assert await flowing.claim() == []
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert (key.kind, key.key, key.limit, key.parked) == ("singleton", "1", 1, 1)
    assert [holder.run for holder in key.holders] == runs


async def test_a_limit_that_was_removed_is_said_to_bind_nobody(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    await flowing.send({"customer": 1}, {"customer": 1})
    await flowing.claim()
    await flowing.declare(f={})
    (key,) = (await limits_view(flowing.shard.calls, ["a/f"], 10)).keys
    assert (key.limit, key.parked) == (None, 1)
