"""Sending and executing: what `run_until_idle` does and where it stops, in both forms."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

import durableq as dq
from durableq.testing import TestEnv
from tests.testing.shop import World


@dataclass
class Number:
    """What an event holds."""

    n: int


def test_nothing_executes_before_it_is_told_to(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.send("order/created")
        assert (env.runs, world.done) == ([], [])
        env.run_until_idle()
        assert env.only_run.status == "waiting"
        assert world.done == ["charge 100"]


def test_data_may_be_a_dataclass() -> None:
    app = dq.App("typed")

    @app.function("double", triggers=[dq.EventTrigger("double")])
    async def double(ctx: dq.Context[Number]) -> int:
        return 2 * ctx.event.data.n

    with TestEnv(app) as env:
        env.send("double", Number(4))
        env.run_until_idle()
        assert env.only_run.result == 8


def test_events_of_steps_start_further_runs_in_the_same_go(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.send("order/created", {"cents": 5})
        env.run_until_idle()
        env.advance("1h")
        order, told = env.runs
        assert (order.function, order.status, order.result) == ("shop/order", "completed", "paid 5, shipped")
        assert (told.function, told.status, told.result) == ("shop/tell", "completed", "paid 5, shipped")
        assert told.event is not None
        assert told.event.data == {"what": "paid 5, shipped"}


async def test_the_awaited_form_does_the_same(app: dq.App) -> None:
    async with TestEnv(app) as env:
        (event_id,) = await env.send(dq.Event("order/created", {"cents": 5}, id="order-5"))
        assert event_id == "order-5"
        await env.run_until_idle()
        await env.advance("1h")
        assert [run.status for run in env.runs] == ["completed", "completed"]


def test_runs_stand_in_the_order_of_their_events_and_execute_in_it(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.send([dq.Event("order/created", {"cents": n}) for n in range(20)])
        for n in range(20, 40):
            env.send("order/created", {"cents": n})
        env.run_to_end()
        assert [run.result for run in env.runs_of("order")] == [f"paid {n}, shipped" for n in range(40)]
    assert world.done[:40] == [f"charge {n}" for n in range(40)]


def test_two_runs_of_which_one_waits_for_the_other_end() -> None:
    app = dq.App("pair")
    met = asyncio.Event()

    @app.function("first", triggers=[dq.EventTrigger("first")])
    async def first(ctx: dq.Context) -> None:
        await ctx.step.run("wait", met.wait)

    @app.function("second", triggers=[dq.EventTrigger("second")])
    async def second(ctx: dq.Context) -> None:
        met.set()

    with TestEnv(app) as env:
        env.send("first")
        env.send("second")
        env.run_until_idle()
        assert {run.status for run in env.runs} == {"completed"}


@pytest.mark.parametrize("concurrency", [0, 101, "many"])
def test_a_concurrency_that_cannot_be(app: dq.App, concurrency: int) -> None:
    with pytest.raises(dq.ConfigError, match="concurrency must be 1 to 100"):
        TestEnv(app, concurrency=concurrency)


def test_with_more_at_once_the_bodies_of_several_runs_are_beside_each_other() -> None:
    app = dq.App("beside")
    meeting = threading.Barrier(5)

    @app.function("meet", triggers=[dq.EventTrigger("meet")])
    def meet(ctx: dq.SyncContext) -> int:
        return ctx.step.run("meet", meeting.wait, 5)

    with TestEnv(app, concurrency=100) as env:
        env.send([dq.Event("meet")] * 5)
        env.run_until_idle()
        assert sorted(run.result for run in env.runs) == [0, 1, 2, 3, 4]


def test_more_runs_than_a_worker_has_places(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.send([dq.Event("order/created") for _ in range(250)])
        env.run_until_idle()
        assert world.done == ["charge 100"] * 250
        assert {run.status for run in env.runs} == {"waiting"}


def test_def_functions_with_threads_and_parallel_branches(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.send("report/requested")
        env.run_to_end()
        assert env.only_run.result == ["1", "2"]
    assert sorted(world.done) == ["first", "print", "second"]


async def test_steps_execute_in_the_loop_and_with_the_variables_of_an_async_test() -> None:
    app = dq.App("here")
    variable = ContextVar("variable", default="unset")
    seen = []

    @app.function("look", triggers=[dq.EventTrigger("look")])
    async def look(ctx: dq.Context) -> None:
        async def body() -> None:
            seen.append((asyncio.get_running_loop(), variable.get()))

        await ctx.step.run("look", body)

    variable.set("set by the test")
    async with TestEnv(app) as env:
        await env.send("look")
        await env.run_until_idle()
    assert seen == [(asyncio.get_running_loop(), "set by the test")]


def test_async_code_of_a_plain_test_executes_in_its_thread_with_its_variables() -> None:
    app = dq.App("here")
    variable = ContextVar("variable", default="unset")
    seen = []

    @app.function("look", triggers=[dq.EventTrigger("look")])
    async def look(ctx: dq.Context) -> None:
        seen.append((threading.get_ident(), variable.get()))

    with TestEnv(app) as env:
        env.send("look")
        variable.set("set later")
        env.run_until_idle()
    assert seen == [(threading.get_ident(), "set later")]


def test_the_code_under_test_sends_through_its_app(app: dq.App) -> None:
    async def handler() -> list[str]:
        return await app.send(dq.Event("order/created", {"cents": 1}, id="from-a-loop"))

    with TestEnv(app) as env:
        asyncio.run(handler())
        app.send_sync(dq.Event("order/created", {"cents": 2}, id="plain"))
        assert [event.id for event in env.events] == ["from-a-loop", "plain"]
        env.run_until_idle()
        assert len(env.runs) == 2
        assert {run.status for run in app.sync.runs.list()} == {"waiting"}


def test_after_the_environment_the_app_is_what_it_was(app: dq.App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLEQ_URL", "redis://localhost:1")
    with TestEnv(app):
        app.send_sync(dq.Event("order/created"))
    with pytest.raises(dq.SendError, match="not reachable"):
        app.send_sync(dq.Event("order/created"))
    app.client.sync.close()


def test_two_environments_at_once_know_nothing_of_each_other(app: dq.App) -> None:
    with TestEnv(app) as first, TestEnv(app) as second:
        first.send("order/created", {"cents": 1})
        second.send("order/created", {"cents": 2})
        second.advance("2h")
        first.run_until_idle()
        assert [run.status for run in first.runs] == ["waiting"]
        assert [run.status for run in second.runs] == ["completed", "completed"]
        app.send_sync(dq.Event("order/created", id="mine"))
        assert [event.id for event in second.events_of("order/created")][1:] == ["mine"]
        assert len(first.events) == 1


def test_environments_may_end_in_any_order(app: dq.App) -> None:
    first, second = TestEnv(app), TestEnv(app)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    app.send_sync(dq.Event("order/created"))
    assert len(second.events) == 1
    second.__exit__(None, None, None)


def test_apps_in_one_environment_share_events() -> None:
    sender, receiver = dq.App("sender"), dq.App("receiver")

    @sender.function("send", triggers=[dq.EventTrigger("go")])
    async def send(ctx: dq.Context) -> None:
        await ctx.step.send_event("pass-on", dq.Event("gone", {"n": 1}))

    @receiver.function("receive", triggers=[dq.EventTrigger("gone")])
    async def receive(ctx: dq.Context) -> int:
        return ctx.event.data["n"]

    with TestEnv(sender, receiver) as env:
        env.send("go")
        env.run_until_idle()
        assert env.run_of("receive").result == 1
        assert env.run_of(send).function == "sender/send"


def test_values_go_through_the_codec() -> None:
    app = dq.App("codec")

    @app.function("make", triggers=[dq.EventTrigger("make")])
    async def make(ctx: dq.Context) -> str:
        made = await ctx.step.run("make", lambda: [(1, 2), {3}])
        await ctx.step.run("socket", lambda: threading.Lock())
        return str(made)

    with TestEnv(app) as env:
        env.send("make")
        env.run_until_idle()
        assert env.only_run.status == "failed"
        assert env.step("make").result == [(1, 2), {3}]
        error = env.step("socket").error
        assert error is not None
        assert "lock" in error.message


def test_what_a_failed_run_met_is_in_the_log_with_the_line() -> None:
    app = dq.App("shop")

    @app.function("order", triggers=[dq.EventTrigger("order/created")], retries=0)
    async def order(ctx: dq.Context) -> None:
        raise LookupError("nobody home")

    with TestEnv(app) as env, capture_logs() as lines:
        env.send("order/created")
        env.run_to_end()
    (failed,) = [line for line in lines if line["event"] == "run.failed"]
    assert failed["error"] == "LookupError: nobody home"
    assert "test_running.py:" in failed["at"]
