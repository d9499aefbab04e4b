"""register, renew, close and rescue: a run belongs to a living lease; a dead one's runs are ready again, each death counted."""

from __future__ import annotations

import pytest

from durableq.store.failures import LeaseLost
from durableq.store.leases import LEASE_MS
from durableq.store.runs import FinishWrite, StepWrite, WaitWrite
from tests.store.shard import DELIVERIES, Held, Shard


async def beaten(shard: Shard, ms: int) -> None:
    """Let this time pass under somebody's eyes."""
    await shard.leases.renew_leases([])
    while ms > 0:
        shard.advance(min(2_000, ms))
        ms -= 2_000
        await shard.leases.renew_leases([])


# Beginning


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_lease_begins_with_its_functions_and_its_bells(shard: Shard, delivery: str) -> None:
    before = await shard.stored()
    begun = await shard.deliver(
        delivery, lambda: shard.leases.register_lease("L1", "host:1", ["a", "b"], "r7", ["a/f", "b/g"])
    )
    after = await shard.stored()
    assert begun == (shard.now_ms, shard.now_ms + LEASE_MS)
    assert before.changed(after) == {"leases", "lease", "inbox", "bell"}
    assert after.of("leases") == {"L1": shard.now_ms + LEASE_MS}
    assert after.of("lease", "L1") == {
        "worker": "host:1",
        "apps": "a b",
        "release": "r7",
        "since_ms": str(shard.now_ms),
        "f:a/f": "1",
        "f:b/g": "1",
    }
    (row,) = await shard.reads.leases()
    assert row == ("L1", "host:1", ("a", "b"), "r7", ("a/f", "b/g"), 0, shard.now_ms + LEASE_MS)


async def test_a_lease_that_was_declared_dead_does_not_begin_again(shard: Shard) -> None:
    await shard.claimed()
    await beaten(shard, 12_000)
    await shard.leases.rescue_leases(keep_failed=10, limit=0)
    before = await shard.stored()
    with pytest.raises(LeaseLost):
        await shard.lease("L1")
    assert before.changed(await shard.stored()) == set()


# Renewal


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_renewal_pushes_out_the_living_and_tells_of_the_lost(shard: Shard, delivery: str) -> None:
    held = await shard.claimed("L1")
    before = await shard.stored()
    shard.advance(2000)
    answers = await shard.deliver(delivery, lambda: shard.leases.renew_leases(["L1", "gone"]))
    after = await shard.stored()
    assert answers == [shard.now_ms + LEASE_MS, None]
    assert before.changed(after) == {"leases", "meta"}
    assert after.of("leases") == {"L1": shard.now_ms + LEASE_MS}
    assert after.of("run", held.run) == before.of("run", held.run)


async def test_an_expired_lease_that_nobody_has_rescued_lives_on(shard: Shard) -> None:
    held = await shard.claimed()
    await beaten(shard, 30_000)
    assert await shard.leases.renew_leases(["L1"]) == [shard.now_ms + LEASE_MS]
    assert (await shard.leases.rescue_leases(keep_failed=10)).leases == 0
    write = StepWrite(held.run, held.epoch, 0, "k", "d", b"", b"")
    assert (await shard.runs.record_steps("L1", [write])).items[0].number == 1


