"""Slots of what executes: none returns before the code that has it has ended, however its run is lost (decision 013)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from durableq import App, Backoff, Concurrency, Context, EventTrigger, SyncContext, Timeouts
from durableq.store.leases import Leases
from tests.servers import RealServer, Server, on
from tests.services.hands import Hands
from tests.services.overlaps import Overlaps

GO = "go"
KINDS = ["async", "def", "async step in a thread"]


@pytest.fixture
def deaf() -> Deaf:
    return Deaf()


@pytest_asyncio.fixture
async def hands(server: Server, deaf: Deaf) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    deaf.let_all.set()  # or a test that has failed would never end
    await found.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that does not end is given up on after a tenth of a second, not after five."""
    monkeypatch.setattr("durableq.engine.leaving.LEAVE_S", 0.1)


class Deaf:
    """Bodies of one step that end when they are let, whatever cancels them; `let` by run, or all from then on."""

    def __init__(self) -> None:
        self.ledger = Overlaps()
        self.let_all = threading.Event()
        self._let: dict[str, threading.Event] = {}

    def let(self, run_id: str) -> None:
        self._of(run_id).set()

    def _of(self, run_id: str) -> threading.Event:
        return self._let.setdefault(run_id, threading.Event())

    def _may_end(self, run_id: str) -> bool:
        return self.let_all.is_set() or self._of(run_id).is_set()

    async def awaits(self, run_id: str) -> None:
        with self.ledger.body(run_id):
            while not self._may_end(run_id):
                try:
                    await asyncio.sleep(0.002)
                except asyncio.CancelledError:
                    continue

    def blocks(self, run_id: str) -> None:
        with self.ledger.body(run_id):
            while not self._may_end(run_id):
                self._of(run_id).wait(0.002)


def app_of(deaf: Deaf, kind: str, **options: Any) -> App:
    app = App("shop")
    chosen: dict[str, Any] = {"concurrency": 1, "retries": 0} | options
    declare = app.function("deaf", triggers=[EventTrigger(GO)], **chosen)
    if kind == "def":

        @declare
        def plainly(ctx: SyncContext) -> str:
            ctx.step.run("body", deaf.blocks, ctx.run_id)
            return "done"

    else:
        body: Callable[[str], Any] = deaf.awaits if kind == "async" else deaf.blocks

        @declare
        async def function(ctx: Context) -> str:
            await ctx.step.run("body", body, ctx.run_id)
            return "done"

    return app


async def one_begins(hands: Hands, deaf: Deaf, count: int = 1) -> str:
    """Wait until this many bodies have begun. Returns the run of the last."""
    await hands.until(lambda: len(deaf.ledger.began) >= count, f"{count} bodies have begun")
    assert len(deaf.ledger.began) == count
    return deaf.ledger.began[-1]


async def lingers(hands: Hands) -> None:
    """Wait until the code in the first worker's hand was given up on."""
    worker = hands.workers[0]
    await hands.until(lambda: worker.environment.abandoned and not worker.executions, "it was given up on")


async def given_up(hands: Hands) -> None:
    """The same, and hands were compared once more; its slots are with the lease."""
    await lingers(hands)
    await compared(hands)


async def compared(hands: Hands) -> None:
    """Hands are compared; the slots of one body that nobody waits for are with the leases after that."""
    for worker in hands.workers:
        await worker._reconciler.compare()
    leaving = [await hands.calls.read("HLEN", hands.calls.key("leaving", worker._lease)) for worker in hands.workers]
    assert sum(leaving) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_body_that_goes_on_keeps_its_slot_until_it_ends(hands: Hands, deaf: Deaf, kind: str) -> None:
    """91, 92: whatever compares hands meanwhile; and it returns at once then, without a comparison."""
    await hands.begin(app_of(deaf, kind))
    async with hands.turning():
        await hands.send(GO, {}, {}, {})
        run = await one_begins(hands, deaf)
        await hands.cancel(run)
        await given_up(hands)
        worker = hands.workers[0]
        assert worker.hand.lingering == {run}
        assert worker.hand.room == 99
        assert deaf.ledger.began == [run]
        worker._reconciler.compare = None  # type: ignore[assignment,method-assign]
        deaf.let(run)
        second = await one_begins(hands, deaf, 2)
        assert worker.hand.room == 99
        assert not worker.hand.lingering
        deaf.let_all.set()
        states = {details.row.id: details.row.state for details in await hands.ended("shop/deaf", 3)}
    assert (states[run], states[second]) == ("x", "c")
    assert deaf.ledger.most[""] == 1


