"""Waits and invokes by real workers: answered before or after, whoever is killed or leaves meanwhile; `async def` and `def`."""

from __future__ import annotations

import signal
import time
from collections import Counter
from typing import Any

import durableq as dq
from durableq.store.cancels import Cancels
from tests.acceptance.harness import Process, Stage, until

ASKING, HELPING = "tests.acceptance.answered:asking", "tests.acceptance.answered:helping"
WITHIN_S = 20.0
STOPPED_S = 2.0


class Play:
    """A stage with the two apps."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.client = stage.client()

    async def worker(self, app: str = ASKING, *options: str, concurrency: int = 100) -> Process:
        return await self.stage.worker(*options, concurrency=concurrency, app=app).working()

    async def send(self, name: str, *data: dict[str, Any]) -> None:
        await self.client.send([dq.Event(name, fields) for fields in data])

    def open(self, *gates: str) -> None:
        for name in gates:
            (self.stage.directory / f"gate-{name}").touch()

    async def runs(self, app: str, function: str, status: str | None = None) -> list[Any]:
        """The runs of a function and of its `def` twin."""
        twins = (f"{app}/{function}", f"{app}/{function}-def")
        return [run for twin in twins for run in await self.client.runs.list(function=twin, status=status, limit=1000)]

    async def all_are(self, status: str, count: int, function: str, app: str = "asking") -> list[Any]:
        """Wait until as many runs are in this state. Returns them."""

        async def enough() -> bool:
            return len(await self.runs(app, function, status)) >= count

        try:
            await until(enough, f"{count} runs of {function} are {status}", within_s=WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}: {Counter(run.status for run in await self.runs(app, function))}") from None
        return await self.runs(app, function, status)

    async def results(self, count: int, function: str) -> list[Any]:
        """Wait until as many runs are completed. Returns their results."""
        runs = await self.all_are("completed", count, function)
        return [(await self.client.runs.get(run.id)).result for run in runs]

    async def bodies(self, step: str, count: int, kind: str = "start") -> None:
        """Wait until so many bodies of this step have begun (ended, been cut)."""
        counted = self.stage.ledger.count
        await until(lambda: counted(kind, step=step) >= count, f"{count} {kind} of {step}", within_s=WITHIN_S)

    async def routed(self) -> None:
        """Wait until all that was sent is routed."""
        calls = await self.stage.calls()

        async def done() -> bool:
            sent, routed = await calls.read("HMGET", calls.key("meta"), "sent", "routed")
            return bool(sent == routed)

        await until(done, "everything is routed", within_s=WITHIN_S)


async def test_answers_that_came_before_and_after_survive_kills_and_restarts(stage: Stage) -> None:
    """Its child killed before it looks back, with answers told; all of it killed with nothing but waits, then restarted."""
    play = Play(stage)
    stage.scheduler()
    worker = await play.worker()
    early, late = [f"early-{n}" for n in range(5)], [f"late-{n}" for n in range(5)]
    await play.send("asking/wait", *({"key": key} for key in early + late))
    await play.bodies("before", 20)
    await play.send("asking/answer", *({"key": key, "n": n} for n in (1, 2) for key in early))
    await play.routed()
    worker.kill_child()
    await play.bodies("before", 40)
    play.open("before")
    await play.all_are("waiting", 10, "wait")
    worker.kill_child()
    await play.bodies("after", 20)  # of those whose answer was there; once more, since they were in hand
    play.open("after")
    await play.all_are("completed", 10, "wait")
    worker.kill_group()
    await play.send("asking/answer", *({"key": key, "n": n} for n in (3, 4) for key in late))
    await play.worker()
    assert Counter(await play.results(20, "wait")) == {1: 10, 3: 10}


async def test_a_child_that_dies_while_it_looks_back_has_missed_nothing(stage: Stage) -> None:
    play = Play(stage)
    worker = await play.worker(ASKING, "--with-scheduler")
    await play.send("asking/wait", *({"key": n} for n in range(20)))
    await play.bodies("before", 40)
    for _ in range(20):
        await play.send("asking/answer", *({"key": -1, "n": 0} for _ in range(100)))
    await play.send("asking/answer", *({"key": n, "n": n} for n in range(20)))
    await play.routed()
    play.open("before")
    await play.bodies("before", 40, "end")
    worker.kill_child()  # 40 times 21 pages: it is in the middle of them
    play.open("after")
    results = await play.results(40, "wait")
    assert Counter(results) == dict.fromkeys(range(20), 2)
    assert len(worker.log("child.died")) == 1


async def test_events_are_read_one_by_one_in_order_across_kills_of_those_who_deliver_them(stage: Stage) -> None:
    play = Play(stage)
    workers = [await play.worker(ASKING, "--with-scheduler"), await play.worker()]
    keys, lines = range(10), 12
    await play.send("asking/read", *({"key": key, "count": lines} for key in keys))
    for n in range(lines):
        await play.send("asking/line", *({"key": key, "n": n} for key in keys))
        if n in (3, 7):
            await play.bodies(str(n - 1), 20, "read")
            workers[n == 7].kill_child()
    assert await play.results(20, "read") == [list(range(lines))] * 20


async def test_an_event_that_answers_many_is_delivered_to_the_end_by_others(stage: Stage) -> None:
    """Whoever delivers it is killed, then told to leave; it leaves at once, and others go on within a moment."""
    play = Play(stage)
    play.open("before", "after")
    first = await play.worker(ASKING, "--with-scheduler")
    for _ in range(2):
        await play.send("asking/wait", *({"key": "all"} for _ in range(100)))
    await play.all_are("waiting", 400, "wait")
    second = await play.worker()
    await play.send("asking/answer", {"key": "all", "n": 1})
    await until(lambda: stage.ledger.count("start", step="after"), "some are awake", within_s=WITHIN_S)
    first.kill_child()
    second.signal(signal.SIGTERM)
    assert await second.exits(within_s=10) == 0
    assert Counter(await play.results(400, "wait")) == {1: 400}


async def test_a_child_of_another_app_answers_whoever_is_killed(stage: Stage) -> None:
    play = Play(stage)
    stage.scheduler()
    asker, helper = await play.worker(ASKING), await play.worker(HELPING)
    await play.send("asking/ask", *({"n": n} for n in range(5)))
    await play.bodies("work", 15 + 5)  # `def`: one child after the other
    helper.kill_child()
    await play.bodies("work", 2 * 20)
    asker.kill_group()
    play.open("help")
    await play.all_are("completed", 20, "help", "helping")
    await play.worker(ASKING)
    expected = [[10 * n + i for i in range(3)] for n in range(5)]
    assert sorted(await play.results(10, "ask")) == sorted(expected * 2)
    children = await play.runs("helping", "help")
    assert (len(children), {run.status for run in children}) == (30, {"completed"})


async def test_bodies_of_cancelled_runs_stop_within_two_seconds_or_are_left_behind(stage: Stage) -> None:
    """One that cannot be stopped keeps its place, and its child is replaced as for steps past their timeout."""
    play = Play(stage)
    worker = await play.worker(ASKING, concurrency=4)
    await play.send("asking/wait", {"key": 1})
    await play.bodies("before", 2)
    runs = await play.runs("asking", "wait")
    since_s = time.monotonic()
    await Cancels(await stage.calls()).cancel_runs([run.id for run in runs], "the test wants it")
    await play.bodies("before", 1, "cut")
    assert time.monotonic() - since_s < STOPPED_S
    lines = [await worker.says("run.cancelled", run_id=run.id, within_s=5) for run in runs]
    assert {(line["function"], line["why"]) for line in lines} == {
        ("asking/wait", "the test wants it"),
        ("asking/wait-def", "the test wants it"),
    }
    await worker.says("child.recycled", within_s=10)
    await worker.working(children=2)
    play.open("before", "after")
    await play.send("asking/wait", {"key": 2})
    await play.all_are("waiting", 2, "wait")
    for run in runs:
        found = await play.client.runs.get(run.id)
        assert (found.status, [step.status for step in found.steps]) == ("cancelled", [])


async def test_a_burst_delivers_what_is_posted_and_leaves_while_runs_only_wait(stage: Stage) -> None:
    play = Play(stage)
    play.open("before", "after")
    await play.send("asking/wait", *({"key": n % 2} for n in range(60)))
    burst = stage.worker("--burst", concurrency=10, app=ASKING)
    assert await burst.exits(within_s=WITHIN_S) == 0
    assert len(await play.runs("asking", "wait", "waiting")) == 120
    await play.send("asking/answer", {"key": 0, "n": 7})
    burst = stage.worker("--burst", concurrency=10, app=ASKING)
    assert await burst.exits(within_s=WITHIN_S) == 0
    assert (len(await play.runs("asking", "wait", "completed")), len(await play.runs("asking", "wait", "waiting"))) == (
        60,
        60,
    )
