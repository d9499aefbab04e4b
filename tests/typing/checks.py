"""Calls that type checkers must accept. Never imported: mypy and pyright read it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

from durableq.app import App
from durableq.client import Client
from durableq.engine.context import Context
from durableq.engine.sync import SyncContext
from durableq.handles import RunHandle, SyncRunHandle
from durableq.model.cancelling import CancelOn, Timeouts
from durableq.model.collecting import Batch, Debounce
from durableq.model.concurrency import Concurrency
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.model.pacing import RateLimit, Throttle
from durableq.model.run_filter import RunFilter
from durableq.model.signal import Signal
from durableq.model.singleton import Singleton
from durableq.model.trigger import CronTrigger, EventTrigger
from durableq.services.bulk import BulkReport
from durableq.services.cancelling import Cancellation
from durableq.services.picking import RunCount


@dataclass
class Order:
    id: int


@dataclass
class Created:
    order_id: int


async def load(id: int) -> Order:
    return Order(id)


def price(order: Order, *, discount: float = 0.0) -> float:
    return order.id * (1 - discount)


async def raw() -> dict[str, Any]:
    return {}


async def results_are_inferred(ctx: Context) -> None:
    assert_type(await ctx.step.run("load", load, 1), Order)
    assert_type(await ctx.step.run("price", price, Order(1), discount=0.5), float)
    assert_type(await ctx.step.run("lambda", lambda: 3), int)
    assert_type(await ctx.step.run("lambda", lambda: load(3)), Order)
    assert_type(await ctx.step.sleep("nap", "1h"), None)
    assert_type(await ctx.step.send_event("tell", Event("a/b", {})), list[str])


async def also_through_combinators(ctx: Context) -> None:
    order, cost = await asyncio.gather(ctx.step.run("load", load, 1), ctx.step.run("price", price, Order(1)))
    assert_type(order, Order)
    assert_type(cost, float)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ctx.step.run("load", load, 2))
    assert_type(task.result(), Order)
    assert_type(await asyncio.wait_for(ctx.step.run("load", load, 3), 5), Order)
    assert_type(await asyncio.create_task(ctx.step.run("load", load, 4)), Order)


async def options_keep_the_type_or_name_it(ctx: Context) -> None:
    assert_type(await ctx.step.options(retries=0, timeout="5s").run("load", load, 1), Order)
    assert_type(await ctx.step.options(output_type=Order).run("raw", raw), Order)
    assert_type(await ctx.step.options(output_type=Order, retries=3).run("raw", raw), Order)


async def child(ctx: Context) -> Order:
    return Order(1)


def plain_child(ctx: SyncContext) -> Order:
    return Order(1)


async def what_is_waited_for_is_typed(ctx: Context, app: App) -> None:
    make = app.function("make", triggers=EventTrigger("a/b"))(child)
    make_plainly = app.function("make-plainly", triggers=EventTrigger("a/b"))(plain_child)
    assert_type(await ctx.step.invoke("c", make), Order)
    assert_type(await ctx.step.invoke("c", make_plainly, data={"x": 1}, timeout="1h"), Order)
    assert_type(await ctx.step.invoke("c", "other/make"), Any)
    assert_type(await ctx.step.options(output_type=Order).invoke("c", "other/make"), Order)
    assert_type(await ctx.step.wait_for_event("w", "a/b", timeout="1h", if_="async.data.x == 1"), Event[Any] | None)
    assert_type(
        await ctx.step.options(output_type=Created).wait_for_event("w", "a/b", timeout=60), Event[Created] | None
    )
    assert_type(await ctx.step.wait_for_signal("w", "s", timeout="1h", on_conflict="replace"), Signal[Any] | None)
    assert_type(await ctx.step.options(output_type=Order).wait_for_signal("w", "s", timeout=1), Signal[Order] | None)
    assert_type(await ctx.step.send_signal("t", "s", {"x": 1}), str | None)
    order, event = await asyncio.gather(
        ctx.step.invoke("c", make), ctx.step.options(output_type=Created).wait_for_event("w", "a/b", timeout=60)
    )
    assert_type(order, Order)
    assert_type(event, Event[Created] | None)
    if event is not None:
        assert_type(event.data.order_id, int)
    assert_type(ctx.cancelled.is_set(), bool)


def also_in_plain_functions(ctx: SyncContext, app: App) -> None:
    make = app.function("make", triggers=EventTrigger("a/b"))(child)
    assert_type(ctx.step.invoke("c", make), Order)
    assert_type(ctx.step.invoke("c", "other/make"), Any)
    assert_type(ctx.step.options(output_type=Order).invoke("c", "other/make"), Order)
    assert_type(ctx.step.wait_for_event("w", "a/b", timeout="1h"), Event[Any] | None)
    assert_type(ctx.step.options(output_type=Created).wait_for_event("w", "a/b", timeout=1), Event[Created] | None)
    assert_type(ctx.step.wait_for_signal("w", "s", timeout="1h"), Signal[Any] | None)
    assert_type(ctx.step.send_signal("t", "s"), str | None)
    typed = ctx.step.options(output_type=Created)
    order, event = ctx.parallel(lambda: ctx.step.invoke("c", make), lambda: typed.wait_for_event("w", "a/b", timeout=1))
    assert_type(order, Order)
    assert_type(event, Event[Created] | None)
    assert_type(ctx.cancelled.wait(1), bool)


async def events_are_typed(ctx: Context[Created], plain: Context) -> None:
    assert_type(ctx.event.data, Created)
    assert_type(ctx.event.data.order_id, int)
    assert_type(ctx.events[0].data, Created)
    assert_type(plain.event.data, dict[str, Any])


def plain_functions_are_too(ctx: SyncContext[Created]) -> None:
    assert_type(ctx.step.run("load", load, 1), Order)
    assert_type(ctx.step.run("price", price, Order(1)), float)
    assert_type(ctx.step.options(output_type=Order).run("raw", raw), Order)
    assert_type(ctx.step.send_event("tell", [Event("a/b", {})]), list[str])
    assert_type(ctx.event.data, Created)


def parallel_gives_a_tuple(ctx: SyncContext) -> None:
    order, cost = ctx.parallel(lambda: ctx.step.run("load", load, 1), lambda: ctx.step.run("price", price, Order(1)))
    assert_type(order, Order)
    assert_type(cost, float)
    assert_type(ctx.parallel(*[lambda: ctx.step.run("load", load, 1)]), tuple[Order, ...])


def crons_and_events_may_start_one_function(app: App) -> None:
    app.function("one", triggers=CronTrigger("@daily"))
    app.function("both", triggers=[CronTrigger("0 9 * * *", timezone="UTC", jitter="30s"), EventTrigger("a/b")])
    app.function("others", triggers=(CronTrigger("@daily", catch_up="all", overlap="allow"),))


def functions_may_be_cancelled_timed_and_followed(app: App) -> None:
    async def one(ctx: Context) -> int:
        return 1

    async def typed(ctx: Context[Created]) -> None: ...

    def plain(ctx: SyncContext) -> None: ...

    app.function("a", triggers=EventTrigger("a/b"), on_failure=one, cancel_on=CancelOn("x"), timeouts=Timeouts(start=3))
    app.function("b", triggers=EventTrigger("a/b"), on_failure=typed, timeouts=Timeouts(start="5m", finish="1h"))
    app.function("c", triggers=EventTrigger("a/b"), on_failure=plain, cancel_on=[CancelOn("x", if_="true", timeout=60)])
    app.function("d", triggers=EventTrigger("a/b"), on_failure=lambda ctx: None)


def flow_control_is_given_as_values_numbers_or_words(app: App) -> None:
    on = EventTrigger("a/b")
    app.function("a", triggers=on, concurrency=10, singleton="skip", idempotency="event.id", priority="event.data.p")
    app.function("b", triggers=on, concurrency=Concurrency(1, key="event.id", scope="app", hold="run"))
    app.function("c", triggers=on, concurrency=[10, Concurrency(1, key="event.id")], throttle=Throttle(5, period="1m"))
    app.function(
        "d", triggers=on, concurrency=(Concurrency(1), Concurrency(2, hold="run")), singleton=Singleton("cancel")
    )
    app.function(
        "e", triggers=on, rate_limit=RateLimit(5, period=60, key="event.id"), debounce=Debounce("5s", timeout=60)
    )
    app.function("f", triggers=on, batch=Batch(10, timeout=timedelta(seconds=5), key="event.id", if_="event.data.x"))
    app.function("g", triggers=on, concurrency=None, throttle=None, rate_limit=None, debounce=None, batch=None)
    app.function("h", triggers=on, priority=None, singleton=None, idempotency=None)
    assert_type(app.function("i", triggers=on, throttle=Throttle(5, period=1.5, burst=2))(child), Function[Order])
    assert_type(Concurrency(1).limit, int)
    assert_type(Singleton().key, str | None)


async def runs_from_outside_have_the_functions_type(app: App, client: Client) -> None:
    make = app.function("make", triggers=EventTrigger("a/b"))(child)
    assert_type(await app.invoke(make, data={"x": 1}), RunHandle[Order])
    assert_type(await (await app.invoke(make)).result(timeout="30s"), Order)
    assert_type(await app.invoke("make"), RunHandle[Any])
    assert_type(await client.invoke(make), RunHandle[Order])
    assert_type(await client.invoke("shop/make"), RunHandle[Any])
    assert_type(client.handle("id"), RunHandle[Any])
    one, two = await asyncio.gather(app.invoke(make), app.invoke(make))
    assert_type(await asyncio.gather(one.result(), two.result()), tuple[Order, Order])
    assert_type(await app.cancel("id"), Cancellation)
    assert_type(await client.cancel(["id"]), list[Cancellation])
    assert_type(await one.status(), str)
    assert_type(await client.send_signal("approve", {"by": 1}), str | None)


async def runs_are_done_again_one_or_many(app: App, client: Client) -> None:
    make = app.function("make", triggers=EventTrigger("a/b"))(child)
    assert_type(await client.pause(make, new="skip"), bool)
    assert_type(await client.resume("shop/make"), bool)
    assert_type(await client.rerun("id", from_step="x", data={"n": 1}), RunHandle[Any])
    assert_type(await client.runs.resume("id"), RunHandle[Any])
    wanted = RunFilter(function=[make, "shop/other"], status=["failed"], since="2h", until=timedelta(hours=1))
    assert_type(await client.runs.count(wanted), RunCount)
    assert_type(await client.bulk.cancel(RunFilter(app="shop")), BulkReport)
    told: list[BulkReport] = []
    assert_type(await client.bulk.rerun(wanted, bulk_id="id", on_progress=told.append), BulkReport)
    assert_type(await client.bulk.resume(RunFilter(error=ValueError, where="event.data.n > 1")), BulkReport)
    assert_type(app.sync.pause("make"), bool)
    assert_type(client.sync.rerun("id"), SyncRunHandle[Any])
    assert_type(client.sync.runs.resume("id"), SyncRunHandle[Any])
    assert_type(client.sync.bulk.resume(wanted, on_progress=lambda report: print(report.done)).failed, int)


def also_for_plain_code(app: App, client: Client) -> None:
    make = app.function("make", triggers=EventTrigger("a/b"))(child)
    assert_type(app.sync.invoke(make, data={"x": 1}).result(timeout="30s"), Order)
    assert_type(client.sync.invoke(make), SyncRunHandle[Order])
    assert_type(client.sync.invoke("shop/make").result(), Any)
    assert_type(client.sync.cancel("id"), Cancellation)
    assert_type(client.sync.cancel(["id"]), list[Cancellation])
    assert_type(client.sync.handle("id").status(), str)
