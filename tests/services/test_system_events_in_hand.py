"""System events where functions are executed: failure handlers, the clean-up pattern, waits for the ends of other runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from durableq import App, CancelOn, Context, EventTrigger, SyncContext, Timeouts
from tests.servers import Server
from tests.services.hands import Hands
from tests.services.test_looking_back import Gate

CREATED = "order/created"


@pytest_asyncio.fixture
async def hands(server: Server) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    await found.close()


@pytest.mark.parametrize("colour", ["async", "def"])
async def test_on_failure_is_executed_with_steps_and_retries_of_its_own(hands: Hands, colour: str) -> None:
    app, seen = App("shop"), []

    def mail(text: str) -> str:
        seen.append(text)
        if len(seen) < 3:
            raise ConnectionError("the mail server is down")
        return "sent"

    async def notify(ctx: Context) -> Any:
        data = ctx.event.data
        sent = await ctx.step.run(
            "mail", mail, f"{data['function_id']} {data['error']['message']} {data['event']['data']}"
        )
        return [sent, data["run_id"]]

    def notify_plainly(ctx: SyncContext) -> Any:
        data = ctx.event.data
        sent = ctx.step.run("mail", mail, f"{data['function_id']} {data['error']['message']} {data['event']['data']}")
        return [sent, data["run_id"]]

    handler = notify if colour == "async" else notify_plainly

    @app.function("process-order", triggers=[EventTrigger(CREATED)], retries=0, on_failure=handler)
    async def process_order(ctx: Context) -> None:
        raise ValueError("card declined")

    await hands.begin(app)
    for worker in hands.workers:
        worker.environment.chance = lambda: 0.0
    async with hands.turning():
        await hands.send(CREATED, {"id": 7})
        (failed,) = await hands.ended("shop/process-order")
        while len(seen) < 3:
            await _hurry(hands, "shop/process-order:on-failure")
        assert await hands.results("shop/process-order:on-failure") == [["sent", failed.row.id]]
    assert seen == ["process-order card declined {'id': 7}"] * 3


async def _hurry(hands: Hands, function: str) -> None:
    """Let the retries of these runs be due now."""
    timers = hands.calls.key("timers")
    for member in await hands.calls.read("ZRANGE", timers, 0, -1):
        await hands.calls.read("ZADD", timers, "XX", 1, member)
    await asyncio.sleep(0.002)


async def test_the_documented_clean_up_pattern_works_verbatim(hands: Hands) -> None:
    app, cleaned = App("shop"), []

    @app.function("process-order", triggers=[EventTrigger(CREATED)], cancel_on=[CancelOn("order/cancelled")])
    async def process_order(ctx: Context) -> None:
        await ctx.step.sleep("grace-period", "10m")

    @app.function("other", triggers=[EventTrigger(CREATED)], cancel_on=[CancelOn("order/cancelled")])
    async def other(ctx: Context) -> None:
        await ctx.step.sleep("grace-period", "10m")

    @app.function(
        "clean-up",
        triggers=[EventTrigger("inngest/function.cancelled", if_="event.data.function_id == 'process-order'")],
    )
    async def clean_up(ctx: Context) -> Any:
        await ctx.step.run("undo", cleaned.append, ctx.event.data["run_id"])
        return ctx.event.data["event"]["data"]

    await hands.begin(app)
    async with hands.turning():
        await hands.send(CREATED, {"id": 7})
        (asleep,) = await hands.asleep("shop/process-order")
        await hands.asleep("shop/other")
        await hands.send("order/cancelled", {"id": 7})
        assert await hands.results("shop/clean-up") == [{"id": 7}]
        await hands.ended("shop/other")
        await hands.routed()
    assert cleaned == [asleep.row.id]
    assert len(await hands.runs("shop/clean-up")) == 1


@pytest.mark.parametrize(
    ("colour", "name"), [("async", "durableq/function.finished"), ("def", "inngest/function.finished")]
)
@pytest.mark.parametrize("size", [1, 20_000])
@pytest.mark.parametrize("heard", ["before", "by a wait", "later"])
async def test_a_run_waits_for_the_end_of_another_that_may_be_over_already(
    hands: Hands, colour: str, name: str, size: int, heard: str
) -> None:
    app, gate = App("shop"), Gate()
    if_ = "async.data.function_id == 'import' && async.data.event.data.id == event.data.id"

    @app.function("import", triggers=[EventTrigger("import")])
    async def import_(ctx: Context) -> str:
        return "x" * size

    if colour == "async":

        @app.function("report", triggers=[EventTrigger("report")], retries=0)
        async def report(ctx: Context) -> Any:
            await ctx.step.run("gate", gate.pass_through)
            ended = await ctx.step.wait_for_event("ended", name, timeout="1h", if_=if_)
            return None if ended is None else [ended.name, len(ended.data["result"])]

    else:

        @app.function("report", triggers=[EventTrigger("report")], retries=0)
        def report_plainly(ctx: SyncContext) -> Any:
            ctx.step.run("gate", gate.pass_through)
            ended = ctx.step.wait_for_event("ended", name, timeout="1h", if_=if_)
            return None if ended is None else [ended.name, len(ended.data["result"])]

    if heard == "before":

        @app.function("listen", triggers=[EventTrigger(name, if_="false")])
        async def listen(ctx: Context) -> None: ...

    await hands.begin(app)
    async with hands.turning():
        if heard == "by a wait":
            gate.open()
            await hands.send("report", {"id": 0})
            await hands.asleep("shop/report")
            gate.close()
        await hands.send("report", {"id": 1})
        await hands.until(lambda: gate.reached == 1 + (heard == "by a wait"), "the run has begun")
        if heard == "later":
            gate.open()
            await hands.asleep("shop/report")
        await hands.send("import", {"id": 2}, {"id": 1})
        await hands.ended("shop/import", 2)
        await hands.routed()
        gate.open()
        assert await hands.results("shop/report") == [["durableq/function.finished", size]]


async def test_a_run_whose_finish_is_over_is_cancelled_wherever_it_is_and_starts_no_on_failure(hands: Hands) -> None:
    app = App("shop")

    @app.function(
        "slow", triggers=[EventTrigger("slow")], timeouts=Timeouts(finish="1h"), on_failure=lambda ctx: "never"
    )
    async def slow(ctx: Context) -> None:
        await ctx.step.sleep("long", "2h")

    await hands.begin(app)
    async with hands.turning():
        await hands.send("slow")
        (asleep,) = await hands.asleep("shop/slow")
        timers = hands.calls.key("timers")
        assert await hands.calls.read("ZSCORE", timers, f"f {asleep.row.id}") is not None
        await hands.calls.read("HSET", hands.calls.key("run", asleep.row.id), "b", asleep.row.begun_at_ms - 3_600_001)
        await hands.calls.read("ZADD", timers, 1, f"f {asleep.row.id}")
        (failure,) = await hands.results("shop/slow")
        await hands.routed()
    assert (failure.name, failure.message) == ("RunCancelled", "it had not ended within 1h (timeouts)")
    assert await hands.runs("shop/slow:on-failure") == []
