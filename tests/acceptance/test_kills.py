"""kill -9, in the middle of steps: nothing is lost, nothing that was recorded is executed again, and it is over soon."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.acceptance.checks import check
from tests.acceptance.harness import Process, Stage, alive, until

FAULT_FREE_S = 12.0
"""60 runs of one 2 s step, ten at a time."""


async def forty_of_a_hundred(stage: Stage) -> Process:
    """A worker with default settings, 40 of 100 runs done and the next ten in the middle of their step."""
    stage.scheduler()
    worker = await stage.worker().working()
    await stage.send("one", 100, seconds=2)

    async def in_the_middle() -> bool:
        return await stage.ended() == 40 and stage.ledger.count("start") == 50

    await until(in_the_middle, "40 runs are done and ten more have begun", within_s=30)
    return worker


async def test_a_dead_childs_runs_go_on_at_once(stage: Stage) -> None:
    worker = await forty_of_a_hundred(stage)
    worker.kill_child()
    await stage.all_end(within_s=FAULT_FREE_S + 4)
    figures = await check(stage)
    assert (figures.runs, figures.again) == (100, 10)
    assert stage.ledger.count("returned") == 100
    assert worker.log("child.died")[0]["how"] == "killed by SIGKILL"


async def test_a_dead_workers_runs_go_on_within_its_lease(stage: Stage) -> None:
    worker = await forty_of_a_hundred(stage)
    worker.kill_group()
    died_s = time.monotonic()
    await stage.worker().working()
    await stage.all_end(within_s=FAULT_FREE_S + 15 - (time.monotonic() - died_s))
    figures = await check(stage)
    assert (figures.runs, figures.again) == (100, 10)
    assert stage.ledger.count("returned") == 100


@pytest.mark.parametrize("victim", ["child", "group"])
async def test_steps_of_all_sorts_survive(stage: Stage, victim: str) -> None:
    stage.scheduler()
    worker = await stage.worker(concurrency=40).working()
    for tenths in range(1, 11):
        for program in ("chain", "plain", "stubborn"):
            await stage.send(program, seconds=tenths / 10)

    def in_full_swing() -> bool:
        ended = stage.ledger.count("end") + stage.ledger.count("cut")
        return ended > 40 and stage.ledger.count("start") - ended > 15

    await until(in_full_swing, "some have ended and many are in the middle", within_s=20)
    if victim == "child":
        worker.kill_child()
        await stage.all_end(within_s=20)
    else:
        worker.kill_group()
        await stage.worker(concurrency=40).working()
        await stage.all_end(within_s=30)
    cut_off = stage.ledger.count("start") - stage.ledger.count("end") - stage.ledger.count("cut")
    assert cut_off > 15
    figures = await check(stage)
    assert cut_off <= figures.again <= cut_off + 20  # and the two attempts that ten stubborn steps are meant to fail


async def test_a_child_whose_parent_is_gone_finishes_and_leaves(stage: Stage) -> None:
    """Longer than a lease, so that it must renew for itself; and nothing new is claimed."""
    stage.scheduler()
    worker = await stage.worker(concurrency=5).working()
    await stage.send("one", 5, seconds=12)
    await until(lambda: stage.ledger.count("start") == 5, "five have begun", within_s=10)
    await stage.send("one", 5, seconds=1)  # not before: of events in one millisecond any may be the first
    child = worker.child
    os.kill(worker.pid, signal.SIGKILL)
    await until(lambda: not alive(child), "the child leaves", within_s=16)
    assert stage.ledger.count("end") == 5
    assert await stage.ended() == 5
    assert worker.log("parent.gone")
    await stage.worker(concurrency=5).working()
    await stage.all_end(within_s=8)
    assert (await check(stage)).again == 0


async def test_a_run_that_kills_its_worker_fails_alone(stage: Stage) -> None:
    stage.scheduler()
    worker = await stage.worker().working()
    good = await stage.send("one", 5, seconds=0.5)
    await stage.send("deadly")
    good += await stage.send("chain", 4, seconds=0.3)
    await stage.all_end(within_s=30)
    await check(stage, failing=["deadly"])
    (failed,) = [run for run in await stage.runs() if run.row.function == "acceptance/deadly"]
    text = failed.output.decode()
    assert text.startswith("TWorkerCrashed\n")
    assert "exit status 3" in text
    assert "last step: fatal" in text
    assert stage.ledger.count("start", step="fatal") == 3
    assert len(worker.log("child.died")) == 3
    assert worker.running