# Rescue


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_the_runs_of_a_lease_that_ran_out_are_ready_again(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    await beaten(shard, 12_000)
    before = await shard.stored()
    done = await shard.deliver(delivery, lambda: shard.leases.rescue_leases(keep_failed=10))
    after = await shard.stored()
    assert (done.leases, done.runs) == ((0, 0) if delivery == "reply lost" else (1, 1))
    assert before.changed(after) == {
        *("run", "history", "ready", "bell", "event_bell", "leases", "lease", "held", "inbox"),
        *(before.changed(after) & {"meta", "work"}),
    }
    was = before.of("run", held.run)
    del was["l"]
    assert after.of("run", held.run) == was | {"s": "q", "x": "1"}
    assert after.of("history", held.run) == [f"{shard.now_ms} crashed - its lease ran out"]
    assert (after.of("leases"), after.of("dead")) == ({}, {})


async def test_a_lease_is_dead_before_its_runs_are_freed_and_at_most_so_many_a_call(shard: Shard) -> None:
    await shard.lease()
    await shard.backlog(5)
    claimed = (await shard.claim()).runs
    await beaten(shard, 12_000)
    done = await shard.leases.rescue_leases(keep_failed=10, limit=2)
    assert (done.leases, done.runs, done.next_round_ms) == (1, 2, 0)
    assert set((await shard.stored()).of("dead")) == {"L1"}
    with pytest.raises(LeaseLost):
        await shard.runs.finish_runs("L1", [FinishWrite(run.id, run.epoch, "c", b"") for run in claimed], 10, 10)
    assert (await shard.leases.rescue_leases(keep_failed=10, limit=2)).runs == 2
    assert (await shard.leases.rescue_leases(keep_failed=10, limit=2)).runs == 1
    assert (await shard.stored()).of("dead") == {}


async def test_no_lease_is_rescued_within_a_lease_time_of_a_gap(shard: Shard) -> None:
    """Redis was away: nobody could renew. Those who live renew now; the others are rescued one lease time later."""
    await shard.claimed("L1")
    await shard.claimed("L2")
    await beaten(shard, 2_000)
    shard.advance(60_000)
    assert (await shard.leases.rescue_leases(keep_failed=10)).leases == 0
    for _ in range(4):
        shard.advance(2_000)
        await shard.leases.renew_leases(["L1"])
        assert (await shard.leases.rescue_leases(keep_failed=10)).leases == 0
    shard.advance(2_000)
    await shard.leases.renew_leases(["L1"])
    assert (await shard.leases.rescue_leases(keep_failed=10)).leases == 1
    assert set((await shard.stored()).of("leases")) == {"L1"}


async def test_a_quiet_second_more_or_less_is_no_gap(shard: Shard) -> None:
    await shard.claimed()
    await shard.leases.renew_leases([])
    for _ in range(5):
        shard.advance(2_900)
        done = await shard.leases.rescue_leases(keep_failed=10)
    assert (await shard.stored()).of("leases") == {}
    assert done.next_round_ms <= 1500


async def test_whoever_alone_calls_rescue_as_often_as_it_is_told_to_rescues(shard: Shard) -> None:
    """The beat of the rescuer itself suffices: it never takes its own pauses for a gap."""
    await shard.claimed()
    began = shard.now_ms
    for _ in range(60):
        done = await shard.leases.rescue_leases(keep_failed=10)
        if done.runs:
            break
        shard.advance(max(1, done.next_round_ms))
    assert done.runs == 1
    assert shard.now_ms - began <= 2 * LEASE_MS + 1_500


async def test_a_clock_that_steps_back_keeps_no_dead_lease_alive(shard: Shard) -> None:
    await shard.claimed()
    await beaten(shard, 2_000)
    shard.advance(-3_600_000)
    waited = 0
    while not (await shard.leases.rescue_leases(keep_failed=10)).runs:
        shard.advance(1_000)
        waited += 1_000
        assert waited <= 2 * LEASE_MS + 1_000, "an hour back, and the dead child's runs wait for an hour"


async def test_a_clock_that_steps_forward_rescues_nobody_who_still_renews(shard: Shard) -> None:
    await shard.claimed()
    await beaten(shard, 2_000)
    shard.advance(3_600_000)
    assert (await shard.leases.rescue_leases(keep_failed=10)).leases == 0
    assert await shard.leases.renew_leases(["L1"]) == [shard.now_ms + LEASE_MS]


# Closing


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("crashed", [False, True])
async def test_a_closed_lease_hands_back_what_it_has_and_counts_deaths_only_of_crashes(
    shard: Shard, delivery: str, crashed: bool
) -> None:
    held = await shard.claimed()
    freed = await shard.deliver(
        delivery, lambda: shard.leases.close_lease("L1", crashed=crashed, reason="signal 9", keep_failed=10)
    )
    after = await shard.stored()
    assert freed == (0 if delivery == "reply lost" else 1)
    assert after.of("run", held.run).get("x") == ("1" if crashed else None)
    assert after.of("history", held.run) == ([f"{shard.now_ms} crashed - signal 9"] if crashed else [])
    assert [name for name, lease in after.items if lease == "L1"] == []
    assert (after.of("leases"), after.of("dead")) == ({}, {})


async def test_everything_is_handed_back_a_hundred_a_call(shard: Shard) -> None:
    await shard.lease()
    await shard.backlog(230)
    for _ in range(3):
        await shard.claim(room=100)
    assert await shard.crash("L1") == 230
    assert len((await shard.stored()).of("ready", "a/f")) == 230


async def test_closing_after_a_rescue_goes_on_with_what_is_left(shard: Shard) -> None:
    await shard.lease()
    await shard.backlog(3)
    await shard.claim()
    await beaten(shard, 12_000)
    await shard.leases.rescue_leases(keep_failed=10, limit=1)
    assert await shard.crash("L1") == 2
    assert await shard.crash("L1") == 0


async def test_who_was_rung_to_route_and_died_is_rung_for_again(shard: Shard) -> None:
    await shard.lease()
    await shard.sent()
    before = await shard.stored()
    await shard.crash("L1")
    assert "event_bell" in before.changed(await shard.stored())


# Deaths


async def test_two_deaths_set_a_run_apart_and_the_third_alone_fails_it(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    assert (mine.id, mine.deaths) == (run, 2)
    assert await shard.runs.note_doing("L1", "charge the card") == 1
    await shard.crash("L1", "signal 11")
    after = await shard.stored()
    assert after.of("run", run)["s"] == "f"
    assert after.of("output", run).startswith(b"TWorkerCrashed\nits worker process died at 3 executions of this run")
    assert b"signal 11; last step: charge the card" in after.of("output", run)
    assert run in after.of("done", "a/f:f")
    assert (await shard.reads.queue("a/f")).failed == 1


async def test_a_run_that_fails_so_counts_among_those_that_are_kept(shard: Shard) -> None:
    older = await shard.finished("f")
    run = await shard.suspected()
    await shard.lease("L2")
    await shard.claim("L2", alone=True)
    shard.advance(1)
    await shard.leases.close_lease("L2", crashed=True, reason="signal 9", keep_failed=1)
    after = await shard.stored()
    assert set(after.of("done", "a/f:f")) == {run}
    assert after.of("run", older.run) == {}


async def test_a_third_death_with_others_in_hand_fails_nobody(shard: Shard) -> None:
    """Only the run that was alone can be to blame."""
    first, second = await shard.queued(), await shard.queued()
    for i in range(2):
        await shard.lease(f"X{i}")
        assert len((await shard.claim(f"X{i}")).runs) == 2
        await shard.crash(f"X{i}")
    for run in (first, second):
        assert (await shard.stored()).of("run", run)["x"] == "2"
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    await shard.runs.finish_runs("L1", [FinishWrite(mine.id, mine.epoch, "c", b"")], 10, 10)
    (other,) = (await shard.claim(alone=True)).runs
    assert {mine.id, other.id} == {first, second}


async def test_a_child_that_leaves_while_it_has_a_suspect_counts_no_death(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    await shard.claim(alone=True)
    await shard.leases.close_lease("L1", crashed=False, reason="left", keep_failed=10)
    after = await shard.stored()
    assert after.of("run", run)["x"] == "2"
    assert run in after.of("suspects", "a")


async def test_a_step_is_noted_only_of_a_run_that_is_alone(shard: Shard) -> None:
    await shard.claimed()
    before = await shard.stored()
    assert await shard.runs.note_doing("L1", "step") == 0
    assert await shard.runs.note_doing("nobody", "step") == 0
    assert before.changed(await shard.stored()) == set()


async def test_a_run_freed_with_pending_waits_keeps_them(shard: Shard) -> None:
    held = await shard.claimed()
    waits = [WaitWrite(held.run, held.epoch, 0, key, "w", b"", shard.now_ms + 100, b"") for key in ("x", "y")]
    await shard.runs.record_waits("L1", waits)
    await shard.crash("L1")
    await shard.lease("L2")
    (mine,) = (await shard.claim("L2")).runs
    assert {key: memo.number for key, memo in mine.memos.items()} == {"x": 0, "y": 0}
    await shard.suspend(Held("L2", mine.id, mine.epoch))
    shard.advance(100)
    assert (await shard.timers.fire_timers()).fired == 2