LIMITS: dict[str, dict[str, Any]] = {
    "for a turn": {"concurrency": 1},
    "for a run": {"concurrency": Concurrency(1, hold="run")},
    "of a key": {"concurrency": Concurrency(1, key="'everybody'", scope="app")},
}


@on("fake", "redis7")
@pytest.mark.parametrize("limit", list(LIMITS))
async def test_a_run_over_its_finish_timeout_keeps_its_slot_until_its_body_ends(
    hands: Hands, deaf: Deaf, limit: str
) -> None:
    await hands.begin(app_of(deaf, "async", timeouts=Timeouts(finish="100ms"), **LIMITS[limit]))
    async with hands.turning():
        await hands.send(GO, {}, {})
        run = await one_begins(hands, deaf)
        await given_up(hands)
        assert {details.row.id: details.row.state for details in await hands.ended("shop/deaf")}[run] == "x"
        assert deaf.ledger.began == [run]
        deaf.let(run)
        await one_begins(hands, deaf, 2)
        deaf.let_all.set()
        await hands.ended("shop/deaf", 2)
    assert deaf.ledger.most[""] == 1


@on("fake", "redis7")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_singleton_that_is_replaced_begins_when_the_body_before_has_ended(
    hands: Hands, deaf: Deaf, kind: str
) -> None:
    """128, 130: of three the last begins."""
    await hands.begin(app_of(deaf, kind, concurrency=None, singleton="cancel"))
    async with hands.turning():
        await hands.send(GO)
        run = await one_begins(hands, deaf)
        await hands.send(GO)
        await hands.send(GO)
        await given_up(hands)
        await hands.ended("shop/deaf", 2, states="x")
        assert deaf.ledger.began == [run]
        deaf.let(run)
        last = await one_begins(hands, deaf, 2)
        deaf.let_all.set()
        states = await hands.ended("shop/deaf", 3)
    assert {details.row.id: details.row.state for details in states} == {
        details.row.id: "c" if details.row.id == last else "x" for details in states
    }
    assert deaf.ledger.most[""] == 1


@pytest.mark.parametrize("plainly", [True, False], ids=["def", "async"])
@pytest.mark.parametrize("retries", [0, 1])
@on("fake", "redis7")
async def test_a_thread_past_its_timeout_keeps_the_slot_of_the_turn_that_ended_without_it(
    hands: Hands, deaf: Deaf, plainly: bool, retries: int
) -> None:
    """Whether the run fails or tries again; a retry begins, wherever, when the thread of the attempt before has ended."""
    app = App("shop")
    declare = app.function(
        "hung", triggers=[EventTrigger(GO)], retries=retries, backoff=Backoff.fixed("10ms", jitter=0), concurrency=1
    )
    if plainly:

        @declare
        def hung(ctx: SyncContext) -> None:
            ctx.step.options(timeout="50ms").run("body", deaf.blocks, ctx.run_id)

    else:

        @declare
        async def function(ctx: Context) -> None:
            await ctx.step.options(timeout="50ms").run("body", deaf.blocks, ctx.run_id)

    await hands.begin(app)
    await hands.hire(app)
    first, other = hands.workers
    async with hands.turning():
        await hands.send(GO, {})
        run = await one_begins(hands, deaf)
        await hands.send(GO, {})
        if retries:
            await hands.until(lambda: not any(worker.hand.executing for worker in hands.workers), "it is suspended")
        else:
            await hands.ended("shop/hung", 1, states="f")
        await compared(hands)
        assert deaf.ledger.began == [run]
        assert {first.hand.room, other.hand.room} == {100}, "it keeps no place: its turn ended in order"
        deaf.let_all.set()
        await hands.ended("shop/hung", 2)
    assert len(deaf.ledger.began) == 2 + (retries and deaf.ledger.began.count(run) - 1)
    assert deaf.ledger.most[""] == 1


