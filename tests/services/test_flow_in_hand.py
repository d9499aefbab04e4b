"""Flow control by real workers: what executes at once, what waits, and in which order. Bodies write a ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

import durableq as dq
from durableq.cli.deployment import declarations_of
from durableq.model.failure import Failure
from durableq.services.flow_skips import skips_of
from durableq.store.flow import Flow
from durableq.store.flow_reads import FlowReads
from durableq.store.registry import Registry
from durableq.words.errors import RunSkipped
from tests.servers import Server, on
from tests.services.hands import Hands
from tests.services.overlaps import Overlaps

GO = "go"
KINDS = ["async", "def"]
BODY_S = 0.01


@pytest_asyncio.fixture
async def hands(server: Server) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    await found.close()


class Work:
    """What bodies do, `def` or `async def`: each is in the ledger while it executes, under the key of its event."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.ledger = Overlaps()
        self.began: list[tuple[Any, float]] = []
        """The events' `n`, and when, in order."""

    def function(
        self, app: dq.App, id: str, *, steps: int = 1, nap: float = 0.02, triggers: Any = None, **options: Any
    ) -> dq.Function[Any]:
        """A function with this many bodies and a sleep between."""
        declare = app.function(id, triggers=triggers or [dq.EventTrigger(GO)], retries=0, **options)
        if self.kind == "def":

            @declare
            def plainly(ctx: dq.SyncContext) -> Any:
                for step in range(steps):
                    if step:
                        ctx.step.sleep("nap", nap)
                    ctx.step.run("body", self._plain, ctx.run_id, ctx.event.data)
                return ctx.event.data.get("n")

            return plainly

        @declare
        async def function(ctx: dq.Context) -> Any:
            for step in range(steps):
                if step:
                    await ctx.step.sleep("nap", nap)
                await ctx.step.run("body", self._awaited, ctx.run_id, ctx.event.data)
            return ctx.event.data.get("n")

        return function

    def _begins(self, data: dict[str, Any]) -> str:
        self.began.append((data.get("n"), time.monotonic()))
        return str(data.get("k", ""))

    def _plain(self, run_id: str, data: dict[str, Any]) -> None:
        with self.ledger.body(run_id, self._begins(data)):
            time.sleep(BODY_S)

    async def _awaited(self, run_id: str, data: dict[str, Any]) -> None:
        with self.ledger.body(run_id, self._begins(data)):
            await asyncio.sleep(BODY_S)


@pytest.fixture(params=KINDS)
def work(request: pytest.FixtureRequest) -> Work:
    return Work(request.param)


async def done(hands: Hands, app: dq.App, function: str, events: list[dict[str, Any]], workers: int = 2) -> list[Any]:
    """Send these to two workers, and wait for what they come to."""
    await hands.begin(app)
    for _ in range(workers - 1):
        await hands.hire(app)
    async with hands.turning():
        await hands.send(GO, *events)
        return await hands.results(function, len(events))


# --- concurrency


