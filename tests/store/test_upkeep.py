"""prune_runs, sweep_ended, set_gate: history keeps its bounds, and new work stops before memory does."""

from __future__ import annotations

import pytest

from durableq.store.events import Decision, NewEvent
from durableq.store.runs import FinishWrite, WaitWrite
from durableq.store.upkeep import Memory
from durableq.words.errors import QueueFull
from tests.store.shard import DELIVERIES, Shard

FOR_EVER_MS = 10**15


async def prune(
    shard: Shard,
    *,
    completed_ms: int = FOR_EVER_MS,
    failed_ms: int = FOR_EVER_MS,
    bytes_max: int = 10**15,
    events_ms: int = FOR_EVER_MS,
    limit: int = 100,
) -> tuple[int, bool]:
    done = await shard.upkeep.prune_runs(
        completed_ms=completed_ms, failed_ms=failed_ms, bytes_max=bytes_max, events_ms=events_ms, limit=limit
    )
    return done.deleted, done.more


# Age


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("state", ["c", "f"])
async def test_a_run_goes_with_all_its_keys_when_its_time_is_over(shard: Shard, delivery: str, state: str) -> None:
    held = await shard.finished(state)
    ages = {"completed_ms": 1000} if state == "c" else {"failed_ms": 1000}
    shard.advance(999)
    assert await prune(shard, **ages) == (0, False)
    shard.advance(1)
    before = await shard.stored()
    await shard.deliver(delivery, lambda: prune(shard, **ages))
    after = await shard.stored()
    assert before.changed(after) == {"run", "input", "output", "done", "kept", "meta"}
    assert [name for name, argument in after.items if argument == held.run] == []
    assert after.of("kept") == set()
    assert after.of("meta")["kept_bytes"] == "0"


async def test_completed_and_failed_runs_have_ages_of_their_own(shard: Shard) -> None:
    await shard.finished("c")
    failed = await shard.finished("f")
    shard.advance(1000)
    assert await prune(shard, completed_ms=1000) == (1, False)
    assert (await shard.stored()).of("done", "a/f:f").keys() == {failed.run}


async def test_runs_that_are_not_final_are_never_pruned(shard: Shard) -> None:
    await shard.waiting(due_in_ms=10**9)
    await shard.claimed()
    await shard.queued("a/g")
    shard.advance(10**8)
    assert await prune(shard, completed_ms=0, failed_ms=0, bytes_max=0) == (0, False)
    assert len(list((await shard.stored()).family("run"))) == 3


async def test_at_most_the_limit_goes_a_call_and_more_is_said(shard: Shard) -> None:
    for _ in range(5):
        await shard.finished()
    shard.advance(1)
    rounds = [await prune(shard, completed_ms=1, limit=2) for _ in range(3)]
    assert rounds == [(2, True), (2, True), (1, False)]


# Bytes


async def test_beyond_the_bytes_the_oldest_of_all_functions_goes_and_no_more_than_needed(shard: Shard) -> None:
    await shard.lease("L1", "a/f", "a/g")
    order = []
    for function in ("a/f", "a/g", "a/f", "a/g"):
        shard.advance(1)
        order.append(await shard.finished("c", function))
    total = int((await shard.stored()).of("meta")["kept_bytes"])
    assert await prune(shard, bytes_max=total) == (0, False)
    assert await prune(shard, bytes_max=total - 1) == (1, False)
    left = {run for run, _ in (await shard.stored()).family("run")}
    assert left == {held.run for held in order[1:]}
    assert await prune(shard, bytes_max=0) == (3, False)


async def test_what_a_run_weighs_is_what_it_holds(shard: Shard) -> None:
    await shard.finished(out=b"x" * 100_000)
    assert int((await shard.stored()).of("meta")["kept_bytes"]) > 100_000


# Events


async def test_events_go_by_age_but_never_past_the_cursor(shard: Shard) -> None:
    routed = await shard.sent(100)
    await shard.events.route_events("0-0", routed[-1], 0, 100, [], 0)
    waiting = await shard.sent(100)
    await prune(shard, events_ms=1)
    left = [entry for entry, _ in (await shard.stored()).of("events")]
    assert left[-100:] == waiting
    assert [entry.id for entry in (await shard.events.unrouted(100)).entries] == waiting


