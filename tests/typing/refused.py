"""Calls that type checkers must refuse: every line marked so, and no other. Never imported."""

from __future__ import annotations

from dataclasses import dataclass

from durableq.app import App
from durableq.client import Client
from durableq.engine.context import Context
from durableq.engine.sync import SyncContext
from durableq.model.collecting import Batch, Debounce
from durableq.model.concurrency import Concurrency
from durableq.model.pacing import RateLimit
from durableq.model.run_filter import RunFilter
from durableq.model.singleton import Singleton
from durableq.model.trigger import CronTrigger
from durableq.words.errors import NonRetriableError


@dataclass
class Created:
    order_id: int


async def load(id: int) -> str:
    return str(id)


async def refused(ctx: Context[Created]) -> None:
    await ctx.step.run("x", load)  # expect-error
    await ctx.step.run("x", load, "1")  # expect-error
    await ctx.step.run("x", load, 1, 2)  # expect-error
    await ctx.step.run("x", load, id=1, unknown=2)  # expect-error
    await ctx.step.run(5, load, 1)  # expect-error
    await ctx.step.run("x", 5)  # expect-error
    await ctx.step.sleep("x")  # expect-error
    await ctx.step.sleep("x", None)  # expect-error
    await ctx.step.send_event("x", "a/b")  # expect-error
    ctx.step.options(retry=3)  # expect-error
    ctx.step.options(retries="3")  # expect-error
    number: int = await ctx.step.run("x", load, 1)  # expect-error
    ctx.event.data["order_id"]  # expect-error
    ctx.event.data.unknown  # expect-error
    ctx.step.wait_for  # expect-error
    await ctx.step.wait_for_event("x", "a/b")  # expect-error
    await ctx.step.wait_for_event("x", "a/b", timeout=None)  # expect-error
    await ctx.step.wait_for_event("x", "a/b", "1h")  # expect-error
    await ctx.step.wait_for_event("x", "a/b", timeout="1h", match="data.x")  # expect-error
    await ctx.step.wait_for_signal("x", "s")  # expect-error
    await ctx.step.wait_for_signal("x", "s", timeout="1h", on_conflict="wait")  # expect-error
    await ctx.step.invoke("x", load)  # expect-error
    await ctx.step.invoke("x", "app/f", {"x": 1})  # expect-error
    print(number)


def refused_too(ctx: SyncContext) -> None:
    ctx.step.run("x", load)  # expect-error
    number: int = ctx.step.run("x", load, 1)  # expect-error
    ctx.parallel(5)  # expect-error
    ctx.step.wait_for_event("x", "a/b")  # expect-error
    ctx.step.invoke("x", load)  # expect-error
    print(number)


def crons_refused(app: App) -> None:
    CronTrigger("@daily", "UTC")  # expect-error
    CronTrigger("@daily", catch_up="some")  # expect-error
    CronTrigger("@daily", overlap="wait")  # expect-error
    app.function("f", triggers=["@daily"])  # expect-error
    app.function("f", triggers=CronTrigger("@daily"), cancel_on=["x"])  # expect-error
    app.function("f", triggers=CronTrigger("@daily"), timeouts="5m")  # expect-error
    app.function("f", triggers=CronTrigger("@daily"), on_failure=lambda: None)  # expect-error


def flow_control_refused(app: App) -> None:
    app.function("f", concurrency="10")  # expect-error
    app.function("f", concurrency=["10"])  # expect-error
    app.function("f", concurrency=1.5)  # expect-error
    app.function("f", throttle=5)  # expect-error
    app.function("f", throttle=RateLimit(5, period=1))  # expect-error
    app.function("f", debounce="10s")  # expect-error
    app.function("f", batch=100)  # expect-error
    app.function("f", singleton="Skip")  # expect-error
    app.function("f", priority=120)  # expect-error
    app.function("f", idempotency=True)  # expect-error
    app.function("f", batch_events=Batch(2, timeout=1))  # expect-error
    Concurrency("5")  # expect-error
    Concurrency(5, "event.id")  # expect-error
    Concurrency(5, scope="fn")  # expect-error
    Concurrency(5, hold="step")  # expect-error
    Concurrency(5, key=lambda event: event.id)  # expect-error
    RateLimit(5)  # expect-error
    RateLimit(5, period=None)  # expect-error
    Debounce()  # expect-error
    Batch(100)  # expect-error
    Batch(max_size=100, timeout=5)  # expect-error
    Singleton("Skip")  # expect-error
    Concurrency(5).limit = 6  # expect-error


async def names_of_inngest_py_are_refused(app: App, ctx: Context) -> None:
    app.function(fn_id="f", trigger=CronTrigger("@daily"))  # expect-error
    app.create_function  # expect-error
    await ctx.step.wait_for_event("x", event="a/b", timeout="1h", if_exp="true")  # expect-error
    await ctx.step.invoke_by_id("x", function_id="f")  # expect-error
    ctx.group  # expect-error
    raise NonRetriableError("x", quiet=True)  # expect-error


async def runs_from_outside_are_refused(app: App, client: Client) -> None:
    await app.invoke(load)  # expect-error
    await app.invoke("f", {"x": 1})  # expect-error
    await app.invoke("f", payload={})  # expect-error
    handle = await app.invoke(app.function("g", triggers=CronTrigger("@daily"))(texts))
    number: int = await handle.result()  # expect-error
    await client.handle(7).result()  # expect-error
    await client.handle("id").result([])  # expect-error
    await client.cancel(7)  # expect-error
    app.sync.invoke(load)  # expect-error
    await client.pause("shop/f", new="later")  # expect-error
    await client.rerun(["id"])  # expect-error
    await client.bulk.cancel(status="failed")  # expect-error
    RunFilter("shop/f")  # expect-error
    RunFilter(function=7)  # expect-error
    print(number)


async def texts(ctx: Context) -> str:
    return ""
