"""Functions that wait, invoke, are cancelled and fail, in an environment: as `async def` and as `def`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

import durableq as dq
from durableq.services.awaited import AwaitedView
from durableq.services.views import RunView
from durableq.testing import EnvFailure, NobodyListens, TestEnv
from tests.testing.checkout import MINE, checkout

KINDS = ["async def", "def"]


@dataclass
class Number:
    """What a function is invoked with."""

    n: int


PAID = {"id": 7, "cents": 900}


@pytest.fixture(params=KINDS)
def app(request: pytest.FixtureRequest) -> dq.App:
    return checkout(request.param)


@pytest.fixture
def env(app: dq.App) -> Iterator[TestEnv]:
    with TestEnv(app, strict=True) as env:
        yield env


def placed(env: TestEnv) -> RunView:
    """An order that waits for its payment."""
    env.send("order/placed", {"id": 7})
    env.run_until_idle()
    return env.run_of("order")


def billed(env: TestEnv) -> RunView:
    """An order that waits for its invoice."""
    placed(env)
    env.send("payment/settled", PAID)
    env.run_until_idle()
    return env.run_of("order")


def awaited(run: RunView) -> tuple[str, AwaitedView | None]:
    (step,) = run.waiting_for
    return step.id, step.awaited


def test_a_wait_is_shown_and_answered_by_the_event_that_matches(env: TestEnv) -> None:
    run = placed(env)
    assert (run.status, *awaited(run)) == ("waiting", "paid", AwaitedView(event="payment/settled", condition=MINE))
    env.send("payment/settled", {"id": 8, "cents": 1})
    env.run_until_idle()
    assert env.step("paid").status == "waiting"
    (event_id,) = env.send("payment/settled", PAID)
    env.run_until_idle()
    assert (env.step("paid").result.id, env.step("paid").result.data) == (event_id, PAID)


def test_an_event_that_comes_before_the_wait_is_seen_and_is_no_failure(env: TestEnv) -> None:
    env.send("order/placed", {"id": 7})
    env.send("payment/settled", PAID)
    env.run_until_idle()
    assert env.step("paid").status == "completed"


def test_a_wait_times_out_when_its_time_is_over_and_no_sooner(env: TestEnv) -> None:
    placed(env)
    env.advance("71h")
    assert env.step("paid").status == "waiting"
    env.advance("1h")
    assert env.step("paid").status == "timed out"
    assert env.run_of("order").status == "failed"


def test_run_to_end_lets_waits_time_out(env: TestEnv) -> None:
    placed(env)
    begun = env.now
    env.run_to_end()
    assert env.run_of("order").status == "failed"
    assert (env.now - begun).days == 3


def test_on_failure_is_executed_with_the_error(env: TestEnv) -> None:
    run = placed(env)
    env.run_to_end()
    handler = env.run_of("order:on-failure")
    (failed,) = env.events_of("durableq/function.failed")
    assert failed == handler.event
    assert handler.event is not None
    assert (handler.event.data["run_id"], handler.result) == (run.id, "never paid")
    assert env.step("apologise").calls == 1
    assert (env.run(run.id).on_failure, env.run(handler.id).on_failure) == (handler.id, "")


def test_of_several_failures_each_names_its_own_handler(env: TestEnv) -> None:
    for id in range(3):
        env.send("order/placed", {"id": id})
    env.run_to_end()
    about = {handler.id: handler.event.data["run_id"] for handler in env.runs_of("order:on-failure") if handler.event}
    named = {env.run(run.id).on_failure: run.id for run in env.runs_of("order")}
    assert named == about
    assert len(named) == 3


def test_a_child_is_a_run_that_its_parent_names(env: TestEnv) -> None:
    run = billed(env)
    child = env.run_of("invoice")
    seen = AwaitedView(function="checkout/invoice", run=child.id, status="waiting")
    assert (child.parent, awaited(run)) == (run.id, ("bill", seen))
    env.advance("1h")
    assert env.step("bill").result == env.run(child.id).result == "no 7"


def test_a_signal_from_the_test_and_one_from_a_step_answer_a_wait(env: TestEnv) -> None:
    assert env.send_signal("approve-7") is None
    run = billed(env)
    env.advance("1h")
    assert env.send_signal("approve-7", "gladly") == run.id
    env.run_until_idle()
    assert env.run_of("order").result == [900, "no 7", "gladly"]

    second = dict(PAID, id=8)
    env.send("order/placed", {"id": 8})
    env.send("payment/settled", second)
    env.advance("1h")
    env.send("order/approved", {"id": 8})
    env.run_until_idle()
    order, approver = env.runs_of("order")[-1], env.run_of("approve")
    assert (order.result, approver.result) == ([900, "no 8", "yes"], order.id)
    sent = AwaitedView(signal="approve-8", sender=approver.id)
    assert [step.awaited for step in order.steps if step.id == "approval"] == [sent]


def test_a_function_is_invoked_with_data_and_nothing_executes_yet(app: dq.App, env: TestEnv) -> None:
    first = env.invoke("invoice", {"id": 1})
    second = env.invoke(app.functions["invoice"], {"id": 2})
    assert [env.run(run_id).status for run_id in (first, second)] == ["queued", "queued"]
    env.advance("1h")
    assert [env.run(run_id).result for run_id in (first, second)] == ["no 1", "no 2"]
    with pytest.raises(dq.RunNotFound, match="no run 'X'"):
        env.run("X")
    with pytest.raises(dq.ConfigError, match="'invoices' names no one function"):
        env.invoke("invoices")


def test_an_invoked_run_has_the_same_id_each_time_in_an_environment_of_the_same_start(app: dq.App) -> None:
    ids = []
    for _ in range(2):
        with TestEnv(app, now="2030-01-31T09:00:00+01:00") as env:
            ids.append([env.invoke("invoice", {"id": 1}), env.invoke("invoice", {"id": 1})])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_an_event_of_cancel_on_cancels_its_run_and_the_child_and_the_clean_up_runs(env: TestEnv) -> None:
    billed(env)
    env.send("order/cancelled", {"id": 8})
    env.run_until_idle()
    assert env.run_of("order").status == "waiting"
    env.send("order/cancelled", {"id": 7})
    env.run_until_idle()
    run, child = env.run_of("order"), env.run_of("invoice")
    assert (run.status, child.status) == ("cancelled", "cancelled")
    assert run.error is not None
    assert run.error.message == "event order/cancelled (cancel_on)"
    assert env.run_of("clean-up").result == run.id
    assert run.waiting_for == ()


def test_a_run_is_cancelled_by_the_test_with_its_children_and_only_once(env: TestEnv) -> None:
    run = billed(env)
    assert env.cancel(run) is True
    assert [env.run_of(name).status for name in ("order", "invoice")] == ["cancelled", "cancelled"]
    assert env.cancel(run.id) is False
    with pytest.raises(dq.RunNotFound):
        env.cancel("0" * 26)
    with pytest.raises(dq.ConfigError, match="cancel takes a run or its id, not 7"):
        env.cancel(7)  # type: ignore[arg-type]


def test_a_run_that_outlives_its_timeout_is_cancelled() -> None:
    app = dq.App("late")

    @app.function("f", triggers=[dq.EventTrigger("go")], timeouts=dq.Timeouts(finish="10d"))
    async def f(ctx: dq.Context) -> None:
        await ctx.step.sleep("long", "30d")

    with TestEnv(app) as env:
        env.send("go")
        env.advance("9d")
        assert env.only_run.status == "waiting"
        env.advance("1d")
        assert env.only_run.status == "cancelled"
        assert env.only_run.error is not None
        assert "timeouts" in env.only_run.error.message


def test_a_child_that_fails_fails_its_step(env: TestEnv) -> None:
    env.stub_step("number", raises=ValueError("no paper"))
    billed(env)
    env.advance("1h")
    error = env.step("bill").error
    assert error is not None
    assert (error.name, error.message) == ("ValueError", "no paper")


@pytest.mark.parametrize("crash", [{"after_step": "paid"}, {"before_record": "paid"}, {"after_step": "bill"},
                                   {"before_record": "bill"}, {"after_step": "approval"},
                                   {"after_step": "bill", "machine": True}])  # fmt: skip
def test_a_worker_that_dies_at_a_wait_or_an_invoke_loses_and_doubles_nothing(
    env: TestEnv, crash: dict[str, object]
) -> None:
    env.crash_worker(**crash)  # type: ignore[arg-type]
    placed(env)
    env.advance("1m")
    env.send("payment/settled", PAID)
    env.advance("2h")
    env.send_signal("approve-7", "yes")
    env.run_to_end()
    assert env.run_of("order").result == [900, "no 7", "yes"]
    assert len(env.runs_of("invoice")) == 1


@pytest.mark.parametrize("crash", ["before_record", "after_step"])
def test_a_signal_whose_sender_dies_reaches_its_run_once_and_the_sender_hears_of_it(env: TestEnv, crash: str) -> None:
    env.stub_step("bill", returns="no 7")
    env.crash_worker(**{crash: "tell"})  # type: ignore[arg-type]
    order = placed(env)
    env.send("payment/settled", PAID)
    env.run_until_idle()
    env.send("order/approved", {"id": 7})
    env.run_until_idle()
    assert env.run_of("approve").result == order.id
    assert env.run_of("order").result == [900, "no 7", "yes"]


def test_a_function_of_another_app_is_invoked_by_its_id_and_one_that_is_nowhere_is_said() -> None:
    shop, mailer = dq.App("shop"), dq.App("mailer")

    @mailer.function("post")
    def post(ctx: dq.SyncContext) -> str:
        return f"posted to {ctx.event.data['to']}"

    @shop.function("order", triggers=[dq.EventTrigger("order")], retries=0)
    async def order(ctx: dq.Context) -> list[str]:
        posted = await ctx.step.invoke("post", "mailer/post", data={"to": "ada"})
        try:
            await ctx.step.invoke("gone", "mailer/gone")
        except dq.StepError as error:
            return [posted, error.name]
        return [posted]

    with TestEnv(shop, mailer) as env:
        env.send("order")
        env.run_until_idle()
        assert env.run_of("order").result == ["posted to ada", "FunctionNotFound"]
        assert env.step("gone").status == "failed"
        assert env.run(env.invoke("mailer/post", {"to": "grace"})).function == "mailer/post"


def test_data_that_a_function_does_not_want_is_refused_when_it_is_invoked() -> None:
    app = dq.App("typed")

    @app.function("double")
    async def double(ctx: dq.Context[Number]) -> int:
        return 2 * ctx.event.data.n

    with TestEnv(app) as env:
        run_id = env.invoke(double, Number(4))
        env.run_until_idle()
        assert env.run(run_id).result == 8
        with pytest.raises(dq.EventError, match="invoke of typed/double"):
            env.invoke(double, {"m": 4})


def test_stubs_answer_waits_and_invokes_and_nothing_else_is_needed(env: TestEnv) -> None:
    asked = []
    env.stub_step("paid", returns=dq.Event("payment/settled", PAID))
    env.stub_step("bill", lambda data: asked.append(data))
    env.stub_step("approval", returns=dq.Signal("approve-7", "yes"))
    env.send("order/placed", {"id": 7})
    env.run_until_idle()
    assert env.run_of("order").result == [900, None, "yes"]
    assert (asked, env.runs_of("invoice"), env.step("bill").calls) == ([{"id": 7}], [], 1)
    assert env.step("bill").status == "completed"


def test_a_stub_that_returns_none_is_a_time_that_is_over(env: TestEnv) -> None:
    env.stub_step("paid", returns=None)
    env.send("order/placed", {"id": 7})
    env.run_until_idle()
    assert env.step("paid").status == "timed out"
    assert env.run_of("order").status == "failed"


@pytest.mark.parametrize(
    ("error", "name"), [(ValueError("no paper"), "ValueError"), (dq.InvokeTimeout("late"), "InvokeTimeout")]
)
def test_a_stub_that_raises_is_a_child_that_failed_or_was_late(env: TestEnv, error: Exception, name: str) -> None:
    env.stub_step("paid", returns=dq.Event("payment/settled", PAID))
    env.stub_step("bill", raises=error)
    env.send("order/placed", {"id": 7})
    env.run_until_idle()
    failed = env.run_of("order").error
    assert failed is not None
    assert failed.name == name


@pytest.mark.parametrize(
    ("step", "stub", "text"),
    [
        (
            "paid",
            {"returns": 7},
            "'paid'.*wait_for_event, must return an Event, or None for a time that is over, not 7",
        ),
        ("paid", {"raises": ValueError("x")}, "'paid'.*cannot raise ValueError"),
        ("approval", {"returns": "yes"}, "'approval'.*wait_for_signal, must return a Signal, or None"),
    ],
)
def test_a_stub_that_no_wait_is_answered_with_fails_the_test(
    app: dq.App, step: str, stub: dict[str, object], text: str
) -> None:
    with TestEnv(app) as env:
        if step == "approval":
            env.stub_step("paid", returns=dq.Event("payment/settled", PAID))
            env.stub_step("bill", returns="no 7")
        env.stub_step(step, **stub)  # type: ignore[arg-type]
        env.send("order/placed", {"id": 7})
        with pytest.raises(EnvFailure, match=text):
            env.run_until_idle()


def test_an_event_that_only_cancels_or_is_only_waited_for_is_heard(env: TestEnv) -> None:
    env.send("order/cancelled", {"id": 1})
    placed(env)
    env.send("payment/settled", {"id": 1})


def test_an_event_that_a_run_waits_for_is_not_logged_as_one_that_starts_nothing(env: TestEnv) -> None:
    placed(env)
    with capture_logs() as logs:
        env.send("payment/settled", {"id": 8})
        env.run_until_idle()
    assert [entry for entry in logs if entry["event"] == "event.unheard"] == []


def test_an_event_that_no_run_came_to_wait_for_is_told_at_the_end(app: dq.App) -> None:
    def misspelt(*, strict: bool) -> None:
        with TestEnv(app, strict=strict) as env:
            placed(env)
            env.send("payment/setled", PAID)
            env.run_until_idle()

    with pytest.warns(NobodyListens, match="'payment/setled': was 'payment/settled' meant"):
        misspelt(strict=False)
    with pytest.raises(EnvFailure, match="'payment/setled'"):
        misspelt(strict=True)


def test_an_event_that_nobody_can_come_to_wait_for_is_told_at_once(app: dq.App) -> None:
    with TestEnv(app, strict=True) as env, pytest.raises(EnvFailure, match="nothing listens to event 'quite/another'"):
        env.send("quite/another")


async def test_a_result_is_awaited_where_the_environment_is_turned() -> None:
    app = checkout("async def")
    async with TestEnv(app) as env:
        handle = await app.invoke("invoice", data={"id": 1})
        with pytest.raises(dq.ResultTimeout, match=r"it is waiting.*env\.advance"):
            await handle.result()
        await env.advance("1h")
        assert await handle.result() == "no 1"
        run_id = await env.invoke("invoice", {"id": 2})
        assert await env.cancel(run_id) is True
        with pytest.raises(dq.RunCancelled, match="cancelled"):
            await app.client.handle(run_id).result()
        assert await env.send_signal("nobody") is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_may_wait_for_the_result_of_a_run_that_it_starts(kind: str) -> None:
    app = dq.App("nested")

    @app.function("inner", triggers=[dq.EventTrigger("inner")])
    async def inner(ctx: dq.Context) -> int:
        return await ctx.step.run("add", lambda: ctx.event.data["n"] + 1)

    async def ask() -> int:
        return await (await app.invoke(inner, data={"n": 1})).result()

    def ask_and_block() -> Any:
        return app.sync.invoke(inner, data={"n": 1}).result()

    @app.function("outer", triggers=[dq.EventTrigger("outer")])
    async def outer(ctx: dq.Context) -> int:
        return await ctx.step.run("ask", ask if kind == "async def" else ask_and_block)

    with TestEnv(app) as env:
        env.send("outer")
        env.run_until_idle()
        assert env.run_of("outer").result == 2


def test_a_blocking_wait_for_a_result_does_not_hang_but_says_what_to_call(app: dq.App) -> None:
    with TestEnv(app) as env:
        handle = app.sync.invoke("invoice", data={"id": 1})
        with pytest.raises(dq.ResultTimeout, match=r"it is queued.*env\.run_until_idle\(\)"):
            handle.result()
        env.advance("1h")
        assert handle.result() == "no 1"


async def test_a_body_that_executes_is_stopped_when_its_run_is_cancelled() -> None:
    app = dq.App("long")
    left = []

    @app.function("f", triggers=[dq.EventTrigger("go")])
    async def f(ctx: dq.Context) -> None:
        async def body() -> None:
            await app.cancel(ctx.run_id)
            try:
                await asyncio.Event().wait()
            finally:
                left.append(ctx.run_id)

        await ctx.step.run("for-ever", body)

    async with TestEnv(app, patience="5s") as env:
        await env.send("go")
        await env.run_until_idle()
        assert env.only_run.status == "cancelled"
        assert left == [env.only_run.id]


def test_a_wait_is_answered_within_milliseconds(env: TestEnv) -> None:
    placed(env)
    env.stub_step("bill", returns="no 7")
    began_s = time.perf_counter()
    env.send("payment/settled", PAID)
    env.run_until_idle()
    assert time.perf_counter() - began_s < 1.0, "5 ms as a rule"