@pytest.mark.parametrize("end", ["returns", "raises"])
@on("fake", "redis7")
async def test_a_branch_that_swallows_its_cancellation_keeps_the_slot_of_its_function(
    hands: Hands, deaf: Deaf, end: str
) -> None:
    app = App("shop")

    @app.function("left", triggers=[EventTrigger(GO)], retries=0, concurrency=1)
    async def left(ctx: Context) -> None:
        branch = asyncio.ensure_future(ctx.step.run("body", deaf.awaits, ctx.run_id))
        while ctx.run_id not in deaf.ledger.began:
            await asyncio.sleep(0)
        if end == "raises":
            raise ValueError("no")
        del branch

    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO, {}, {})
        run = await one_begins(hands, deaf)
        await hands.ended("shop/left", 1)
        await compared(hands)
        assert deaf.ledger.began == [run]
        deaf.let(run)
        await one_begins(hands, deaf, 2)
        deaf.let_all.set()
        await hands.ended("shop/left", 2)
    assert deaf.ledger.most[""] == 1


@on("fake", "redis7")
async def test_what_does_not_end_is_told_apart_by_whether_others_may_wait_for_its_slots(
    hands: Hands, deaf: Deaf
) -> None:
    """The child of a worker is replaced then: --stuck-after."""
    app = App("shop")

    def declare(name: str, limit: int | None) -> None:
        @app.function(name, triggers=[EventTrigger(GO)], retries=0, concurrency=limit)
        async def function(ctx: Context) -> None:
            await ctx.step.run("body", deaf.blocks, ctx.run_id)

    declare("limited", 1)
    declare("plain", None)
    await hands.begin(app)
    (worker,) = hands.workers
    async with hands.turning():
        await hands.send(GO)
        await one_begins(hands, deaf, 2)
        await hands.cancel(*deaf.ledger.began)
        await lingers(hands)
        (limited,) = await hands.states("shop/limited")
        assert sorted(worker.hand.overdue(-1.0)) == sorted(deaf.ledger.began)
        assert await worker.keeps_others_out(-1.0) == [limited]
        assert await worker.keeps_others_out(60.0) == []
        deaf.let_all.set()
        await hands.until(lambda: not worker.hand.lingering, "they have ended")
        assert await worker.keeps_others_out(-1.0) == []


async def living(hands: Hands) -> set[str]:
    """The leases that live."""
    return {raw.decode() for raw in await hands.calls.read("ZRANGE", hands.calls.key("leases"), 0, -1)}


@pytest.mark.parametrize("kind", KINDS)
@on("redis7", "valkey")
async def test_who_has_lost_its_lease_begins_no_other_before_its_bodies_have_ended(
    hands: Hands, deaf: Deaf, kind: str
) -> None:
    """The run executes elsewhere by then: limits count bodies of processes that hold a lease, and this one holds none."""
    app = app_of(deaf, kind)
    await hands.begin(app)
    (loser,) = hands.workers
    async with hands.turning():
        await hands.send(GO, {}, {})
        run = await one_begins(hands, deaf)
        lost = loser._lease
        rescuer = await hands.hire(app)
        await Leases(hands.calls).close_lease(lost, crashed=False, reason="rescued", keep_failed=100)
        await hands.until(lambda: deaf.ledger.began == [run, run], "it executes elsewhere")
        await lingers(hands)
        assert await living(hands) == {rescuer._lease}
        assert hands.said("lease.lost")
        deaf.let(run)
        await hands.until(lambda: loser._lease != lost, "another lease begins")
        deaf.let_all.set()
        assert [details.row.state for details in await hands.ended("shop/deaf", 2)] == ["c", "c"]
    assert await living(hands) == {rescuer._lease, loser._lease}
    assert not loser.overstayed


