"""Runs that are cancelled while a worker has them in hand: however it hears of it, their code stops and nothing is recorded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import structlog

from durableq import App, Context, EventTrigger, SyncContext
from durableq.services.hand import Hand
from durableq.services.reconciler import Reconciler
from tests.servers import Server, on
from tests.services.hands import Hands

GO = "go"
WHY = "the test wants it"


@pytest_asyncio.fixture
async def hands(server: Server) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    await found.close()


class Body:
    """A body that only its cancellation ends, and what became of it."""

    def __init__(self) -> None:
        self.begun = self.cancelled = 0

    async def __call__(self) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def app_of(body: Body) -> App:
    app = App("shop")

    @app.function("long", triggers=[EventTrigger(GO)])
    async def long(ctx: Context) -> None:
        await ctx.step.run("body", body)
        await ctx.step.run("never", body)

    return app


def deaf(hands: Hands) -> None:
    """From here on no worker hears what its inbox brings."""

    async def look() -> None:
        pass

    for worker in hands.workers:
        worker._listener.look = look  # type: ignore[method-assign]


async def cancelled(hands: Hands, function: str) -> None:
    """Wait until its only run is cancelled and out of hand; it recorded nothing, and the log says once why."""
    (run,) = await hands.ended(function, states="x")
    await hands.until(lambda: not hands.workers[0].executions, "it is out of hand")
    (line,) = hands.said("run.cancelled")
    assert line == {
        "event": "run.cancelled",
        "level": "info",
        "run_id": run.row.id,
        "function": function,
        "why": WHY,
    }
    assert not hands.said("run.dropped")
    assert await hands.runs(function) == [run]


async def test_the_code_of_a_cancelled_run_is_stopped_as_its_inbox_says(hands: Hands) -> None:
    body = Body()
    await hands.begin(app_of(body))
    async with hands.turning():
        await hands.send(GO)
        await hands.until(lambda: body.begun, "the body has begun")
        (run,) = await hands.runs("shop/long")
        await hands.cancel(run.row.id)
        await cancelled(hands, "shop/long")
    assert (body.begun, body.cancelled) == (1, 1)
    assert not (await hands.runs("shop/long"))[0].memos


async def test_where_the_hint_is_lost_the_comparison_of_hands_stops_it(hands: Hands) -> None:
    body = Body()
    await hands.begin(app_of(body))
    deaf(hands)
    async with hands.turning():
        await hands.send(GO)
        await hands.until(lambda: body.begun, "the body has begun")
        (run,) = await hands.runs("shop/long")
        await hands.cancel(run.row.id)
        await hands.workers[0]._reconciler.compare()
        await cancelled(hands, "shop/long")
    assert (body.begun, body.cancelled) == (1, 1)


async def test_where_the_hint_is_late_the_next_write_stops_it(hands: Hands) -> None:
    gate, bodies = asyncio.Event(), 0
    app = App("shop")

    @app.function("long", triggers=[EventTrigger(GO)])
    async def long(ctx: Context) -> None:
        nonlocal bodies
        for n in range(3):
            bodies += 1
            await ctx.step.run(f"body-{n}", gate.wait)

    await hands.begin(app)
    deaf(hands)
    async with hands.turning():
        await hands.send(GO)
        await hands.until(lambda: bodies, "the body has begun")
        (run,) = await hands.runs("shop/long")
        await hands.cancel(run.row.id)
        gate.set()
        await cancelled(hands, "shop/long")
    assert bodies == 1


async def test_what_a_cancelled_run_comes_to_is_not_recorded(hands: Hands) -> None:
    gate, reached = asyncio.Event(), asyncio.Event()
    app = App("shop")

    @app.function("quick", triggers=[EventTrigger(GO)])
    async def quick(ctx: Context) -> str:
        reached.set()
        await gate.wait()
        return "done"

    await hands.begin(app)
    deaf(hands)
    async with hands.turning():
        await hands.send(GO)
        await reached.wait()
        (run,) = await hands.runs("shop/quick")
        await hands.cancel(run.row.id)
        gate.set()
        await cancelled(hands, "shop/quick")


@pytest.mark.parametrize("where", ["in a step", "between steps"])
async def test_a_thread_that_goes_on_keeps_the_run_s_place_until_it_ends(
    hands: Hands, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durableq.engine.leaving.LEAVE_S", 0.1)
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    app = App("shop")

    def busy() -> None:
        begun.set()
        assert go_on.wait(30)
        ended.set()

    @app.function("stubborn", triggers=[EventTrigger(GO)])
    def stubborn(ctx: SyncContext) -> None:
        if where == "in a step":
            ctx.step.run("busy", busy)
        else:
            busy()
        ctx.step.run("never", busy)

    await hands.begin(app, concurrency=4)
    (worker,) = hands.workers
    async with hands.turning():
        await hands.send(GO)
        await hands.until(begun.is_set, "the thread is busy")
        (run,) = await hands.runs("shop/stubborn")
        await hands.cancel(run.row.id)
        await cancelled(hands, "shop/stubborn")
        assert worker.hand.lingering == {run.row.id}
        assert (worker.hand.room, worker.environment.abandoned.count) == (3, 1)
        assert run.row.id in worker.hand.known()
        await worker._reconciler.compare()
        go_on.set()
        await hands.until(lambda: worker.hand.room == 4, "its place is free")
    assert ended.is_set()
    assert (worker.hand.lingering, worker.environment.abandoned.count) == (frozenset(), 0)
    assert not worker.hand.known()
    assert not (await hands.runs("shop/stubborn"))[0].memos


async def test_what_is_suspended_while_its_code_is_still_being_left_is_no_loss(hands: Hands) -> None:
    leaving, left = asyncio.Event(), asyncio.Event()
    app = App("shop")

    @app.function("slow-to-leave", triggers=[EventTrigger(GO)])
    async def slow_to_leave(ctx: Context) -> None:
        try:
            await ctx.step.sleep("long", "1h")
        finally:
            leaving.set()
            await left.wait()

    await hands.begin(app)
    (worker,) = hands.workers
    async with hands.turning():
        await hands.send(GO)
        await leaving.wait()
        await hands.asleep("shop/slow-to-leave")
        assert worker.hand.executing == 1
        await worker._reconciler.compare()
        left.set()
        await hands.until(lambda: not worker.executions, "it is out of hand")
    assert [line for line in hands.lines if line["event"].startswith("run.")] == []


@on("redis7")
async def test_the_loops_of_a_worker_stop_it_within_two_seconds_without_a_hint(hands: Hands) -> None:
    body = Body()
    await hands.begin(app_of(body))
    (worker,) = hands.workers
    worker._listener._cancelled = lambda _run_id, _why: None
    await worker.start()
    await hands.send(GO)
    await hands.until(lambda: body.begun, "the body has begun")
    (run,) = await hands.runs("shop/long")
    loop = asyncio.get_running_loop()
    since_s = loop.time()
    await hands.cancel(run.row.id)
    await hands.until(lambda: body.cancelled, "the body is stopped")
    assert loop.time() - since_s < 2.5
    await worker.drain(1)
    assert [line["why"] for line in hands.said("run.cancelled")] == [WHY]


# --- when hands are compared


class Compared:
    """A reconciler by a clock that the test moves, over runs that are only counted."""

    def __init__(self) -> None:
        self.hand = Hand(10)
        self.calls = 0
        self.now_s = 1000.0
        claimer: Any = self
        self.claiming = asyncio.Lock()
        self.lease = "L"
        runs: Any = self
        self.reconciler = Reconciler(runs, claimer, self.hand, structlog.get_logger(), clock=lambda: self.now_s)

    def draw(self) -> int:
        return 0

    async def release_strangers(self, _lease: str, _number: int, _known: Any) -> tuple[list[str], list[str]]:
        self.calls += 1
        return [], []

    async def tick(self, count: int = 1, *held: str) -> int:
        """This many rounds with these runs in hand. Returns the comparisons that they made."""
        before = self.calls
        for _ in range(count):
            self.hand._executing = dict.fromkeys(held)  # type: ignore[arg-type]
            self.now_s += await self.reconciler.run_once()
        return self.calls - before


async def test_an_idle_child_compares_every_thirty_seconds() -> None:
    compared = Compared()
    assert await compared.tick() == 1, "the first time"
    assert await compared.tick(29) == 0
    assert await compared.tick(30) == 1


async def test_runs_that_are_short_are_not_compared() -> None:
    compared = Compared()
    await compared.tick()
    assert sum([await compared.tick(1, f"run-{n}", f"run-{n}b") for n in range(25)]) == 0


async def test_a_run_that_stays_is_compared_within_two_seconds_of_anything() -> None:
    compared = Compared()
    await compared.tick()
    assert await compared.tick(1, "run") == 0, "it may be short"
    assert await compared.tick(1, "run") == 1
    assert await compared.tick(10, "run") == 5


async def test_a_child_that_was_cut_off_compares_at_once() -> None:
    compared = Compared()
    await compared.tick(2)
    compared.reconciler.ask()
    assert await compared.tick() == 1
    assert await compared.tick() == 0
