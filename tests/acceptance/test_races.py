"""Races by real processes: of two ends of one thing exactly one happens, whoever is killed or frozen before, between or after.

What comes first is decided by gates, by freezing who would do the other, and by waiting for what is to be true; each scene has
functions as `async def` and as `def` side by side (tests/acceptance/waiting.py).
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter, defaultdict
from typing import Any

import durableq as dq
from durableq.model.run import State
from durableq.store.calls import Calls
from durableq.store.cancels import Cancels
from tests.acceptance.harness import Process, Stage, until
from tests.store.invariants import assert_invariants

APP = "tests.acceptance.waiting:app"
KEYS = 8
LEASE_S = 12.0
STOPPED_S = 2.0
"""How soon a body is told that its run is cancelled."""


class Scene:
    """A stage whose workers have the app that waits, seen as a user sees it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.client = stage.client()

    async def worker(self, *options: str) -> Process:
        return await self.stage.worker(*options, concurrency=100, app=APP).working()

    async def send(self, name: str, *keys: str, **data: Any) -> None:
        await self.client.send([dq.Event(f"waiting/{name}", {"key": key, **data}) for key in keys])

    def open(self, gate: str) -> None:
        (self.stage.directory / f"gate-{gate}").touch()

    async def runs(self, *functions: str, status: str | None = None) -> list[Any]:
        """The runs of these functions and of their `def` twins."""
        found = []
        for function in functions:
            for twin in (function, f"{function}-def"):
                found += await self.client.runs.list(function=f"waiting/{twin}", status=status, limit=1000)
        return found

    async def count(self, status: str, *functions: str) -> int:
        """How many of them are in this state: quicker than a list."""
        calls = await self.stage.calls()
        keys = [self._index(calls, status, f"waiting/{name}{twin}") for name in functions for twin in ("", "-def")]
        if status == "running":
            return len(await self.runs(*functions, status=status))
        return sum([await calls.read("ZCARD", key) for key in keys])

    @staticmethod
    def _index(calls: Calls, status: str, function: str) -> str:
        places = {"queued": "ready", "waiting": "waiting"}
        if status in places:
            return calls.key(places[status], function)
        (state,) = [state.value for state in State if state.label == status]
        return calls.key("done", f"{function}:{state}")

    async def all_are(self, status: str, count: int, *functions: str, within_s: float = 15) -> list[Any]:
        """Wait until as many runs are in this state. Returns them, with their results."""

        async def enough() -> bool:
            return await self.count(status, *functions) >= count

        try:
            await until(enough, f"{count} runs of {functions} are {status}", within_s=within_s)
        except AssertionError as error:
            states = Counter(run.status for run in await self.runs(*functions))
            raise AssertionError(f"{error}: {states}") from None
        return [await self.client.runs.get(run.id) for run in await self.runs(*functions, status=status)]

    async def all_wait(self, count: int, function: str) -> None:
        """Wait until the waits of so many runs have begun, whether or not they are over by now."""
        calls = await self.stage.calls()

        async def begun() -> bool:
            ids = [run.id for run in await self.runs(function)]
            return sum([await calls.read("EXISTS", calls.key("steps", run_id)) for run_id in ids]) >= count

        await until(begun, f"the waits of {count} runs have begun", within_s=15)

    async def none_waits(self, function: str) -> None:
        async def none() -> bool:
            return await self.count("waiting", function) == 0

        await until(none, f"no run of {function} waits", within_s=15)

    async def bodies(self, step: str, count: int, kind: str = "start", within_s: float = 15) -> None:
        """Wait until so many bodies of this step have begun (ended, been cut)."""
        await until(
            lambda: self.stage.ledger.count(kind, step=step) >= count, f"{count} {kind} of {step}", within_s=within_s
        )

    def told(self) -> dict[str, set[str]]:
        """What each run was told by its wait, over all its executions."""
        found = defaultdict(set)
        for line in self.stage.ledger.lines():
            if line.kind.startswith("told "):
                found[line.run_id].add(line.kind.removeprefix("told "))
        return found


def keys(prefix: str) -> list[str]:
    return [f"{prefix}{number}" for number in range(KEYS)]


