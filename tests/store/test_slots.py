"""Concurrency: a pool never has more runs than its number, and nothing that is parked is forgotten (decision 013)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from durableq.store.runs import RetryWrite
from tests.servers import on
from tests.store.gates import deploy, finish, fire, held_by, states, triggered
from tests.store.shard import DELIVERIES, Held, Shard


def ids(helds: list[Held]) -> list[str]:
    return [held.run for held in helds]


async def test_a_claim_takes_no_more_than_the_limit_lets_and_the_oldest_first(shard: Shard) -> None:
    await deploy(shard, f=" 0=2 ")
    runs = await triggered(shard, *["c0=p"] * 5)
    await shard.lease()
    held = await held_by(shard)
    assert ids(held) == runs[:2]
    assert await held_by(shard) == []
    await finish(shard, held[1])
    assert ids(await held_by(shard)) == [runs[2]]


async def test_blocked_keys_hold_up_nobody(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, *["c0=k1"] * 30, "c0=k2", "c0=k3")
    await shard.lease()
    assert sorted(ids(await held_by(shard))) == sorted([runs[0], *runs[30:]])


async def end_by_suspending(shard: Shard, held: Held) -> Any:
    return await shard.suspend(held, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 60_000)


async def end_by_retrying(shard: Shard, held: Held) -> Any:
    due = shard.now_ms + 60_000
    return await shard.runs.retry_runs(held.lease, [RetryWrite(held.run, held.epoch, 1, due, b"")])


ENDS = {
    "finish": finish,
    "suspend": end_by_suspending,
    "retry": end_by_retrying,
    "crash": lambda shard, held: shard.crash(held.lease),
}


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("end", list(ENDS))
async def test_a_slot_returns_with_the_end_of_the_turn_once(shard: Shard, end: str, delivery: str) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, *["c0=p"] * 3)
    await shard.lease()
    (held,) = await held_by(shard)
    await shard.deliver(delivery, lambda: ENDS[end](shard, held))
    await shard.lease("L2")
    (following,) = await held_by(shard, "L2")
    assert following.run == (runs[0] if end == "crash" else runs[1])
    assert await held_by(shard, "L2") == []


async def test_a_released_run_is_first_of_its_lane_again(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, *["c0=p"] * 3)
    await shard.lease()
    (held,) = await held_by(shard)
    await shard.release(held)
    assert ids(await held_by(shard)) == runs[:1]


async def test_a_stranger_gives_its_slot_back(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, "c0=p", "c0=p")
    await shard.lease()
    await held_by(shard)
    released, _ = await shard.runs.release_strangers("L1", shard.number("L1"), [])
    assert released == runs[:1]
    assert ids(await held_by(shard)) == runs[:1]


async def test_a_woken_run_goes_before_younger_ones_of_its_key(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, *["c0=p"] * 3)
    await shard.lease()
    (first,) = await held_by(shard)
    await shard.suspend(first, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 10)
    (second,) = await held_by(shard)
    shard.advance(10)
    await fire(shard)
    await finish(shard, second)
    assert ids(await held_by(shard)) == runs[:1]


async def test_two_limits_hold_together(shard: Shard) -> None:
    await deploy(shard, f=" 0=3 1=1 ")
    gates = [f"c0=all c1=k{i % 4}" for i in range(12)]
    runs = await triggered(shard, *gates)
    await shard.lease()
    order: list[str] = []
    for _ in range(30):
        held = await held_by(shard)
        order += ids(held)
        stored = await shard.stored()
        assert len(stored.of("slots", "all")) <= 3
        mine = [held.run for held in held]
        for one in held:
            await finish(shard, one)
        if not mine:
            break
    assert sorted(order) == sorted(runs)
    for key in range(4):
        of_key = [run for i, run in enumerate(runs) if i % 4 == key]
        assert [run for run in order if run in of_key] == of_key, "within a key the oldest first"


async def test_a_lane_that_parks_elsewhere_passes_on(shard: Shard) -> None:
    """78: opened by the wide pool, its narrow one has filled through another function."""
    await deploy(shard, f=" 0=1 1=1 ", g=" 0=1 ")
    await shard.lease("L1", "a/f", "a/g")
    (blocker,) = await triggered(shard, "c0=w c1=+n:x")
    (held,) = await held_by(shard)
    assert held.run == blocker
    runs = await triggered(shard, "c0=w c1=+n:y", "c0=w c1=+n:z")
    assert await held_by(shard) == []
    (other,) = await triggered(shard, "c0=+n:y", function="a/g")
    assert ids(await held_by(shard)) == [other]
    await finish(shard, held)
    assert ids(await held_by(shard)) == [runs[1]]


async def test_a_function_that_nobody_executes_takes_no_other_functions_turn(shard: Shard) -> None:
    """80: a freed slot of a shared pool opens a lane of each function."""
    await deploy(shard, f=" 0=1 ", g=" 0=1 ")
    await shard.lease("LG", "a/g")
    await shard.lease("LF", "a/f")
    (first,) = await triggered(shard, "c0=+n:x", function="a/g")
    (held,) = await held_by(shard, "LG")
    await triggered(shard, "c0=+n:x", function="a/g")
    (mine,) = await triggered(shard, "c0=+n:x")
    assert await held_by(shard, "LG") == [] == await held_by(shard, "LF")
    await finish(shard, held)
    assert held.run == first
    assert ids(await held_by(shard, "LF")) == [mine]


async def test_an_empty_lane_that_was_opened_passes_on(shard: Shard) -> None:
    """77: the run that a freed slot was for is cancelled before the claim."""
    await deploy(shard, f=" 0=1 1=1 ")
    runs = await triggered(shard, "c0=w c1=k1", "c0=w c1=k2", "c0=w c1=k3")
    await shard.lease()
    (held,) = await held_by(shard)
    await finish(shard, held)
    await shard.cancels.cancel_runs([runs[1]], "by the test")
    assert ids(await held_by(shard)) in ([runs[2]], [])
    assert (await states(shard, runs))[2] == "r"


async def test_a_body_that_was_cancelled_keeps_its_slot_until_it_ends(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, "c0=p", "c0=p")
    await shard.lease()
    await held_by(shard)
    await shard.cancels.cancel_runs([runs[0]], "by the test")
    assert await held_by(shard) == []
    assert await shard.flow.free_slots("L1", [runs[0]]) == 1
    assert await shard.flow.free_slots("L1", [runs[0]]) == 0
    assert ids(await held_by(shard)) == [runs[1]]


async def test_a_comparison_of_hands_frees_what_the_child_does_not_name(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, "c0=p", "c0=p")
    await shard.lease()
    await held_by(shard)
    await shard.cancels.cancel_runs([runs[0]], "by the test")
    await shard.runs.release_strangers("L1", shard.number("L1"), [runs[0]])
    assert await held_by(shard) == [], "its body goes on"
    await shard.runs.release_strangers("L1", shard.number("L1"), [])
    assert ids(await held_by(shard)) == [runs[1]]


async def test_slots_of_cancelled_bodies_return_with_their_lease(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, "c0=p", "c0=p")
    await shard.lease()
    await held_by(shard)
    await shard.cancels.cancel_runs([runs[0]], "by the test")
    await shard.crash("L1")
    await shard.lease("L2")
    assert ids(await held_by(shard, "L2")) == [runs[1]]


async def test_a_slot_for_the_run_is_kept_through_suspensions_and_deaths(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, "r0=p", "r0=p")
    await shard.lease()
    (held,) = await held_by(shard)
    await shard.suspend(held, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 10)
    assert await held_by(shard) == []
    shard.advance(10)
    await fire(shard)
    (again,) = await held_by(shard)
    assert again.run == runs[0]
    await shard.crash("L1")
    await shard.lease("L2")
    (third,) = await held_by(shard, "L2")
    assert third.run == runs[0]
    await finish(shard, third)
    assert ids(await held_by(shard, "L2")) == [runs[1]]


async def test_a_cancelled_waiting_run_gives_the_slot_of_the_run_back(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, "r0=p", "r0=p")
    await shard.lease()
    (held,) = await held_by(shard)
    await shard.suspend(held, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 10)
    await shard.cancels.cancel_runs([held.run], "by the test")
    assert ids(await held_by(shard)) == [runs[1]]
    await shard.cancels.sweep_ended()


async def test_a_raised_limit_opens_what_is_parked(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, *[f"c0=p{i % 2}" for i in range(10)])
    await shard.lease()
    assert len(await held_by(shard)) == 2
    await deploy(shard, f=" 0=3 ")
    assert await fire(shard) >= 1
    assert len(await held_by(shard)) == 4
    await deploy(shard)  # removed
    await fire(shard)
    assert len(await held_by(shard)) == 4
    assert await states(shard, runs) == "r" * 10


async def test_a_limit_is_found_by_its_own_ordinal_and_one_that_is_not_declared_any_more_by_its_kind(
    shard: Shard,
) -> None:
    """151, 152: what is queued keeps its gates, whatever limits come and go."""
    await deploy(shard, f=" 2000001=1 2=1 ")
    await triggered(shard, *["c2000001=p"] * 3, *["c2000007=q"] * 3, *["c4000001=o"] * 3)
    await shard.lease()
    assert len(await held_by(shard)) == 1 + 1 + 3, "of the kind 4 none is declared"
    await deploy(shard, f=" 0=9 2000001=1 2000002=2 2=2 ")
    await fire(shard)
    assert len(await held_by(shard)) == 1, "the one with a key that has changed obeys the larger"
    await deploy(shard, f=" 0=9 ")
    await fire(shard)
    assert len(await held_by(shard)) == 2 + 1


async def test_a_lowered_limit_interrupts_nobody_and_lets_nobody_in(shard: Shard) -> None:
    await deploy(shard, f=" 0=3 ")
    await triggered(shard, *["c0=p"] * 8)
    await shard.lease()
    held = await held_by(shard)
    await deploy(shard, f=" 0=1 ")
    await fire(shard)
    for one in held[:2]:
        await finish(shard, one)
        assert await held_by(shard) == []
    await finish(shard, held[2])
    assert len(await held_by(shard)) == 1


async def test_tenants_take_turns_whatever_the_backlog_of_one(shard: Shard) -> None:
    await deploy(shard, f=" 0=10 ")
    await triggered(shard, *["c0=A"] * 60)
    await shard.lease()
    first = await held_by(shard, room=2)
    (other,) = await triggered(shard, "c0=B")
    await finish(shard, first[0])
    assert other in ids(await held_by(shard, room=2))


async def test_priority_goes_first_in_its_lane(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    runs = await triggered(shard, "c0=p p=0", "c0=p p=1000", "c0=p p=600000")
    await shard.lease()
    order = []
    for _ in runs:
        (held,) = await held_by(shard)
        order.append(held.run)
        await finish(shard, held)
    assert order == [runs[2], runs[1], runs[0]]


async def test_a_suspect_waits_for_its_slot_too(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    suspect, other = await triggered(shard, "c0=p", "c0=p")
    for death in ("X1", "X2"):
        await shard.lease(death)
        assert ids(await held_by(shard, death, 1)) == [suspect]
        await shard.crash(death)
    await shard.lease("L1")
    (held,) = await held_by(shard)
    assert held.run == other
    await shard.lease("LA")
    assert (await shard.claim("LA", alone=True)).runs == []
    await finish(shard, held)
    (alone,) = (await shard.claim("LA", alone=True)).runs
    assert alone.id == suspect
    assert (await shard.stored()).of("slots", "p") == {suspect}


async def test_a_claim_whose_reply_was_lost_takes_no_second_slot(shard: Shard) -> None:
    await deploy(shard, f=" 0=2 ")
    await triggered(shard, *["c0=p"] * 4)
    await shard.lease()
    number = shard.number("L1")
    one = await shard.runs.claim_runs("L1", number, 10, False, 0, ["a"])
    again = await shard.runs.claim_runs("L1", number, 10, False, 0, ["a"])
    assert {run.id for run in one.runs} == {run.id for run in again.runs}
    assert len((await shard.stored()).of("slots", "p")) == 2


async def test_ten_thousand_blocked_lanes_cost_a_claim_nothing(shard: Shard) -> None:
    """Visits are bounded, and a blocked lane is looked at once."""
    await deploy(shard, f=" 0=1 1=1 ")
    runs = await triggered(shard, *[f"c0=w c1=k{i}" for i in range(90)])
    await shard.lease()
    (held,) = await held_by(shard)
    while len((await shard.stored()).of("lanes", "a/f")) > 0:
        assert await held_by(shard) == []
    for _ in range(len(runs) - 1):
        await finish(shard, held)
        assert len((await shard.stored()).of("lanes", "a/f")) == 1
        (held,) = await held_by(shard)


SHARED = 50


async def sharing(shard: Shard, count: int, *, limit: int = 1, runs: int = 1, alive: int | None = None) -> list[str]:
    """Functions that share a pool, each with queued runs; a lease has those that are alive. Returns their ids."""
    names = [f"f{number:02}" for number in range(count)]
    await shard.registry.register_app("a", "shared", dict.fromkeys(names, b""), dict.fromkeys(names, f" 0={limit} "))
    functions = [f"a/{name}" for name in names]
    await shard.lease("L1", *functions[:alive])
    for function in functions:
        await triggered(shard, *["c0=+n:x"] * runs, function=function)
    return functions


async def opened(shard: Shard, functions: Sequence[str]) -> int:
    return sum(await asyncio.gather(*(shard.command("ZCARD", shard.key("lanes", function)) for function in functions)))


async def test_a_freed_slot_of_a_shared_pool_opens_a_few_functions_however_many_wait(shard: Shard) -> None:
    functions = await sharing(shard, SHARED)
    places = {run: int(v["j"].partition(" ")[0]) for run, v in (await shard.stored()).family("run")}
    order: list[str] = []
    while len(order) < SHARED:
        mine = (await shard.claim("L1", 1)).runs
        while not mine:
            assert await opened(shard, functions) or await fire(shard), "something is parked, and nothing will open it"
            mine = (await shard.claim("L1", 1)).runs
        # Until it was claimed, others were looked at, and parked.
        while await opened(shard, functions):
            assert (await shard.claim("L1", 10)).runs == []
        order.append(mine[0].id)
        await finish(shard, Held("L1", mine[0].id, mine[0].epoch))
        assert await opened(shard, functions) <= 2
    assert sorted(order) == sorted(places)
    passed_over = [sum(places[other] > places[run] for other in order[: order.index(run)]) for run in order]
    assert max(passed_over) <= 1, "the oldest first, but for those that are opened together"


async def test_who_is_opened_and_finds_the_slot_taken_keeps_its_turn(shard: Shard) -> None:
    """At a shared pool that is not the narrowest lanes take turns; the second of two that are opened is next."""
    names = {"f": " 0=1 1=9 ", "g": " 0=1 1=9 ", "h": " 0=1 1=9 "}
    await shard.registry.register_app("a", "r", dict.fromkeys(names, b""), names)
    functions = [f"a/{name}" for name in names]
    await shard.lease("L1", *functions)
    for function in functions:
        await triggered(shard, *["c0=+n:x c1=k"] * 4, function=function)
    order = []
    for _ in range(9):
        mine = (await shard.claim("L1", 1)).runs
        while await opened(shard, functions):
            assert not (await shard.claim("L1", 10)).runs
        order.append(mine[0].function)
        shard.advance(1)
        await finish(shard, Held("L1", mine[0].id, mine[0].epoch))
    assert all(sorted(order[turn : turn + 3]) == functions for turn in (0, 3, 6)), order


async def test_of_many_functions_those_that_nobody_executes_take_a_tenth_of_a_second_once(shard: Shard) -> None:
    """80, with more of them than a freed slot opens."""
    count = 20
    (first,) = await sharing(shard, 1)
    (held,) = await held_by(shard)
    for number in range(1, count):
        await triggered(shard, "c0=+n:x", function=f"a/f{number:02}")
    await triggered(shard, *["c0=+n:x"] * 5, function=first)  # behind all others
    functions = [f"a/f{number:02}" for number in range(count)]
    numbers = {function.removeprefix("a/"): " 0=1 " for function in functions}
    await shard.registry.register_app("a", "more", dict.fromkeys(numbers, b""), numbers)
    await shard.lease("others", *functions[1:])
    while await fire(shard):  # new numbers open what is parked
        pass
    while await opened(shard, functions):
        assert await held_by(shard, "others", 50) == await held_by(shard) == []
    await shard.crash("others")
    await finish(shard, held)
    waited_ms = 0
    for turn in range(5):
        mine = await held_by(shard)
        assert bool(mine) == (turn > 0)
        while not mine:
            shard.advance(10)
            waited_ms += 10
            await fire(shard)
            mine = await held_by(shard)
        await finish(shard, *mine)
    assert 100 <= waited_ms <= 110, "then they are open, and nobody waits for them any more"


async def test_functions_that_share_a_pool_wait_each_for_its_own_number(shard: Shard) -> None:
    """What is freed may be room for one that was not among the first to be opened."""
    names = {f"f{number}": " 0=1 " for number in range(5)} | {"f5": " 0=3 "}
    await shard.registry.register_app("a", "r", dict.fromkeys(names, b""), names)
    await shard.lease("L1", *(f"a/{name}" for name in names))
    while await fire(shard):  # of new numbers
        pass
    await triggered(shard, *["c0=+n:x"] * 3, function="a/f5")
    held = await held_by(shard)
    assert len(held) == 3
    for number in range(5):
        await triggered(shard, "c0=+n:x", function=f"a/f{number}")
    (last,) = await triggered(shard, "c0=+n:x", function="a/f5")
    while await opened(shard, [f"a/{name}" for name in names]):
        assert await held_by(shard) == []
    await finish(shard, held[0])
    mine: list[Held] = []
    for _ in range(30):
        mine += await held_by(shard)
        shard.advance(10)
        await fire(shard)
        assert await opened(shard, [f"a/{name}" for name in names]) <= 1, "what has no room is not even opened"
    assert ids(mine) == [last], "two have slots: room for one more of three, and for none of one"


BLOCKED = 10_000


@on("redis7", "valkey")
async def test_a_raised_limit_walks_through_ten_thousand_blocked_pools_in_calls_that_are_bounded(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    await shard.lease()
    pools = [f"a/f:k{number}" for number in range(BLOCKED)]
    for start in range(0, BLOCKED, 50):
        await triggered(shard, *[f"c0={pool}" for pool in pools[start : start + 50] for _ in range(2)])
        held = await held_by(shard, room=100)
        assert len(held) == 50
        while await shard.command("EXISTS", shard.key("lanes", "a/f")):
            assert await held_by(shard, room=50) == []
    assert await shard.command("SCARD", shard.key("blocked", "a/f")) == BLOCKED
    await deploy(shard, f=" 0=2 ")
    calls, most, before = 0, 0, 0
    while (await shard.timers.fire_timers()).fired:
        calls += 1
        now_open = await shard.command("ZCARD", shard.key("lanes", "a/f"))
        most, before = max(most, now_open - before), now_open
    assert before == BLOCKED, "nothing was passed over"
    assert most <= 200, "a call walks through a hundred or so"
    assert calls >= BLOCKED // 200


async def test_a_lane_that_parks_behind_one_that_was_emptied_shares_its_pool(shard: Shard) -> None:
    """One claim visits both: it had seen that nothing of the function was parked."""
    await deploy(shard, f=" 0=1 ", g=" 0=1 ")
    await shard.lease("L1", "a/f", "a/g")
    (first,) = await triggered(shard, "c0=+n:x", function="a/g")
    (held,) = await held_by(shard)
    assert held.run == first
    runs = await triggered(shard, "c0=+n:a", "c0=+n:x")
    assert ids(await held_by(shard)) == runs[:1]
    assert list((await shard.stored()).of("sharers", "+n:x")) == ["a/f"]
    await finish(shard, held)
    assert ids(await held_by(shard)) == runs[1:]


async def test_a_function_whose_limit_was_removed_takes_none_of_the_slots_of_others_that_share_the_pool(
    shard: Shard,
) -> None:
    """One claim visits both: it takes of the first without having counted, and counts for the second."""
    await deploy(shard, f=" 0=1 ", g=" 0=1 ")
    await shard.lease("L1", "a/f", "a/g")
    await triggered(shard, "c0=+n:x", function="a/g")
    assert len(await held_by(shard)) == 1
    (free,) = await triggered(shard, "c0=+n:x")
    (limited,) = await triggered(shard, "c0=+n:x", function="a/g")
    await deploy(shard, f="", g=" 0=2 ")
    await fire(shard)
    assert ids(await held_by(shard)) == [free]
    assert await states(shard, [limited]) == "q", "two have slots"