async def test_no_more_than_the_limit_execute_at_once_in_two_workers(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    work.function(app, "f", concurrency=3)
    assert sorted(await done(hands, app, "shop/f", [{"n": n} for n in range(20)])) == list(range(20))
    assert work.ledger.most[""] == 3


@on("redis7")
async def test_each_key_has_its_limit_and_the_function_one_for_all(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    work.function(app, "f", concurrency=[dq.Concurrency(2, key="event.data.k"), dq.Concurrency(3)])
    seen: list[int] = []
    begins = work._begins

    def watched(data: dict[str, Any]) -> str:
        seen.append(sum(work.ledger._now.values()) + 1)
        return begins(data)

    work._begins = watched  # type: ignore[method-assign]
    await done(hands, app, "shop/f", [{"n": n, "k": "abc"[n % 3]} for n in range(24)])
    assert max(work.ledger.most.values()) == 2
    assert max(seen) == 3


@on("redis7")
async def test_what_sleeps_holds_no_slot_and_with_hold_run_it_does(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    work.function(app, "turns", concurrency=1, steps=2, nap=0.5)
    work.function(
        app, "runs", concurrency=dq.Concurrency(1, hold="run"), steps=2, triggers=[dq.EventTrigger("go/runs")]
    )
    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO, {"n": 1}, {"n": 2})
        await hands.results("shop/turns", 2)
        turns, work.began = [n for n, _ in work.began], []
        await hands.send("go/runs", {"n": 1}, {"n": 2})
        await hands.results("shop/runs", 2)
    assert turns[:2] == [1, 2], "2 began while 1 slept"
    assert [n for n, _ in work.began] == [1, 1, 2, 2]
    assert work.ledger.most[""] == 1


@on("redis7")
async def test_functions_share_a_limit_of_the_app_and_apps_one_of_the_namespace(hands: Hands, work: Work) -> None:
    shop, post = dq.App("shop"), dq.App("post")
    wide = dq.Concurrency(2, key="'printer'", scope="namespace")
    work.function(shop, "a", concurrency=[wide, dq.Concurrency(1, key="event.data.k", scope="app")])
    work.function(shop, "b", concurrency=[wide, dq.Concurrency(1, key="event.data.k + ''", scope="app")])
    work.function(post, "c", concurrency=wide)
    await hands.begin(shop, post)
    async with hands.turning():
        await hands.send(GO, *[{"n": n, "k": "x"} for n in range(6)])
        for function in ("shop/a", "shop/b", "post/c"):
            await hands.results(function, 6)
    assert work.ledger.most["x"] == 2, "one of the shop's, and one of the post's"


async def test_of_one_key_the_oldest_is_next_and_the_most_urgent_before_it(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    work.function(app, "f", concurrency=1, priority="event.data.vip ? 600 : 0")
    await hands.begin(app)
    await hands.send(GO, *[{"n": n, "vip": n in (5, 7)} for n in range(8)])
    await hands.workers[0]._router.route()
    async with hands.turning():
        await hands.results("shop/f", 8)
    assert [n for n, _ in work.began] == [5, 7, 0, 1, 2, 3, 4, 6]


@on("redis7")
async def test_a_blocked_key_holds_up_no_other(hands: Hands) -> None:
    app, let = dq.App("shop"), asyncio.Event()

    @app.function("f", triggers=[dq.EventTrigger(GO)], concurrency=dq.Concurrency(1, key="event.data.k"))
    async def function(ctx: dq.Context) -> str:
        if ctx.event.data["k"] == "slow":
            await ctx.step.run("wait", let.wait)
        return str(ctx.event.data["k"])

    await hands.begin(app, concurrency=2)
    async with hands.turning():
        await hands.send(GO, *[{"k": "slow"}] * 50, {"k": "quick"})
        await hands.results("shop/f", 1)
        assert list((await hands.states("shop/f")).values()).count("r") == 1
        let.set()
        assert sorted(await hands.results("shop/f", 51)) == ["quick"] + ["slow"] * 50


@on("redis7")
async def test_a_deploy_that_raises_a_limit_lets_what_waits_go_at_once(hands: Hands) -> None:
    let, ledger = asyncio.Event(), Overlaps()

    def declared(limit: int) -> dq.App:
        app = dq.App("shop")

        @app.function("f", triggers=[dq.EventTrigger(GO)], concurrency=limit)
        async def function(ctx: dq.Context) -> None:
            async def body() -> None:
                with ledger.body(ctx.run_id):
                    await let.wait()

            await ctx.step.run("body", body)

        return app

    await hands.begin(declared(1))
    async with hands.turning():
        await hands.send(GO, *[{}] * 5)
        await hands.until(lambda: len(ledger.began) == 1, "one has begun")
        await Registry(hands.calls).register_app("shop", "r2", declarations_of(declared(4)))
        await hands.until(lambda: len(ledger.began) == 4, "four have begun")
        await Registry(hands.calls).register_app("shop", "r3", declarations_of(declared(2)))
        let.set()
        await hands.results("shop/f", 5)
    assert ledger.most[""] == 4


# --- throttle


@on("redis7")
async def test_starts_are_spaced_and_none_is_lost(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    work.function(app, "f", throttle=dq.Throttle(20, period="1s"))
    assert sorted(await done(hands, app, "shop/f", [{"n": n} for n in range(6)])) == list(range(6))
    assert [n for n, _ in work.began] == list(range(6))
    rows = [details.row for details in await hands.runs("shop/f")]
    begun = sorted(row.begun_at_ms or 0 for row in rows)
    assert min(later - one for one, later in pairwise(begun)) >= 50 * 0.95 - 1


async def test_a_throttle_lets_a_burst_go_and_keys_do_not_wait_for_each_other(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    work.function(app, "f", throttle=dq.Throttle(1, period="1h", burst=3, key="event.data.k"))
    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO, *[{"n": n, "k": n % 2} for n in range(10)])
        await hands.results("shop/f", 6)
        assert sorted(n for n, _ in work.began) == [0, 1, 2, 3, 4, 5]
        assert sorted((await hands.states("shop/f")).values()) == ["c"] * 6 + ["q"] * 4


@on("redis7")
async def test_the_most_urgent_of_what_waits_for_a_throttle_is_next(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    work.function(app, "f", throttle=dq.Throttle(20, period="1s"), priority="event.data.n * 10")
    await hands.begin(app)
    await hands.send(GO, *[{"n": n} for n in range(5)])
    await hands.workers[0]._router.route()
    async with hands.turning():
        await hands.results("shop/f", 5)
    assert [n for n, _ in work.began] == [4, 3, 2, 1, 0]


# --- what is held back, and singletons


@on("redis7")
async def test_a_batch_is_one_run_with_all_events(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    declare = app.function("f", triggers=[dq.EventTrigger(GO)], batch=dq.Batch(4, timeout="1s"))
    if work.kind == "def":

        @declare
        def plainly(ctx: dq.SyncContext) -> list[int]:
            return [event.data["n"] for event in ctx.events]

    else:

        @declare
        async def function(ctx: dq.Context) -> list[int]:
            return [event.data["n"] for event in ctx.events]

    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO, *[{"n": n} for n in range(6)])
        assert sorted(await hands.results("shop/f", 2)) == [[0, 1, 2, 3], [4, 5]]


@on("redis7")
async def test_a_debounce_gives_the_newest_event(hands: Hands) -> None:
    app, work = dq.App("shop"), Work("def")
    work.function(app, "f", debounce=dq.Debounce("1s", key="event.data.k"))
    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO, *[{"n": n, "k": n % 2} for n in range(6)])
        assert sorted(await hands.results("shop/f", 2)) == [4, 5]


async def test_a_singleton_that_cancels_has_one_body_at_every_instant(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    work.function(app, "f", singleton="cancel", steps=3)
    await hands.begin(app)
    async with hands.turning():
        for n in range(4):
            await hands.send(GO, {"n": n})
            await hands.until(lambda n=n: n in [one for one, _ in work.began], f"{n} has begun")
        await hands.ended("shop/f", 4)
    states = list((await hands.states("shop/f")).values())
    assert states == ["x", "x", "x", "c"]
    assert work.ledger.most[""] == 1


# --- invokes that are skipped


Invokes = Callable[..., None]


def invoked_in_async(app: dq.App, child: dq.Function[Any], **options: Any) -> None:
    @app.function("parent", triggers=[dq.EventTrigger("parent")], retries=0, **options)
    async def parent(ctx: dq.Context) -> Any:
        try:
            return await ctx.step.invoke("child", child, data=ctx.event.data)
        except dq.StepError as error:
            return [error.matches(dq.RunSkipped), error.matches(dq.RunCancelled), error.name, error.message]


def invoked_in_def(app: dq.App, child: dq.Function[Any], **options: Any) -> None:
    @app.function("parent", triggers=[dq.EventTrigger("parent")], retries=0, **options)
    def parent(ctx: dq.SyncContext) -> Any:
        try:
            return ctx.step.invoke("child", child, data=ctx.event.data)
        except dq.StepError as error:
            return [error.matches(dq.RunSkipped), error.matches(dq.RunCancelled), error.name, error.message]


@pytest.mark.parametrize("invoking", [invoked_in_async, invoked_in_def], ids=KINDS)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"idempotency": "event.data.k"}, "(idempotency, key 'a'): run "),
        ({"rate_limit": dq.RateLimit(1, period="1h")}, "(rate_limit): as many have been started"),
    ],
)
async def test_an_invoke_that_is_skipped_is_an_error_at_its_step_that_says_why(
    hands: Hands, invoking: Invokes, options: dict[str, Any], told: str
) -> None:
    app = dq.App("shop")
    child = Work("async").function(app, "child", triggers=[dq.EventTrigger("never")], **options)
    invoking(app, child)
    await hands.begin(app)
    async with hands.turning():
        await hands.send("parent", {"n": 1, "k": "a"})
        assert await hands.results("shop/parent") == [1]
        await hands.send("parent", {"n": 2, "k": "a"})
        _, second = await hands.results("shop/parent", 2)
    matches, matches_other, name, message = second
    assert (matches, matches_other, name) == (True, False, "RunSkipped")
    assert message.startswith(f"shop/child was not started {told}"), message


@pytest.mark.parametrize("invoking", [invoked_in_async, invoked_in_def], ids=KINDS)
async def test_an_invoke_that_would_wait_for_itself_is_refused_at_its_step(hands: Hands, invoking: Invokes) -> None:
    app = dq.App("shop")
    shared = dq.Concurrency(1, key="'one'", scope="app", hold="run")
    child = Work("async").function(app, "child", triggers=[dq.EventTrigger("never")], concurrency=shared)
    invoking(app, child, concurrency=shared)
    await hands.begin(app)
    async with hands.turning():
        await hands.send("parent", {"n": 1})
        ((matches, _, name, message),) = await hands.results("shop/parent")
    assert (matches, name) == (True, "RunSkipped")
    assert message.startswith("shop/child was not started (concurrency, key 'one'): it would wait for itself"), message
    (skip,) = await skips_of(Flow(hands.calls), FlowReads(hands.calls), "shop/child", 10)
    (parent,) = await hands.states("shop/parent")
    assert skip.why.startswith(f"it would have waited for itself for key 'one': run {parent}, or another"), skip


@on("redis7")
async def test_a_parent_that_does_not_catch_it_fails_with_it(hands: Hands) -> None:
    app = dq.App("shop")
    child = Work("async").function(app, "child", steps=2, singleton="skip")

    @app.function("parent", triggers=[dq.EventTrigger("parent")], retries=0)
    async def parent(ctx: dq.Context) -> Any:
        return await asyncio.gather(*(ctx.step.invoke(f"child-{n}", child, data={"n": n}) for n in range(2)))

    await hands.begin(app)
    async with hands.turning():
        await hands.send("parent", {})
        (failure,) = await hands.results("shop/parent")
    assert isinstance(failure, Failure)
    assert failure.name == RunSkipped.__name__
    assert "(singleton): run " in failure.message


@on("redis7")
async def test_invokes_wait_in_the_same_lanes_as_events(hands: Hands, work: Work) -> None:
    app = dq.App("shop")
    child = work.function(app, "child", concurrency=1)

    @app.function("parent", triggers=[dq.EventTrigger("parent")])
    async def parent(ctx: dq.Context) -> Any:
        return await asyncio.gather(*(ctx.step.invoke(f"child-{n}", child, data={"n": n}) for n in range(5)))

    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO, {"n": 9}, {"n": 9})
        await hands.send("parent", {})
        assert await hands.results("shop/parent") == [list(range(5))]
        await hands.results("shop/child", 7)
    assert work.ledger.most[""] == 1