async def test_an_event_or_the_timeout_ends_a_wait_and_every_replay_has_the_same(stage: Stage) -> None:
    scene = Scene(stage)
    scheduler, worker = stage.scheduler(), await scene.worker()
    await scheduler.says("scheduler.working")

    # whoever would fire timers is frozen until all is answered
    scheduler.signal(signal.SIGSTOP)
    await scene.send("answer", *keys("event first "), timeout=0.3)
    await scene.all_wait(2 * KEYS, "answer")
    await scene.send("answered", *keys("event first "), mark="event")
    await scene.bodies("after", 2 * KEYS)
    await asyncio.sleep(0.3)  # its timers were due, if any are left
    scheduler.signal(signal.SIGCONT)

    # whoever would deliver events is frozen until all has timed out
    await scene.send("answer", *keys("timeout first "), timeout=0.6)
    await scene.all_wait(4 * KEYS, "answer")
    worker.signal_group(signal.SIGSTOP)
    await scene.none_waits("answer")
    await scene.send("answered", *keys("timeout first "), mark="event")
    worker.signal_group(signal.SIGCONT)
    await scene.bodies("after", 4 * KEYS)

    # the same, but what answers was accepted before the time was over
    began_s = time.monotonic()
    await scene.send("answer", *keys("in time "), timeout=2)
    await scene.all_wait(6 * KEYS, "answer")
    worker.signal_group(signal.SIGSTOP)
    await scene.send("answered", *keys("in time "), mark="event")
    assert time.monotonic() - began_s < 2, "the machine was too slow to say anything"
    await asyncio.sleep(began_s + 2.5 - time.monotonic())  # its timers are due
    worker.signal_group(signal.SIGCONT)
    await scene.bodies("after", 6 * KEYS)

    # both at the same moment
    began_s = time.monotonic()
    await scene.send("answer", *keys("at once "), timeout=0.8)
    await scene.all_wait(8 * KEYS, "answer")
    await asyncio.sleep(max(0.0, began_s + 0.85 - time.monotonic()))
    await scene.send("answered", *keys("at once "), mark="event")
    await scene.bodies("after", 8 * KEYS)

    worker.kill_child()  # with all of them in hand: they are replayed
    await scene.bodies("after", 16 * KEYS)
    scene.open("after")
    for run in await scene.all_are("completed", 8 * KEYS, "answer"):
        (told,) = scene.told()[run.id]
        assert run.result == [None if told == "None" else told]
        if "at once" not in run.event.data["key"]:
            assert told == ("None" if "timeout first" in run.event.data["key"] else "event"), run.event.data
    await assert_invariants(await stage.calls())


async def test_an_answer_that_finds_no_worker_is_there_for_the_next_one(stage: Stage) -> None:
    """Killed when the wait has begun, when the answer is accepted, when it is told."""
    scene = Scene(stage)
    scheduler, worker = stage.scheduler(), await scene.worker()
    await scene.send("answer", *keys("k"), timeout="1h")
    await scene.all_are("waiting", 2 * KEYS, "answer")
    worker.kill_group()
    await scene.send("answered", *keys("k"), mark="first")
    await scene.send("answered", *keys("k"), mark="second")
    scheduler.kill_group()
    stage.scheduler()
    worker = await scene.worker()
    await scene.bodies("after", 1, within_s=LEASE_S)
    worker.kill_child()  # in the middle of delivering, or of being told
    await until(lambda: len(scene.told()) == 2 * KEYS, "all are told", within_s=LEASE_S)
    scene.open("after")
    for run in await scene.all_are("completed", 2 * KEYS, "answer"):
        assert run.result == ["first"]
        assert scene.told()[run.id] == {"first"}
    await assert_invariants(await stage.calls())


