"""Children are replaced without losing anything, and several of everything get along."""

from __future__ import annotations

from tests.acceptance.checks import check
from tests.acceptance.harness import Stage, alive, until


async def test_a_child_is_replaced_after_so_many_runs(stage: Stage) -> None:
    stage.scheduler()
    worker = await stage.worker("--max-runs-per-child", "40").working()
    first = worker.child
    await stage.send("chain", 30, seconds=0.05, nap=0.5)
    await stage.send("one", 60, seconds=0.3)
    await stage.all_end(within_s=30)
    figures = await check(stage)
    assert figures.again == 0
    assert "runs executed" in worker.log("child.recycled")[0]["why"]
    await until(lambda: not alive(first), "the first child has left", within_s=10)
    assert len({line.pid for line in stage.ledger.lines()}) > 1
    assert not worker.log("child.died")
    assert worker.running


async def test_a_child_is_replaced_when_it_uses_too_much_memory(stage: Stage) -> None:
    worker = await stage.worker("--max-memory-per-child", "250", concurrency=2).working()
    first = worker.child
    await stage.send("greedy", 12, bytes=40_000_000, seconds=0.5)
    await stage.all_end(within_s=30)
    assert (await check(stage)).again == 0
    assert "MB" in worker.log("child.recycled")[0]["why"]
    await until(lambda: not alive(first), "the first child has left", within_s=10)
    assert not worker.log("child.died")


async def test_two_workers_of_two_children_and_two_schedulers_get_along(stage: Stage) -> None:
    """Each run is executed once, each sleeper wakes once; the death of one scheduler and one worker is nobody's loss."""
    schedulers = [stage.scheduler(), stage.scheduler()]
    workers = [stage.worker("--processes", "2", concurrency=5) for _ in range(2)]
    for worker in workers:
        await worker.working(children=2)
    for program in ("one", "chain", "plain", "stubborn"):
        await stage.send(program, 25, seconds=0.05)
    await stage.all_end(within_s=30)
    figures = await check(stage)
    assert figures.again == 2 * 25  # the attempts that are meant to fail
    assert len({line.pid for line in stage.ledger.lines()}) == 4

    schedulers[0].kill_group()
    workers[0].signal(15)
    for program in ("one", "chain"):
        await stage.send(program, 25, seconds=0.05)
    await stage.all_end(within_s=30)
    assert (await check(stage)).again == 2 * 25
    assert await workers[0].exits(within_s=5) == 0
