"""A worker frozen beyond its lease (SIGSTOP, a paused virtual machine) comes back: it changes nothing, and goes on anew."""

from __future__ import annotations

import os
import signal
import time

from tests.acceptance.checks import check
from tests.acceptance.harness import Stage, until


async def test_a_thawed_worker_changes_nothing_and_goes_on(stage: Stage) -> None:
    stage.scheduler()
    frozen = await stage.worker(concurrency=4).working()
    for seconds in (1, 2, [30, 2]):
        await stage.send("one", seconds=seconds)
    await stage.send("chain", seconds=1)
    await until(lambda: stage.ledger.count("start") == 4, "all have begun", within_s=10)
    await until(lambda: stage.ledger.count("end") == 2, "a run is done, and a step of another", within_s=10)
    await until(lambda: stage.ledger.count("start") == 5, "the next step of that one has begun", within_s=10)
    frozen.signal_group(signal.SIGSTOP)
    stopped = frozen.child
    other = await stage.worker(concurrency=4).working()
    await until(lambda: len({x.run_id for x in stage.ledger.lines("start") if x.pid == other.child}) == 3,
                "the other worker has taken over", within_s=16)  # fmt: skip
    taken_over = stage.ledger.count("start")

    frozen.signal_group(signal.SIGCONT)
    await frozen.says("lease.lost", within_s=5, worker=frozen.pid)
    await frozen.says("lease.lost", within_s=5, child=stopped)
    # It lets go of the long step too, within a renewal, though no call of that step's would tell it for as long.
    await until(lambda: [x for x in stage.ledger.lines("cut") if x.pid == stopped], "it drops what it has", within_s=5)
    assert not [x for x in stage.ledger.lines("start")[taken_over:] if x.pid == stopped]

    await stage.send("one", 8, seconds=1.5)
    await until(lambda: [x for x in stage.ledger.lines("start")[taken_over:] if x.pid == stopped],
                "it takes new runs, with a new lease", within_s=10)  # fmt: skip
    await stage.all_end(within_s=40)
    figures = await check(stage)
    assert figures.again == 3


async def test_a_child_frozen_alone_keeps_its_lease(stage: Stage) -> None:
    """Its parent renews for it: a debugger, a page fault storm or a blocked loop costs nobody a second execution."""
    stage.scheduler()
    worker = await stage.worker(concurrency=4).working()
    await stage.send("one", 4, seconds=3)
    await until(lambda: stage.ledger.count("start") == 4, "all have begun", within_s=10)
    began_s = stage.ledger.lines("start")[0].monotonic_s
    other = await stage.worker(concurrency=4).working()
    os.kill(worker.child, signal.SIGSTOP)
    await until(lambda: time.monotonic() - began_s > 13, "more than a lease has passed", within_s=20)
    os.kill(worker.child, signal.SIGCONT)
    await stage.all_end(within_s=5)
    assert not [line for line in stage.ledger.lines("start") if line.pid == other.child]
    assert not worker.log("loop.blocked")  # no line of the user's is to blame
    assert (await check(stage)).again == 0