@on("redis7")
async def test_a_process_whose_lost_bodies_do_not_end_asks_to_be_replaced(
    hands: Hands, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durableq.services.worker.LOST_S", 0.2)
    await hands.begin(app_of(deaf, "def"))
    (worker,) = hands.workers
    async with hands.turning():
        await hands.send(GO)
        run = await one_begins(hands, deaf)
        await Leases(hands.calls).close_lease(worker._lease, crashed=False, reason="rescued", keep_failed=100)
        await hands.until(lambda: worker.overstayed, "it has to go")
        assert hands.said("code.goes_on")[0]["runs"] == [run]
        assert await living(hands) == set()
        deaf.let_all.set()
        await hands.until(lambda: not worker.overstayed, "its bodies have ended after all")
        await hands.ended("shop/deaf", states="c")
    assert deaf.ledger.most[""] == 1


@pytest.mark.parametrize("kind", KINDS)
@on("fake", "redis7")
async def test_a_drain_leaves_the_lease_to_the_parent_while_a_body_executes(
    hands: Hands, deaf: Deaf, kind: str
) -> None:
    app = app_of(deaf, kind)
    await hands.begin(app)
    leaving = hands.workers[0]
    async with hands.turning():
        await hands.send(GO)
        run = await one_begins(hands, deaf)
        hands.workers.remove(leaving)
        await hands.hire(app)
        assert await leaving.drain(0, heir=True) is False
        assert leaving._lease in await living(hands)
        assert deaf.ledger.began == [run]
        deaf.let_all.set()  # as its process ends
        await hands.until(lambda: not leaving.environment.abandoned and not leaving.executions, "it has ended")
        await Leases(hands.calls).close_lease(leaving._lease, crashed=False, reason="it left", keep_failed=100)
        (details,) = await hands.ended("shop/deaf", states="c")
    assert (details.row.deaths, deaf.ledger.began, deaf.ledger.most[""]) == (0, [run, run], 1)


@on("fake", "redis7")
async def test_a_drain_closes_the_lease_when_what_it_cancels_has_ended(hands: Hands) -> None:
    ledger, begun = Overlaps(), asyncio.Event()
    app = App("shop")

    async def tidy(run_id: str) -> None:
        with ledger.body(run_id):
            if not begun.is_set():
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0.05)  # what a `finally` block takes

    @app.function("tidy", triggers=[EventTrigger(GO)], concurrency=1)
    async def function(ctx: Context) -> None:
        await ctx.step.run("body", tidy, ctx.run_id)

    await hands.begin(app)
    leaving = hands.workers[0]
    async with hands.turning():
        await hands.send(GO)
        await begun.wait()
        hands.workers.remove(leaving)
        await hands.hire(app)
        assert await leaving.drain(0, heir=True) is True
        assert leaving._lease not in await living(hands)
        await hands.ended("shop/tidy", states="c")
    assert (len(ledger.began), ledger.most[""]) == (2, 1)


@on("redis7")
@pytest.mark.parametrize("kind", ["async", "def"])
async def test_a_body_that_ends_while_redis_is_away_gives_its_slot_back_when_it_is_back(
    hands: Hands, deaf: Deaf, server: RealServer, kind: str
) -> None:
    await hands.begin(app_of(deaf, kind))
    (worker,) = hands.workers
    async with hands.turning():
        await hands.send(GO, {}, {})
        run = await one_begins(hands, deaf)
        await hands.cancel(run)
        await given_up(hands)
        server.kill()
        deaf.let(run)
        await hands.until(lambda: not worker.environment.abandoned, "the body has ended")
        server.restart()
        await one_begins(hands, deaf, 2)
        deaf.let_all.set()
        await hands.ended("shop/deaf", 2)
    assert deaf.ledger.most[""] == 1


