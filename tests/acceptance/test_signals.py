"""Signals reach every process of a group, as platforms send them; what they mean is the parent's business."""

from __future__ import annotations

import signal
import time

from tests.acceptance.checks import check
from tests.acceptance.harness import Stage, alive, now_ms, until

SCHEDULING_S = 0.5
"""What this machine may be late by."""


async def test_a_long_step_is_handed_back_when_the_grace_period_is_over(stage: Stage) -> None:
    """SIGTERM twice to the whole group; another worker has the run less than a second after the first one let go."""
    stage.scheduler()
    leaving = await stage.worker("--grace", "2s").working()
    await stage.send("one", seconds=[30, 0.5])
    await until(lambda: stage.ledger.count("start") == 1, "the step has begun", within_s=10)
    staying = await stage.worker().working()
    child = leaving.child
    told_s = time.monotonic()
    leaving.signal_group(signal.SIGTERM)
    await leaving.says("worker.draining", within_s=2)
    leaving.signal_group(signal.SIGTERM)
    assert await leaving.exits(within_s=5) == 0
    assert time.monotonic() - told_s < 4 + SCHEDULING_S
    assert not alive(child)
    cut = stage.ledger.lines("cut")[0]
    await until(lambda: stage.ledger.count("start") == 2, "another worker has begun the step", within_s=3)
    again = stage.ledger.lines("start")[1]
    assert again.pid == staying.child
    assert again.at_ms - cut.at_ms < 1000
    await stage.all_end(within_s=3)
    await check(stage)
    (run,) = await stage.runs()
    assert not [entry for entry in run.history if entry.verb == "crashed"]  # a drain counts against nobody


async def test_a_step_that_ends_within_the_grace_period_is_finished(stage: Stage) -> None:
    """The run goes on to its end, a `def` function's too, and nothing new is claimed meanwhile."""
    worker = await stage.worker(concurrency=2).working()
    await stage.send("one", seconds=2)
    await stage.send("plain", seconds=1.5, nap=60)
    await until(lambda: stage.ledger.count("start") == 2, "both have begun", within_s=10)
    await stage.send("one", 5)
    told_s = time.monotonic()
    worker.signal_group(signal.SIGTERM)
    await worker.says("worker.draining", within_s=2)
    worker.signal_group(signal.SIGTERM)
    assert await worker.exits(within_s=6) == 0
    assert time.monotonic() - told_s < 3.5
    assert stage.ledger.count("end") == 2
    assert stage.ledger.count("start") == 2
    assert await stage.ended() == 1


async def test_a_thread_that_does_not_end_keeps_nobody(stage: Stage) -> None:
    """A body in a thread cannot be cancelled: the child leaves without it, within two seconds of the grace period."""
    worker = await stage.worker("--grace", "1s").working()
    await stage.send("plain", seconds=60)
    await until(lambda: stage.ledger.count("start") == 1, "the body has begun", within_s=10)
    child = worker.child
    told_s = time.monotonic()
    worker.signal_group(signal.SIGTERM)
    assert await worker.exits(within_s=5) == 0
    assert time.monotonic() - told_s < 3 + SCHEDULING_S
    assert not alive(child)
    (run,) = await stage.runs()
    assert run.row.state.label == "queued"


async def test_an_idle_worker_leaves_at_once(stage: Stage) -> None:
    worker = await stage.worker("--with-scheduler").working()
    scheduler = stage.scheduler()
    await scheduler.says("scheduler.working")
    told_s = time.monotonic()
    worker.signal_group(signal.SIGTERM)
    scheduler.signal_group(signal.SIGTERM)
    assert await worker.exits(within_s=5) == 0
    assert await scheduler.exits(within_s=5) == 0
    assert time.monotonic() - told_s < 1.5


async def test_a_second_interrupt_exits_now(stage: Stage) -> None:
    """The first Ctrl-C drains like SIGTERM, the second one does not wait; what was in hand is handed back even so."""
    worker = await stage.worker().working()
    await stage.send("one", seconds=60)
    await until(lambda: stage.ledger.count("start") == 1, "the step has begun", within_s=10)
    worker.signal_group(signal.SIGINT)
    await worker.says("worker.draining", within_s=2)
    told_s = time.monotonic()
    worker.signal_group(signal.SIGINT)
    assert await worker.exits(within_s=5) == 130
    assert time.monotonic() - told_s < 1.5
    (run,) = await stage.runs()
    assert run.row.state.label == "queued"
    assert run.row.deaths == 0


async def test_what_was_being_claimed_is_handed_back_by_a_drain(stage: Stage) -> None:
    """A drain in the middle of a storm of short runs: whatever is not finished is claimable at once, not after the grace."""
    leaving = await stage.worker(concurrency=50).working()
    staying = await stage.worker(concurrency=50).working()
    await stage.send("one", seconds=6)
    await until(lambda: stage.ledger.count("start") == 1, "a long step has begun", within_s=10)
    if stage.ledger.lines("start")[0].pid == staying.child:
        leaving, staying = staying, leaving
    await stage.send("one", 2000)
    await until(lambda: stage.ledger.count("end") > 300, "the storm has begun", within_s=10)
    leaving.signal_group(signal.SIGTERM)
    told_ms = now_ms()
    await stage.all_end(count=2000, within_s=20)
    late = [line for line in stage.ledger.lines("end") if line.at_ms > told_ms]
    assert late  # the drain came in the middle
    assert await leaving.exits(within_s=10) == 0
    await stage.all_end(within_s=2)
    assert (await check(stage)).again == 0


async def test_processes_that_user_code_starts_can_be_terminated(stage: Stage) -> None:
    """The child does not heed SIGTERM; what it starts does."""
    await stage.worker().working()
    await stage.send("spawning")
    await stage.all_end(within_s=10)
    await check(stage)