async def test_young_events_stay(shard: Shard) -> None:
    routed = await shard.sent(100)
    await shard.events.route_events("0-0", routed[-1], 0, 100, [], 0)
    age_ms = shard.now_ms - int(routed[0].partition("-")[0])
    await prune(shard, events_ms=age_ms + 1)
    assert len((await shard.stored()).of("events")) == 100


# Void timers


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_timers_of_final_runs_are_swept(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    waits = [WaitWrite(held.run, held.epoch, 0, key, "w", b"", shard.now_ms + 100, b"") for key in "xyz"]
    await shard.runs.record_waits("L1", waits)
    await shard.runs.finish_runs("L1", [FinishWrite(held.run, held.epoch, "c", b"")], 10, 10)
    sleeper = await shard.waiting()
    before = await shard.stored()
    assert await shard.deliver(delivery, shard.cancels.sweep_ended) is False
    after = await shard.stored()
    assert before.changed(after) == {"timers", "void"}
    assert after.of("timers").keys() == {f"w {sleeper.run} nap"}


async def test_sweeping_says_when_there_is_more(shard: Shard) -> None:
    for _ in range(3):
        held = await shard.claimed()
        await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "x", "w", b"", shard.now_ms + 1, b"")])
        await shard.runs.finish_runs("L1", [FinishWrite(held.run, held.epoch, "c", b"")], 10, 10)
    assert [await shard.cancels.sweep_ended(limit=2), await shard.cancels.sweep_ended(limit=2)] == [True, False]


# The gate


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_the_gate_closes_at_80_percent_and_opens_below_75(shard: Shard, delivery: str) -> None:
    seen = []
    for percent in (0.79, 0.80, 0.95, 0.79, 0.75, 0.74, 0.79):
        closed, _ = await shard.deliver(delivery, lambda: shard.upkeep.set_gate(percent, prunable=False))
        seen.append(closed)
    assert seen == [False, True, True, True, True, False, False]


async def test_it_says_when_that_is_a_change(shard: Shard) -> None:
    answers = [await shard.upkeep.set_gate(percent, prunable=False) for percent in (0.9, 0.9, 0.1, 0.1)]
    assert answers == [(True, True), (True, False), (False, True), (False, False)]


async def test_it_stays_open_while_history_can_be_pruned(shard: Shard) -> None:
    assert await shard.upkeep.set_gate(0.95, prunable=True) == (False, False)


async def test_a_closed_gate_refuses_new_work_and_nothing_else(shard: Shard) -> None:
    held = await shard.claimed()
    (entry,) = await shard.sent()
    await shard.upkeep.set_gate(0.9, prunable=False)
    before = await shard.stored()
    with pytest.raises(QueueFull) as full:
        await shard.events.send_events([NewEvent("new", 60_000, b"")])
    assert full.value.retry_after > 0
    cursor = before.of("meta")["routed_upto"]
    with pytest.raises(QueueFull):
        await shard.events.route_events(cursor, entry, 0, 1, [Decision("run", entry, "R", "a/f")], 1000)
    assert before.changed(await shard.stored()) == set()
    await shard.runs.finish_runs("L1", [FinishWrite(held.run, held.epoch, "c", b"")], 10, 10)
    await shard.upkeep.set_gate(0.5, prunable=False)
    await shard.route([entry], ["a/f"])


async def test_a_gate_that_nobody_looks_after_opens_by_itself(shard: Shard) -> None:
    await shard.upkeep.set_gate(0.9, prunable=False)
    shard.advance(30_000)
    assert len(await shard.sent()) == 1


# What the server says of itself


async def test_memory_and_version_are_read_from_info(shard: Shard) -> None:
    memory = await shard.upkeep.memory()
    about = await shard.upkeep.server()
    if shard.server.kind.real:
        assert memory is not None
        assert memory.used > 0
        assert (memory.maximum, memory.policy, memory.fraction) == (0, "noeviction", 0.0)
        assert about["redis_version"]
    assert Memory(50, 200, "").fraction == 0.25
