"""Doing runs again: from the start, from a step, and from where they failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import durableq as dq
from durableq.testing import TestEnv

NOBODY = "0" * 26


class Shop:
    """A function of three steps, as `async def` or `def`, whose steps fail as they are told."""

    def __init__(self, form: str) -> None:
        self.calls: Counter[str] = Counter()
        self.failing: set[str] = set()
        self.events: list[dq.Event] = []
        self.app = dq.App("shop")
        triggers = [dq.EventTrigger("order/created")]
        declare = self.app.function("orders", triggers=triggers, retries=0)
        if form == "async def":

            @declare
            async def orders(ctx: dq.Context) -> Any:
                self.events.append(ctx.event)
                first = await ctx.step.run("load", self.step("load"))
                try:
                    await ctx.step.run("charge", self.step("charge"))
                except dq.StepError:
                    await ctx.step.run("refund", self.step("refund"))
                for _ in range(2):
                    await ctx.step.run("pack", self.step("pack"))
                await ctx.step.run("ship", self.step("ship"))
                self.outside()
                return [first, ctx.event.data["n"]]
        else:

            @declare
            def orders(ctx: dq.SyncContext) -> Any:
                self.events.append(ctx.event)
                first = ctx.step.run("load", self.step("load"))
                try:
                    ctx.step.run("charge", self.step("charge"))
                except dq.StepError:
                    ctx.step.run("refund", self.step("refund"))
                for _ in range(2):
                    ctx.step.run("pack", self.step("pack"))
                ctx.step.run("ship", self.step("ship"))
                self.outside()
                return [first, ctx.event.data["n"]]

    def step(self, name: str) -> Callable[[], str]:
        def body() -> str:
            self.calls[name] += 1
            if name in self.failing:
                raise ValueError(f"{name} failed")
            return name

        return body

    def outside(self) -> None:
        if "outside" in self.failing:
            raise RuntimeError("outside failed")

    async def ran(self, env: Any, *failing: str) -> dq.RunHandle[Any]:
        """A run that has come to its end."""
        self.failing = set(failing)
        await env.send("order/created", {"n": 1})
        await env.run_until_idle()
        (run,) = [run for run in await self.app.client.runs.list() if run.ended_at_ms]
        self.calls.clear()
        self.failing.clear()
        return self.app.client.handle(run.id)

    async def after(self, env: Any, handle: dq.RunHandle[Any]) -> dict[str, int]:
        """Which bodies were executed until the run has ended well."""
        await env.run_until_idle()
        assert await handle.result() == ["load", 1]
        return dict(self.calls)


@pytest.fixture(params=["async def", "def"])
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


ALL = {"load": 1, "charge": 1, "pack": 2, "ship": 1}


async def test_a_rerun_is_a_new_run_with_the_same_event(shop: Shop) -> None:
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env)
        await env.advance("1h")
        rerun = await shop.app.client.rerun(source.run_id)
        assert rerun.run_id != source.run_id
        assert await shop.after(env, rerun) == ALL
        first, second = shop.events[0], shop.events[-1]
        assert second == first, "name, data, id, and the time at which it happened"
        view = await shop.app.client.runs.get(rerun.run_id)
        assert (view.rerun_of, view.status) == (source.run_id, "completed")
        first_run = await shop.app.client.runs.get(source.run_id)
        assert (first_run.rerun_of, first_run.rerun_as) == ("", rerun.run_id)


async def test_a_rerun_from_a_step_keeps_what_was_recorded_before_it(shop: Shop) -> None:
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env)
        rerun = await shop.app.client.rerun(source.run_id, from_step="pack")
        assert await shop.after(env, rerun) == {"pack": 2, "ship": 1}


async def test_a_step_of_a_loop_is_named_with_its_time(shop: Shop) -> None:
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env)
        steps = (await shop.app.client.runs.get(source.run_id)).steps
        assert [(step.id, step.occurrence) for step in steps][2:] == [("pack", 1), ("pack", 2), ("ship", 1)]
        rerun = await shop.app.client.rerun(source.run_id, from_step="pack:2")
        assert await shop.after(env, rerun) == {"pack": 1, "ship": 1}


async def test_the_data_of_the_event_can_be_replaced(shop: Shop) -> None:
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env)
        rerun = await shop.app.client.rerun(source.run_id, from_step="ship", data={"n": 2})
        await env.run_until_idle()
        assert await rerun.result() == ["load", 2]
        first, second = shop.events[0], shop.events[-1]
        assert (second.data, second.name, second.id, second.ts) == ({"n": 2}, first.name, first.id, first.ts)
        assert shop.calls == {"ship": 1}


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"from_step": "pay"}, dq.ConfigError, r"has no such step; it has 'load', 'charge', 'pack', 'pack:2', 'ship'$"),
        ({"from_step": "pack:3"}, dq.ConfigError, r"from_step 'pack:3': run \w+ has no such step"),
        ({"from_step": 7}, dq.ConfigError, "from_step must be a step's id, not int: 7"),
        ({"data": [1]}, dq.EventError, r"rerun of \w+: .*data must be a mapping"),
        ({"data": {"n": object()}}, dq.EventError, r"rerun of \w+: event 'order/created': data\.n is of type object"),
        ({"data": {"n": "x" * 600_000}}, dq.LimitExceeded, r"rerun of \w+: its event .* limits.event_bytes"),
    ],
)
async def test_what_cannot_be_done_again_so_is_refused(how: Any, error: type[Exception], says: str) -> None:
    shop = Shop("def")
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env)
        with pytest.raises(error, match=says):
            await shop.app.client.rerun(source.run_id, **how)
        assert len(await shop.app.client.runs.list()) == 1


async def test_what_is_not_there_is_not_found() -> None:
    shop = Shop("def")
    async with TestEnv(shop.app):
        for run_id in (NOBODY, "nonsense"):
            with pytest.raises(dq.RunNotFound, match=f"no run '{run_id}' in namespace"):
                await shop.app.client.rerun(run_id)
        with pytest.raises(dq.ConfigError, match=r"a run id is text, as handle\.run_id is, not int: 7"):
            await shop.app.client.rerun(7)  # type: ignore[arg-type]


async def test_plain_code_reruns_and_resumes_likewise() -> None:
    shop = Shop("def")
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env, "ship")
        sync = shop.app.sync
        rerun = await asyncio.to_thread(sync.rerun, source.run_id, from_step="ship")
        resumed = await asyncio.to_thread(sync.runs.resume, source.run_id)
        await env.run_until_idle()
        assert [await asyncio.to_thread(handle.result) for handle in (rerun, resumed)] == [["load", 1]] * 2


# ---- from where it failed


async def test_a_failed_run_goes_on_with_the_step_that_has_failed_it(shop: Shop) -> None:
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env, "ship")
        resumed = await shop.app.client.runs.resume(source.run_id)
        assert await shop.after(env, resumed) == {"ship": 1}
        assert (await shop.app.client.runs.get(resumed.run_id)).rerun_of == source.run_id


async def test_errors_that_were_caught_stay(shop: Shop) -> None:
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env, "charge", "ship")
        resumed = await shop.app.client.runs.resume(source.run_id)
        assert await shop.after(env, resumed) == {"ship": 1}, "neither charged nor refunded again"


async def test_where_the_code_outside_steps_has_failed_every_result_stays(shop: Shop) -> None:
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env, "charge", "outside")
        resumed = await shop.app.client.runs.resume(source.run_id)
        assert await shop.after(env, resumed) == {}


async def test_only_what_has_failed_or_was_cancelled_is_resumed(shop: Shop) -> None:
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env)
        with pytest.raises(dq.ConfigError, match=f"run {source.run_id} is completed: only a failed or cancelled run"):
            await shop.app.client.runs.resume(source.run_id)


Handler = Callable[[dq.Context, Callable[[str], Any]], Any]


async def gathers(ctx: dq.Context, step: Callable[[str], Any]) -> None:
    await ctx.step.run("first", step("first"))
    await asyncio.gather(*(ctx.step.run(name, step(name)) for name in ("a", "b")))


async def groups(ctx: dq.Context, step: Callable[[str], Any]) -> None:
    await ctx.step.run("first", step("first"))
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b"):
            group.create_task(ctx.step.run(name, step(name)))


async def says_why(ctx: dq.Context, step: Callable[[str], Any]) -> None:
    await ctx.step.run("first", step("first"))
    try:
        await ctx.step.run("b", step("b"))
    except dq.StepError as error:
        raise LookupError("no b") from error


async def invokes(ctx: dq.Context, step: Callable[[str], Any]) -> None:
    await ctx.step.run("first", step("first"))
    await ctx.step.invoke("b", "shop/child")


@pytest.mark.parametrize("handler", [gathers, groups, says_why, invokes])
async def test_the_steps_are_known_however_their_errors_came_to_fail_the_run(handler: Handler) -> None:
    calls: Counter[str] = Counter()
    failing = {"b"}
    app = dq.App("shop")

    def step(name: str) -> Callable[[], str]:
        def body() -> str:
            calls[name] += 1
            if name in failing:
                raise ValueError(name)
            return name

        return body

    @app.function("orders", retries=0, triggers=[dq.EventTrigger("go")])
    async def orders(ctx: dq.Context) -> str:
        await handler(ctx, step)
        return "done"

    @app.function("child", retries=0)
    async def child(ctx: dq.Context) -> str:
        return await ctx.step.run("b", step("b"))

    async with TestEnv(app) as env:
        await env.send("go")
        await env.run_until_idle()
        (source,) = await app.client.runs.list(function="shop/orders")
        assert source.status == "failed"
        failing.clear()
        resumed = await app.client.runs.resume(source.id)
        await env.run_until_idle()
        assert await resumed.result() == "done"
        assert (calls["first"], calls["b"]) == (1, 2)


async def test_a_cancelled_run_goes_on_with_all_that_it_had() -> None:
    shop, app = Counter[str](), dq.App("shop")

    @app.function("naps", triggers=[dq.EventTrigger("go")])
    async def naps(ctx: dq.Context) -> str:
        await ctx.step.run("before", lambda: shop.update(["before"]))
        await ctx.step.sleep("nap", "1h")
        return "rested"

    async with TestEnv(app) as env:
        await env.send("go")
        await env.run_until_idle()
        (source,) = await app.client.runs.list()
        with pytest.raises(dq.ConfigError, match="is waiting: only a failed or cancelled run"):
            await app.client.runs.resume(source.id)
        await app.cancel(source.id)
        resumed = await app.client.runs.resume(source.id)
        await env.advance("50m")
        assert await resumed.status() == "waiting", "the nap begins anew"
        await env.advance("10m")
        assert await resumed.result() == "rested"
        assert shop == {"before": 1}


# ---- what a rerun is to others


async def test_a_living_run_s_rerun_has_its_results_and_leaves_it_alone() -> None:
    app, executed = dq.App("shop"), Counter[str]()

    @app.function("waits", triggers=[dq.EventTrigger("go")])
    async def waits(ctx: dq.Context) -> Any:
        await ctx.step.run("before", lambda: executed.update(["before"]))
        event = await ctx.step.wait_for_event("paid", "paid", timeout="1h")
        return event and event.data["by"]

    async with TestEnv(app) as env:
        await env.send("go")
        await env.run_until_idle()
        (source,) = await app.client.runs.list()
        rerun = await app.client.rerun(source.id, from_step="paid")
        await env.run_until_idle()
        await env.send("paid", {"by": "me"})
        await env.run_until_idle()
        assert [await app.client.handle(run).result() for run in (source.id, rerun.run_id)] == ["me", "me"]
        assert executed == {"before": 1}


async def test_a_child_s_rerun_has_no_parent_and_answers_nobody() -> None:
    app, answers = dq.App("shop"), iter(range(9))

    @app.function("child")
    async def child(ctx: dq.Context) -> int:
        return await ctx.step.run("count", lambda: next(answers))

    @app.function("parent", triggers=[dq.EventTrigger("go")])
    async def parent(ctx: dq.Context) -> int:
        found = await ctx.step.invoke("child", child, data={"a": 1})
        await ctx.step.sleep("nap", "1h")
        return found

    async with TestEnv(app) as env:
        await env.send("go")
        await env.run_until_idle()
        (first,) = await app.client.runs.list(function="shop/child")
        rerun = await app.client.rerun(first.id)
        await env.advance("2h")
        view = await app.client.runs.get(rerun.run_id)
        assert (view.parent, view.result, view.event and view.event.data) == ("", 1, {"a": 1})
        (run,) = await app.client.runs.list(function="shop/parent")
        assert (await app.client.runs.get(run.id)).result == 0


async def test_a_failure_handler_can_be_done_again_and_stays_silent() -> None:
    app, handled = dq.App("shop"), list[str]()

    async def handle(ctx: dq.Context) -> None:
        handled.append(ctx.event.data["error"]["message"])

    @app.function("fails", retries=0, triggers=[dq.EventTrigger("go")], on_failure=handle)
    async def fails(ctx: dq.Context) -> None:
        raise ValueError("no")

    ended = list[str]()

    @app.function("ends", triggers=[dq.EventTrigger("durableq/function.finished")])
    async def ends(ctx: dq.Context) -> None:
        ended.append(ctx.event.data["function_id"])

    async with TestEnv(app) as env:
        await env.send("go")
        await env.run_until_idle()
        (run,) = await app.client.runs.list(function="shop/fails:on-failure")
        before = list(ended)
        await app.client.rerun(run.id)
        await env.run_until_idle()
        assert handled == ["no", "no"]
        assert ended == before


async def test_a_batch_s_rerun_has_all_its_events_and_its_data_stays() -> None:
    app, seen = dq.App("shop"), list[list[dq.Event]]()

    @app.function("collects", triggers=[dq.EventTrigger("go")], batch=dq.Batch(3, timeout="1m"))
    async def collects(ctx: dq.Context) -> None:
        seen.append(list(ctx.events))

    async with TestEnv(app) as env:
        for n in range(3):
            await env.send("go", {"n": n})
            await env.advance("1s")
        await env.run_until_idle()
        (run,) = await app.client.runs.list()
        await env.advance("1h")
        await app.client.rerun(run.id)
        await env.run_until_idle()
        first, second = seen
        assert [event.data["n"] for event in first] == [0, 1, 2]
        assert second == first
        with pytest.raises(dq.EventError, match="it was given a batch of events, whose data cannot be replaced"):
            await app.client.rerun(run.id, data={})


async def test_flow_control_delays_a_rerun_and_does_not_drop_it() -> None:
    app, n = dq.App("shop"), Counter[str]()

    @app.function(
        "limited",
        triggers=[dq.EventTrigger("go")],
        rate_limit=dq.RateLimit(1, period="1h", key="event.data.k"),
        throttle=dq.Throttle(1, period="10s", key="event.data.k"),
    )
    async def limited(ctx: dq.Context) -> None:
        n.update([ctx.event.data["k"]])

    async with TestEnv(app) as env:
        await env.send("go", {"k": "a"})
        await env.run_until_idle()
        (run,) = await app.client.runs.list()
        await app.client.rerun(run.id)
        await app.client.rerun(run.id, data={"k": "b"})
        await env.run_until_idle()
        assert n == {"a": 1, "b": 1}, "the rate limit lets it pass, the throttle holds it back"
        await env.advance("10s")
        assert n == {"a": 2, "b": 1}


async def test_of_a_paused_function_that_skips_a_rerun_is_refused() -> None:
    shop = Shop("def")
    async with TestEnv(shop.app) as env:
        source = await shop.ran(env)
        await shop.app.client.pause("shop/orders", new="skip")
        with pytest.raises(dq.RunSkipped, match="paused"):
            await shop.app.client.rerun(source.run_id)