@on("fake", "redis7")
async def test_a_body_that_ends_by_itself_after_its_cancellation_frees_its_slot_at_once(hands: Hands) -> None:
    """As nearly always: without being given up on, and without a comparison of hands."""
    ledger = Overlaps()
    app = App("shop")

    async def body(run_id: str) -> None:
        with ledger.body(run_id):
            if len(ledger.began) == 1:
                await asyncio.Event().wait()

    @app.function("nice", triggers=[EventTrigger(GO)], concurrency=1)
    async def nice(ctx: Context) -> None:
        await ctx.step.run("body", body, ctx.run_id)

    await hands.begin(app)
    hands.workers[0]._reconciler.compare = None  # type: ignore[assignment,method-assign]
    async with hands.turning():
        await hands.send(GO, {}, {})
        await hands.until(lambda: ledger.began, "the first body has begun")
        await hands.cancel(ledger.began[0])
        await hands.ended("shop/nice", states="c")
    assert (len(ledger.began), ledger.most[""]) == (2, 1)


@on("fake", "redis7")
async def test_what_an_async_function_does_on_its_way_out_to_sleep_keeps_the_slot_of_the_turn(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is suspended first, since there may be news; its `finally` blocks execute behind that."""
    monkeypatch.setattr("durableq.engine.leaving.LEAVE_S", 5.0)
    ledger, go_on = Overlaps(), asyncio.Event()
    app = App("shop")

    @app.function("tidy", triggers=[EventTrigger(GO)], concurrency=1)
    async def tidy(ctx: Context) -> None:
        with ledger.body(ctx.run_id):
            try:
                await ctx.step.sleep("nap", 0.01)
            finally:
                await go_on.wait()

    await hands.begin(app)
    await hands.hire(app)
    async with hands.turning():
        await hands.send(GO, {}, {})
        run = await one_begins_in(hands, ledger)
        await hands.until(
            lambda: any(held._parted for worker in hands.workers for held in held_by(worker)), "suspended"
        )
        for worker in hands.workers:
            await worker._reconciler.compare()
        assert ledger.began == [run]
        go_on.set()
        await hands.ended("shop/tidy", 2)
    assert ledger.most[""] == 1
    assert not await hands.calls.read("KEYS", hands.calls.key("slots", "*"))


@on("fake", "redis7")
@pytest.mark.parametrize("options", [{"singleton": "cancel"}, {"concurrency": Concurrency(1, hold="run")}], ids=str)
async def test_a_run_that_is_cancelled_while_its_code_leaves_to_sleep_keeps_its_slot_until_it_has(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr("durableq.engine.leaving.LEAVE_S", 5.0)
    ledger, go_on = Overlaps(), asyncio.Event()
    app = App("shop")

    @app.function("tidy", triggers=[EventTrigger(GO)], **options)
    async def tidy(ctx: Context) -> None:
        with ledger.body(ctx.run_id):
            try:
                await ctx.step.sleep("nap", "1h" if len(ledger.began) == 1 else 0.01)
            finally:
                await go_on.wait()

    @app.function("probe", triggers=[EventTrigger("probe")])
    async def probe(ctx: Context) -> None:
        """Ends when whoever might have begun before has had the time."""

    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO)
        run = await one_begins_in(hands, ledger)
        await hands.until(lambda: any(held._parted for held in held_by(hands.workers[0])), "it is suspended")
        await hands.send(GO)
        if "concurrency" in options:
            await hands.cancel(run)
        await hands.ended("shop/tidy", 1, states="x")
        await hands.workers[0]._reconciler.compare()
        await hands.send("probe")
        await hands.ended("shop/probe")
        assert ledger.began == [run]
        go_on.set()
        await hands.ended("shop/tidy", 2)
    assert ledger.most[""] == 1
    assert not await hands.calls.read("KEYS", hands.calls.key("slots", "*"))


async def one_begins_in(hands: Hands, ledger: Overlaps) -> str:
    await hands.until(lambda: ledger.began, "a body has begun")
    return ledger.began[0]


def held_by(worker: Any) -> list[Any]:
    return list(worker.hand._executing.values())
