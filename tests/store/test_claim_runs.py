"""claim_runs: ready runs are taken once, functions in turn, oldest first; a lost reply loses none; suspects are alone."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from durableq.model.flow import with_gates
from durableq.model.memo import Memo, MemoKind
from durableq.store.failures import LeaseLost
from durableq.store.runs import CLAIM_BUDGET_BYTES, FinishWrite, StepWrite, WaitWrite
from tests.servers import on
from tests.store.gates import deploy
from tests.store.guards import LEASE_GONE, lease_gone
from tests.store.shard import DELIVERIES, EVENT, Held, Shard


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_ready_run_is_taken_under_the_lease_with_the_next_epoch(shard: Shard, delivery: str) -> None:
    await shard.lease()
    run = await shard.queued()
    before = await shard.stored()
    number = shard.number("L1")
    claim = await shard.deliver(delivery, lambda: shard.runs.claim_runs("L1", number, 5, False, 0, ["a"]))
    after = await shard.stored()
    (mine,) = claim.runs
    created = int(before.of("run", run)["c"])
    assert mine[:8] == (run, "a/f", 1, created, shard.now_ms, 0, 0, 0)
    assert (mine.input, mine.memos) == (EVENT, {})
    assert (claim.alone, claim.suspects, claim.unrouted, claim.now_ms) == (False, False, False, shard.now_ms)
    assert before.changed(after) == {"run", "held", "lease", "ready", "work"}
    begun = {"s": "r", "l": "L1", "n": "1", "b": str(shard.now_ms), "m": str(len(EVENT) + 400)}
    assert after.of("run", run) == before.of("run", run) | begun
    assert after.of("held", "L1") == {run}
    assert after.of("ready", "a/f") == {}
    assert after.of("work", "a") == {}


async def test_a_claim_that_finds_nothing_writes_nothing(shard: Shard) -> None:
    await shard.lease()
    before = await shard.stored()
    assert (await shard.claim()).runs == []
    assert before.changed(await shard.stored()) == set()


@lease_gone
async def test_a_lease_that_is_gone_claims_nothing(shard: Shard, situation: str) -> None:
    held = await LEASE_GONE[situation](shard)
    await shard.queued("a/other")
    before = await shard.stored()
    with pytest.raises(LeaseLost):
        await shard.claim(held.lease)
    assert before.changed(await shard.stored()) == set()


async def test_a_run_that_is_not_queued_is_taken_by_nobody_else(shard: Shard) -> None:
    await shard.claimed("L1")
    await shard.waiting("L1")
    await shard.finished()
    await shard.queued(due_at_ms=shard.now_ms + 10)
    await shard.lease("L2")
    assert (await shard.claim("L2")).runs == []


# Numbers


async def test_the_same_number_returns_the_same_runs_as_far_as_they_are_still_in_hand(shard: Shard) -> None:
    await shard.lease()
    await shard.backlog(3)
    first = await shard.runs.claim_runs("L1", 1, 3, False, 0, ["a"])
    await shard.queued()
    assert (await shard.runs.claim_runs("L1", 1, 3, False, 0, ["a"])).runs == first.runs
    done, back, kept = first.runs
    await shard.runs.finish_runs("L1", [FinishWrite(done.id, done.epoch, "c", b"")], 10, 10)
    await shard.release(Held("L1", back.id, back.epoch))
    assert (await shard.runs.claim_runs("L1", 1, 3, False, 0, ["a"])).runs == [kept]


async def test_a_late_copy_of_an_older_claim_takes_nothing(shard: Shard) -> None:
    await shard.lease()
    for number in (1, 2):
        await shard.queued()
        await shard.runs.claim_runs("L1", number, 1, False, 0, ["a"])
    await shard.queued()
    before = await shard.stored()
    assert (await shard.runs.claim_runs("L1", 1, 1, False, 0, ["a"])).runs == []
    assert before.changed(await shard.stored()) == set()


async def test_a_run_released_and_claimed_again_is_no_part_of_the_older_claim(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.release(held)
    await shard.lease("L2")
    await shard.claim("L2")
    assert (await shard.runs.claim_runs("L1", 1, 1, False, 0, ["a"])).runs == []


# Order and turns


async def test_the_oldest_come_first(shard: Shard) -> None:
    await shard.lease()
    ids = await shard.backlog(30)
    claimed = [run.created_at_ms for _ in range(3) for run in (await shard.claim(room=10)).runs]
    assert claimed == sorted(claimed)
    assert len(claimed) == len(ids)


async def test_never_more_than_there_is_room_for_nor_than_a_hundred(shard: Shard) -> None:
    await shard.lease()
    await shard.backlog(130)
    assert [len((await shard.claim(room=room)).runs) for room in (0, 7, 500, 500)] == [0, 7, 100, 23]


async def test_a_backlog_of_one_function_never_delays_another(shard: Shard) -> None:
    await shard.lease("L1", "a/big", "a/small")
    await shard.backlog(50, "a/big")
    small = await shard.queued("a/small")
    claimed = [run.id for _ in range(2) for run in (await shard.claim(room=1)).runs]
    assert small in claimed, "with room for one, the other function is next"


async def test_room_is_shared_and_what_one_leaves_the_others_have(shard: Shard) -> None:
    await shard.lease("L1", "a/f", "a/g", "a/h")
    await shard.backlog(20, "a/f")
    await shard.backlog(20, "a/g")
    await shard.backlog(1, "a/h")
    runs = (await shard.claim(room=13)).runs
    counts = Counter(run.function for run in runs)
    assert len(runs) == 13
    assert counts["a/h"] == 1
    assert min(counts["a/f"], counts["a/g"]) >= 5


@pytest.mark.parametrize("stepped_back_ms", [0, 3_600_000])
async def test_functions_are_served_in_turn_within_one_ms_and_by_a_clock_that_steps_back(
    shard: Shard, stepped_back_ms: int
) -> None:
    functions = [f"a/f{i:02}" for i in range(12)]
    await shard.lease("L1", *functions)
    for function in functions:
        await shard.backlog(3, function)
    await shard.claim(room=1)
    shard.advance(-stepped_back_ms)
    served = Counter([run.function for _ in range(35) for run in (await shard.claim(room=1)).runs])
    assert sum(served.values()) == 35
    assert sorted(served.values()) == [2] + [3] * 11


async def test_more_than_ten_functions_are_visited_by_and_by(shard: Shard) -> None:
    functions = [f"a/f{i:02}" for i in range(25)]
    await shard.lease("L1", *functions)
    for function in functions:
        await shard.backlog(2, function)
    visited: set[str] = set()
    for _ in range(3):
        shard.advance(1)
        visited |= {run.function for run in (await shard.claim(room=10)).runs}
    assert visited == set(functions)


async def test_functions_that_this_child_lacks_are_passed_over(shard: Shard) -> None:
    for i in range(120):
        await shard.queued(f"a/other{i:03}")
    mine = await shard.queued("a/zz-mine")
    await shard.lease("L1", "a/zz-mine")
    claim = await shard.claim()
    if not claim.runs:  # the first hundred were others': the next claim goes on behind them
        assert claim.skip == 100
        claim = await shard.claim(skip=claim.skip)
    assert [run.id for run in claim.runs] == [mine]
    assert len((await shard.stored()).of("work", "a")) == 120, "others' functions keep their place"


async def test_several_apps_are_claimed_at_once(shard: Shard) -> None:
    await shard.lease("L1", "a/f", "b/g")
    runs = {await shard.queued("a/f"), await shard.queued("b/g")}
    await shard.queued("c/h")
    assert {run.id for run in (await shard.claim("L1", 10, "a", "b")).runs} == runs


async def test_what_remains_rings_for_another_child(shard: Shard) -> None:
    await shard.lease()
    await shard.backlog(3)
    before = await shard.stored()
    await shard.claim(room=2)
    assert "bell" in before.changed(middle := await shard.stored())
    await shard.claim(room=2)
    assert "bell" not in middle.changed(await shard.stored())


async def test_a_claim_says_that_events_wait_to_be_routed(shard: Shard) -> None:
    await shard.lease()
    assert (await shard.claim()).unrouted is False
    await shard.sent()
    assert (await shard.claim()).unrouted is True


# Size


async def test_a_claim_brings_memos_and_input_up_to_its_budget(shard: Shard) -> None:
    half = CLAIM_BUDGET_BYTES // 2
    held = await shard.claimed()
    write = StepWrite(held.run, held.epoch, 0, "k", "d", b"x" * (half + 1), b"")
    await shard.runs.record_steps("L1", [write])
    await shard.release(held)
    large = await shard.queued(blob=b"y" * half)
    small = await shard.queued()
    runs = {run.id: run for run in (await shard.claim()).runs}
    assert len(runs[held.run].memos) == 1
    assert runs[large].input is None, "what does not fit is read apart"
    assert await shard.runs.read_input(large) == b"y" * half
    assert runs[small].input == EVENT, "what is small still comes along"


async def test_runs_that_were_delayed_do_not_stretch_the_budget(shard: Shard) -> None:
    for _ in range(5):
        await shard.queued(due_at_ms=shard.now_ms + 500, blob=b"y" * (CLAIM_BUDGET_BYTES // 2))
    shard.advance(500)
    await shard.timers.fire_timers()
    await shard.lease()
    runs = (await shard.claim()).runs
    assert len(runs) == 5
    assert sum(len(run.input or b"") for run in runs) == CLAIM_BUDGET_BYTES


async def test_memos_beyond_the_budget_come_as_their_size(shard: Shard) -> None:
    held = await shard.claimed()
    blob = b"x" * (CLAIM_BUDGET_BYTES // 100)
    for start in (0, 60):
        writes = [StepWrite(held.run, held.epoch, start, f"k{start + i}", "d", blob, b"") for i in range(60)]
        await shard.runs.record_steps("L1", writes)
    await shard.release(held)
    (mine,) = (await shard.claim()).runs
    assert isinstance(mine.memos, int)
    assert mine.memos > CLAIM_BUDGET_BYTES
    memos = await shard.runs.read_memos(held.run, page=10)
    assert sorted(memo.number for memo in memos.values()) == list(range(1, 121))
    assert memos["k7"] == Memo(8, shard.now_ms, MemoKind.DATA, blob)


async def test_a_pending_wait_with_an_empty_blob_comes_along(shard: Shard) -> None:
    held = await shard.claimed()
    due = shard.now_ms + 1000
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "nap", "w", b"", due, b"")])
    await shard.release(held)
    (mine,) = (await shard.claim()).runs
    assert mine.memos == {"nap": Memo(0, shard.now_ms, MemoKind.SLEEPING, b"")}


# Suspects


async def test_a_run_that_saw_two_deaths_is_claimed_alone(shard: Shard) -> None:
    suspect = await shard.suspected()
    good = await shard.queued()
    await shard.lease("L1")
    usual = await shard.claim()
    assert ([run.id for run in usual.runs], usual.suspects, usual.alone) == ([good], True, False)
    assert (await shard.claim(alone=True)).runs == [], "not with something else in hand"
    await shard.lease("L2")
    apart = await shard.claim("L2", alone=True)
    assert ([run.id for run in apart.runs], apart.alone) == ([suspect], True)
    assert apart.runs[0].deaths == 2
    await shard.queued()
    assert (await shard.claim("L2")).runs == [], "nothing joins it"


async def test_a_lost_reply_to_a_claim_of_a_suspect_loses_nothing(shard: Shard) -> None:
    suspect = await shard.suspected()
    await shard.lease("L1")
    number = shard.number("L1")
    claim = await shard.deliver("reply lost", lambda: shard.runs.claim_runs("L1", number, 1, True, 0, ["a"]))
    assert [run.id for run in claim.runs] == [suspect]
    assert claim.alone


async def test_a_child_that_claims_alone_takes_nothing_but_suspects(shard: Shard) -> None:
    await shard.queued()
    await shard.lease()
    assert (await shard.claim(alone=True)).runs == []


async def test_suspects_of_functions_that_nobody_here_has_hold_up_nothing(shard: Shard) -> None:
    await shard.suspected("a/old")
    mine = await shard.queued("a/f")
    await shard.lease("L1", "a/f")
    claim = await shard.claim()
    assert ([run.id for run in claim.runs], claim.suspects) == ([mine], False)


async def commands(shard: Shard) -> dict[str, int]:
    """How often each command was called since the last `CONFIG RESETSTAT`, by scripts too."""
    stats = (await shard.command("INFO", "commandstats")).decode()
    return {name: int(calls) for name, calls in re.findall(r"cmdstat_(\w+):calls=(\d+)", stats)}


@on("redis7", "valkey")
async def test_a_batch_that_does_not_fit_is_not_read(shard: Shard) -> None:
    await deploy(shard, f=" b=100/1000 ")
    for _ in range(4):
        entries = await shard.sent(blob=b"x" * 100_000)
        await shard.route(entries, ["a/f"], 0, [with_gates("b=a/f:k", b"")])
    shard.advance(1000)
    await shard.timers.fire_timers()
    await shard.lease()
    await shard.command("CONFIG", "RESETSTAT")
    (claimed,) = (await shard.claim()).runs
    assert "get" not in await commands(shard)
    assert claimed.input is None
    given = await shard.runs.read_input(claimed.id)
    assert (given[:1], len(given)) == (b"B", 4 * (100_000 + len("100000 1795403011000 ")) + 1)
    assert (await shard.stored()).of("run", claimed.id)["m"] == str(400 + len(given))


@on("redis7", "valkey")
async def test_of_a_hundred_large_events_a_claim_reads_one_that_does_not_fit(shard: Shard) -> None:
    entries = await shard.sent(20, blob=b"x" * 300_000)
    await shard.route(entries, ["a/f"] * 20)
    await shard.lease()
    await shard.command("CONFIG", "RESETSTAT")
    claimed = (await shard.claim(room=20)).runs
    assert [run.input for run in claimed] == [None] * 20
    assert (await commands(shard))["get"] == 1


@pytest.mark.parametrize("size", [10, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
async def test_a_large_input_is_read_whole_in_pages(shard: Shard, size: int) -> None:
    blob = bytes(range(256)) * (size // 256) + b"." * (size % 256)
    (run,) = await shard.route(await shard.sent(blob=blob), ["a/f"])
    assert await shard.runs.read_input(run) == await shard.runs.read_first_given(run) == blob


async def test_of_a_batch_the_first_event_is_read_without_the_rest(shard: Shard) -> None:
    for first in (10, 1_500_000, 3_000_000):
        frames = [b"%d 5 %s" % (len(blob), blob) for blob in (b"x" * first, b"y" * 4_000_000)]
        await shard.command("SET", shard.key("input", "r"), b"B" + b"".join(frames))
        assert await shard.runs.read_first_given("r") == b"B" + frames[0]
    await shard.command("DEL", shard.key("input", "r"))