async def test_a_cancel_and_the_end_of_a_run_have_one_winner(stage: Stage) -> None:
    """Hundreds of runs are cancelled in one call just as they begin and end, and the process that has them is killed."""
    scene = Scene(stage)
    stage.scheduler()
    worker = await scene.worker()

    async def invoke(count: int) -> list[Any]:
        return await asyncio.gather(
            *(scene.client.invoke(f"waiting/{name}") for _ in range(count) for name in ("quick", "quick-def"))
        )

    handles = await invoke(10)
    await scene.all_are("completed", 20, "quick")
    worker.signal_group(signal.SIGSTOP)
    handles += await invoke(130)
    cancelling = asyncio.ensure_future(scene.client.cancel([handle.run_id for handle in handles]))
    worker.signal_group(signal.SIGCONT)
    replies = {reply.run_id: reply for reply in await cancelling}
    worker.kill_child()
    for handle in handles:
        wanted = replies[handle.run_id].status
        run = await scene.client.runs.get(handle.run_id)
        assert run.status == wanted
        if wanted == "completed":
            assert await handle.result(timeout=5) == "only"
        else:
            assert replies[handle.run_id].cancelled
            # nothing after its end, to the millisecond that Redis cuts off
            assert all(step.ended_at_ms <= run.ended_at_ms for step in run.steps if step.ended_at_ms)
    counts = Counter(reply.status for reply in replies.values())
    assert counts["completed"] >= 20  # and how many more of them is chance
    assert counts.keys() == {"completed", "cancelled"}
    starts = stage.ledger.starts()
    await scene.client.send(dq.Event("waiting/quick", {}))  # whoever comes next has nothing of them to do
    await scene.all_are("completed", counts["completed"] + 2, "quick")
    again = stage.ledger.starts()
    assert {key for key in again if key not in starts or again[key] > starts[key]} <= {
        (run.id, "only") for run in await scene.runs("quick", status="completed")
    }
    await assert_invariants(await stage.calls())


async def test_a_cancelled_body_is_told_to_stop_and_what_it_would_record_is_refused(stage: Stage) -> None:
    """Told at once; told when its frozen process goes on; and never begun again when that is killed instead."""
    scene = Scene(stage)
    stage.scheduler()
    worker = await scene.worker()
    await scene.send("busy", "by name", "by event", "frozen", "killed")
    await scene.bodies("held", 8)
    runs = {(run.function, run.event.data["key"]): run.id for run in await scene.all_are("running", 8, "busy")}

    told_s = time.monotonic()
    await scene.client.cancel([runs["waiting/busy", "by name"], runs["waiting/busy-def", "by name"]])
    await scene.send("cancel", "by event")
    await scene.bodies("held", 4, "cut", within_s=STOPPED_S)
    assert time.monotonic() - told_s < STOPPED_S

    child = worker.child
    os.kill(child, signal.SIGSTOP)
    await scene.send("cancel", "frozen")
    scene.open("frozen")  # what the bodies return is too late
    await scene.client.cancel([runs["waiting/busy", "frozen"], runs["waiting/busy-def", "frozen"]])
    os.kill(child, signal.SIGCONT)
    await until(
        lambda: stage.ledger.count("cut", step="held") + stage.ledger.count("end", step="held") == 6,
        "the frozen bodies end",
        within_s=STOPPED_S,
    )

    await scene.client.cancel([runs["waiting/busy", "killed"], runs["waiting/busy-def", "killed"]])
    worker.kill_child()
    cancelled = await scene.all_are("cancelled", 8, "busy")
    await worker.says("child.working", count=2)
    await scene.send("quick", "afterwards")
    await scene.all_are("completed", 2, "quick")
    assert stage.ledger.count("start", step="held") == 8
    assert stage.ledger.count("start", step="next") == 0
    assert all(run.result is None and not [s for s in run.steps if s.status == "completed"] for run in cancelled)
    await assert_invariants(await stage.calls())


