"""Flow control in the test environment: the same rules as in production, on the virtual clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import durableq as dq
from durableq.testing import TestEnv
from tests.testing.shop import World

NOON = "2030-01-31T12:00:00+00:00"
GO = dq.EventTrigger("go")
KINDS = ["async", "def"]


def app_of(world: World, kind: str = "async", *, sleep: str = "", **options: Any) -> dq.App:
    """A function `f` that notes its events, and its time; with a sleep behind that, if there is one."""
    app = dq.App("shop")
    declare = app.function("f", triggers=options.pop("triggers", [GO]), **options)
    if kind == "def":

        @declare
        def plainly(ctx: dq.SyncContext) -> Any:
            ctx.step.run("note", world.does, noted(ctx.events))
            if sleep:
                ctx.step.sleep("nap", sleep)
            return f"{ctx.now():%H:%M:%S}"

    else:

        @declare
        async def function(ctx: dq.Context) -> Any:
            await ctx.step.run("note", world.does, noted(ctx.events))
            if sleep:
                await ctx.step.sleep("nap", sleep)
            return f"{ctx.now():%H:%M:%S}"

    return app


def noted(events: list[dq.Event[Any]]) -> str:
    return " ".join(str(event.data.get("n")) for event in events)


def sent(env: TestEnv, *numbers: int, **more: Any) -> None:
    for n in numbers:
        env.send("go", {"n": n, **more})
    env.run_until_idle()


@pytest.mark.parametrize("kind", KINDS)
def test_a_throttle_spaces_starts(world: World, kind: str) -> None:
    with TestEnv(app_of(world, kind, throttle=dq.Throttle(6, period="1m", burst=2)), now=NOON) as env:
        began = env.now
        sent(env, 0, 1, 2, 3)
        assert world.done == ["0", "1"]
        env.advance("9s")
        assert world.done == ["0", "1"]
        env.advance("1s")
        assert world.done == ["0", "1", "2"]
        env.run_to_end()
        assert world.done == ["0", "1", "2", "3"]
        assert [run.status for run in env.runs] == ["completed"] * 4
        assert timedelta(seconds=19) < env.now - began < timedelta(seconds=21)


@pytest.mark.parametrize("kind", KINDS)
def test_a_debounce_fires_when_no_event_has_come_for_a_while(world: World, kind: str) -> None:
    debounce = dq.Debounce("10s", key="event.data.doc", timeout="25s")
    with TestEnv(app_of(world, kind, debounce=debounce)) as env:
        sent(env, 1, doc="a")
        sent(env, 2, doc="b")
        env.advance("9s")
        sent(env, 3, doc="a")
        env.advance("9s")
        assert world.done == ["2"]
        env.advance("1s")
        assert world.done == ["2", "3"]
        for n in range(4, 9):
            sent(env, n, doc="a")
            env.advance("6s")
        assert world.done == ["2", "3", "8"], "after 25 s, whatever comes"


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_full_or_its_time_is_over(world: World, kind: str) -> None:
    with TestEnv(app_of(world, kind, batch=dq.Batch(3, timeout="5s"))) as env:
        sent(env, 0, 1, 2, 3)
        assert world.done == ["0 1 2"]
        env.advance("5s")
        assert world.done == ["0 1 2", "3"]
        assert [run.status for run in env.runs_of("f")] == ["completed"] * 2


def test_a_rate_limit_lets_as_many_start_in_any_hour(world: World) -> None:
    with TestEnv(app_of(world, rate_limit=dq.RateLimit(2, period="1h", key="event.data.user_id"))) as env:
        sent(env, 0, 1, 2, user_id=7)
        sent(env, 3, user_id=8)
        assert world.done == ["0", "1", "3"]
        env.advance("1h")
        sent(env, 4, user_id=7)
        assert world.done == ["0", "1", "3", "4"]


def test_a_singleton_skips_what_comes_while_its_run_is_living(world: World) -> None:
    with TestEnv(app_of(world, sleep="1h", singleton="skip")) as env:
        sent(env, 0, 1)
        assert env.only_run.status == "waiting"
        env.advance("1h")
        sent(env, 2)
        assert world.done == ["0", "2"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_singleton_that_cancels_gives_way_to_what_comes(world: World, kind: str) -> None:
    singleton = dq.Singleton("cancel", key="event.data.doc")
    with TestEnv(app_of(world, kind, sleep="1h", singleton=singleton)) as env:
        sent(env, 0, doc="a")
        sent(env, 1, doc="b")
        env.advance("30m")
        sent(env, 2, doc="a")
        env.run_to_end()
        assert world.done == ["0", "1", "2"]
        assert [run.status for run in env.runs_of("f")] == ["cancelled", "completed", "completed"]


def test_idempotency_starts_one_run_a_day(world: World) -> None:
    with TestEnv(app_of(world, idempotency="event.data.cartId")) as env:
        sent(env, 0, 1, cartId="c")
        env.advance("23h59m")
        sent(env, 2, cartId="c")
        env.advance("1m")
        sent(env, 3, cartId="c")
        assert world.done == ["0", "3"]


@pytest.mark.parametrize("kind", KINDS)
def test_concurrency_with_hold_run_keeps_the_next_one_out_until_the_end(world: World, kind: str) -> None:
    limit = dq.Concurrency(1, key="event.data.user_id", hold="run")
    with TestEnv(app_of(world, kind, sleep="1h", concurrency=limit)) as env:
        sent(env, 0, 1, user_id=7)
        sent(env, 2, user_id=8)
        assert world.done == ["0", "2"]
        assert [run.status for run in env.runs_of("f")] == ["waiting", "queued", "waiting"]
        env.advance("1h")
        assert world.done == ["0", "2", "1"]
        env.run_to_end()
        assert [run.status for run in env.runs_of("f")] == ["completed"] * 3


def test_what_sleeps_lets_the_next_one_begin(world: World) -> None:
    with TestEnv(app_of(world, sleep="1h", concurrency=1)) as env:
        sent(env, 0, 1)
        assert world.done == ["0", "1"]


def test_a_priority_decides_who_of_the_waiting_is_next(world: World) -> None:
    with TestEnv(app_of(world, throttle=dq.Throttle(1, period="1s"), priority="event.data.n * 60")) as env:
        for n in range(4):
            env.send("go", {"n": n})
        env.advance("1m")
        assert world.done == ["3", "2", "1", "0"]


def test_each_function_goes_by_its_own_rules(world: World) -> None:
    app = dq.App("shop")

    @app.function("all", triggers=[GO])
    async def every(ctx: dq.Context) -> None: ...

    @app.function("some", triggers=[GO], rate_limit=dq.RateLimit(1, period="1h"))
    def some(ctx: dq.SyncContext) -> None: ...

    with TestEnv(app) as env:
        sent(env, 0, 1, 2)
        assert (len(env.runs_of("all")), len(env.runs_of("some"))) == (3, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_invoke_that_is_skipped_says_why_at_its_step(world: World, kind: str) -> None:
    app = app_of(world, sleep="1h", singleton="skip", triggers=[])
    if kind == "def":

        @app.function("parent", triggers=[GO])
        def parent(ctx: dq.SyncContext) -> Any:
            try:
                return ctx.step.invoke("child", "f", data={"n": 1})
            except dq.StepError as error:
                return [error.matches(dq.RunSkipped), error.message]

    else:

        @app.function("parent", triggers=[GO])
        async def awaiting(ctx: dq.Context) -> Any:
            try:
                return await ctx.step.invoke("child", "f", data={"n": 1})
            except dq.StepError as error:
                return [error.matches(dq.RunSkipped), error.message]

    with TestEnv(app) as env:
        first = env.invoke("f", {"n": 0})
        env.run_until_idle()
        sent(env, 9)
        why = f"shop/f was not started (singleton): run {first} has not ended"
        assert env.run_of("parent").result == [True, why]
        with pytest.raises(dq.RunSkipped, match=r"\(singleton\)") as info:
            env.invoke("f")
        assert info.value.run_id == first
        env.run_to_end()
        env.invoke("f", {"n": 2})
        env.run_to_end()
        assert world.done == ["0", "2"]


@pytest.mark.asyncio
async def test_in_async_tests_too(world: World) -> None:
    app = app_of(world, debounce=dq.Debounce("10s"), rate_limit=dq.RateLimit(2, period="1h"))
    async with TestEnv(app) as env:
        for n in range(3):
            await env.send("go", {"n": n})
        await env.run_until_idle()
        assert world.done == []
        await env.advance("10s")
        assert world.done == ["1"], "2 was one too many"
        with pytest.raises(dq.RunSkipped, match=r"shop/f was not started \(rate_limit\)"):
            await app.invoke("f")


@pytest.mark.asyncio
async def test_who_awaits_a_run_that_gives_way_to_a_newer_one_is_told_so(world: World) -> None:
    app = app_of(world, sleep="1h", singleton="cancel")
    async with TestEnv(app) as env:
        first = await app.invoke("f", data={"n": 0})
        await env.run_until_idle()
        second = await app.invoke("f", data={"n": 1})
        await env.run_until_idle()
        with pytest.raises(dq.RunCancelled, match="a newer run took its place"):
            await first.result()
        assert await second.status() == "waiting"
        await env.advance("1h")
        assert await second.result()