async def test_a_signal_reaches_one_wait_once_whoever_dies(stage: Stage) -> None:
    scene = Scene(stage)
    stage.scheduler()
    worker = await scene.worker()
    await scene.send("signalled", "a")
    await scene.send("signalled-def", "b")
    await scene.bodies("held", 2)
    assert [await scene.client.send_signal(name, 0) for name in "ab"] == [None, None]  # nobody waits as yet
    worker.kill_child()
    await scene.bodies("held", 4)
    assert [await scene.client.send_signal(name, 0) for name in "ab"] == [None, None]
    scene.open("signal")
    waiting = await scene.all_are("waiting", 2, "signalled")
    worker.kill_group()
    for name in "ab":  # while nobody works; ten at once
        reached = await asyncio.gather(*(scene.client.send_signal(name, number) for number in range(1, 11)))
        (run_id,) = filter(None, reached)
        assert run_id in {run.id for run in waiting}
        worker = await scene.worker() if name == "b" else worker
        winner = reached.index(run_id) + 1

        async def ended(run_id: str = run_id, winner: int = winner) -> bool:
            return bool((await scene.client.runs.get(run_id)).result == winner)

        if name == "b":
            await until(ended, f"{run_id} has the signal of its one sender", within_s=LEASE_S)
    done = await scene.all_are("completed", 2, "signalled")
    assert all(1 <= run.result <= 10 for run in done)

    await scene.send("signalled", "c")
    await scene.send("signalled-def", "c")
    worker.kill_child()
    refused = await scene.all_are("completed", 3, "signalled")
    assert [run.result for run in refused if isinstance(run.result, str)] == ["taken: True"]
    assert await scene.client.send_signal("c", "for one") is not None
    assert "for one" in [run.result for run in await scene.all_are("completed", 4, "signalled")]
    await assert_invariants(await stage.calls())


async def test_children_go_with_their_cancelled_parent_or_have_answered_it(stage: Stage) -> None:
    scene = Scene(stage)
    scheduler, worker = stage.scheduler(), await scene.worker()
    await scene.send("parent", "at once", "frozen", "unswept", "ended first")
    await scene.bodies("held", 16)
    parents = defaultdict(list)
    for run in await scene.all_are("waiting", 8, "parent"):
        parents[run.event.data["key"]].append(run.id)

    await scene.client.cancel(parents["at once"])
    await scene.bodies("held", 4, "cut", within_s=STOPPED_S)

    child = worker.child
    os.kill(child, signal.SIGSTOP)
    await scene.client.cancel(parents["frozen"])
    os.kill(child, signal.SIGCONT)
    await scene.bodies("held", 8, "cut", within_s=STOPPED_S)

    # the canceller dies before it has swept, with every scheduler
    scheduler.kill_group()
    await Cancels(await stage.calls()).cancel_runs(parents["unswept"], "asked for")
    assert len(await scene.runs("busy", status="running")) == 8
    stage.scheduler()
    await scene.bodies("held", 12, "cut", within_s=STOPPED_S + 3)

    # children that end before their parent is cancelled: theirs stands, whether or not it knows
    worker.signal_group(signal.SIGSTOP)
    scene.open("ended first")
    worker.signal_group(signal.SIGCONT)
    await scene.all_are("completed", 4, "busy")
    replies = await scene.client.cancel(parents["ended first"])
    for reply in replies:
        run = await scene.client.runs.get(reply.run_id)
        assert run.status == reply.status
        assert run.status == "cancelled" or list(run.result) == ["next", "next"]
    assert len(await scene.runs("busy", status="cancelled")) == 12
    assert len(await scene.runs("parent", status="cancelled")) >= 6
    assert stage.ledger.count("start", step="next") == 4
    await assert_invariants(await stage.calls())


async def test_children_that_end_while_their_parents_are_cancelled_are_both_final(stage: Stage) -> None:
    """The gate opens and the parents are cancelled at the same moment; the process that has them all is killed."""
    scene = Scene(stage)
    stage.scheduler()
    worker = await scene.worker()
    await scene.send("parent", *["same"] * 6)
    await scene.bodies("held", 24)
    parents = await scene.all_are("waiting", 12, "parent")
    await scene.client.runs.list(limit=1)  # so that it is connected, and what it sends next is on its way at once
    cancelling = asyncio.create_task(scene.client.cancel([run.id for run in parents[:6]]))
    await asyncio.sleep(0)
    scene.open("same")
    half = await cancelling
    worker.kill_child()
    others = await scene.client.cancel([run.id for run in parents[6:]])

    async def all_ended() -> bool:
        return all(run.ended_at_ms for run in await scene.runs("parent", "busy"))

    await until(all_ended, "parents and children have ended", within_s=LEASE_S)
    replied = {reply.run_id: reply.status for reply in [*half, *others]}
    ends = {run.id: run for run in await scene.runs("parent", "busy")}
    for run_id, status in replied.items():
        assert ends[run_id].status == status
    assert {run.status for run in ends.values()} <= {"completed", "cancelled"}
    assert any(run.status == "cancelled" for run in ends.values())
    await assert_invariants(await stage.calls())
