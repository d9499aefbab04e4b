"""Runs that several events have started: what their functions, waits, failure handlers and screens see of them (014)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from durableq import App, Batch, Context, EventTrigger, SyncContext
from durableq.cli.plain import whole_run
from durableq.cli.run_text import run_text
from durableq.model.event import Event, encode_event
from durableq.model.failure import Failure
from durableq.services.batches import decoded
from durableq.services.views import run_view
from durableq.store.flow import RESUME, WAIT, Flow
from tests.servers import Server, on
from tests.services.hands import Hands, result_of

GO, OTHER = "go", "other"
KINDS = ["async", "def"]
SOON = Batch(3, timeout="1s")


@pytest_asyncio.fixture
async def hands(server: Server) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    await found.close()


def app_of(kind: str, body: Callable[[Any], Any], **options: Any) -> App:
    """A function that collects `go`, does what `body` says with its context, and one that collects nothing."""
    app = App("shop")
    chosen: dict[str, Any] = {"batch": SOON, "retries": 0} | options
    declare = app.function("many", triggers=[EventTrigger(GO)], **chosen)
    if kind == "def":

        @declare
        def many(ctx: SyncContext) -> Any:
            return body(ctx)

    else:

        @declare
        async def function(ctx: Context) -> Any:
            returned = body(ctx)
            return await returned if asyncio.iscoroutine(returned) else returned

    return app


def numbers(events: list[Event[Any]]) -> list[Any]:
    return [event.data["n"] for event in events]


async def results(hands: Hands, count: int = 1, function: str = "shop/many") -> list[Any]:
    return await hands.results(function, count)


@pytest.mark.parametrize("kind", KINDS)
@on("fake", "redis7")
async def test_a_function_is_given_all_events_of_its_batch_in_order(hands: Hands, kind: str) -> None:
    def body(ctx: Any) -> Any:
        return [
            ctx.event.data["n"],
            numbers(ctx.events),
            [event.ts for event in ctx.events],
            ctx.event is ctx.events[0],
        ]

    await hands.begin(app_of(kind, body))
    async with hands.turning():
        entries = await hands.send(GO, *({"n": n} for n in range(5)))
        first, second = sorted(await results(hands, 2))
    times = [int(entry.partition("-")[0]) for entry in entries]
    assert first == [0, [0, 1, 2], times[:3], True]
    assert second == [3, [3, 4], times[3:], True]


@pytest.mark.parametrize("kind", KINDS)
@on("fake")
async def test_what_one_event_starts_has_a_list_of_that(hands: Hands, kind: str) -> None:
    await hands.begin(app_of(kind, lambda ctx: [numbers(ctx.events), ctx.events == [ctx.event]], batch=None))
    async with hands.turning():
        await hands.send(GO, {"n": 7})
        assert await results(hands) == [[[7], True]]


@dataclass
class Order:
    n: int


@pytest.mark.parametrize("kind", KINDS)
@on("fake")
async def test_every_event_of_a_batch_has_the_declared_type(hands: Hands, kind: str) -> None:
    app = App("shop")
    declare = app.function("many", triggers=[EventTrigger(GO)], batch=SOON, retries=0)
    if kind == "def":

        @declare
        def plainly(ctx: SyncContext[Order]) -> list[int]:
            return [event.data.n for event in ctx.events]

    else:

        @declare
        async def function(ctx: Context[Order]) -> list[int]:
            return [event.data.n for event in ctx.events]

    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO, {"n": 1}, {"n": 2}, {"n": 3})
        await hands.send(GO, {"n": 4}, {"m": 5}, {"n": 6})
        fine, failed = sorted(await results(hands, 2), key=lambda result: isinstance(result, Failure))
    assert fine == [1, 2, 3]
    assert isinstance(failed, Failure)
    assert "event.data" in failed.message


@pytest.mark.parametrize("kind", KINDS)
@on("fake", "redis7")
async def test_after_a_suspension_the_events_are_the_same(hands: Hands, kind: str) -> None:
    steps: list[int] = []

    async def wait(ctx: Any) -> Any:
        before = numbers(ctx.events)
        await ctx.step.run("note", steps.append, len(before))
        await ctx.step.sleep("nap", "50ms")
        return [before, numbers(ctx.events)]

    def plainly(ctx: Any) -> Any:
        before = numbers(ctx.events)
        ctx.step.run("note", steps.append, len(before))
        ctx.step.sleep("nap", "50ms")
        return [before, numbers(ctx.events)]

    await hands.begin(app_of(kind, plainly if kind == "def" else wait))
    async with hands.turning():
        await hands.send(GO, *({"n": n} for n in range(3)))
        (run,) = await hands.ended("shop/many")
    assert result_of(run) == [[0, 1, 2], [0, 1, 2]]
    assert (steps, run.row.epoch) == ([3], 2)


@pytest.mark.parametrize("kind", KINDS)
@on("fake", "redis7")
async def test_a_wait_of_a_batch_sees_what_comes_behind_its_last_event(hands: Hands, kind: str) -> None:
    """`event` of its condition is the first; no event of the batch matches, also not one behind the first."""

    def verb(ctx: Any) -> Any:
        return ctx.step.wait_for_event("next", GO, timeout="10s", if_="async.data.n > event.data.n")

    async def wait(ctx: Any) -> Any:
        return (await verb(ctx)).data["n"]

    app = app_of(kind, (lambda ctx: verb(ctx).data["n"]) if kind == "def" else wait, batch=Batch(3, timeout="60s"))
    await hands.begin(app)
    async with hands.turning():
        # The fourth is there before the wait begins: it is found by looking back.
        await hands.send(GO, {"n": 5}, {"n": 6}, {"n": 7}, {"n": 4}, {"n": 8})
        assert await results(hands) == [8]
        (run, *_) = await hands.runs("shop/many")
        assert run.row.state == "c"


@pytest.mark.parametrize("kind", KINDS)
@on("fake", "redis7")
async def test_a_failed_batch_tells_its_handler_all_of_its_events(hands: Hands, kind: str) -> None:
    def fail(ctx: Any) -> Any:
        raise ValueError(f"{len(ctx.events)} events")

    async def told(ctx: Context) -> Any:
        data = ctx.event.data
        return [data["event"]["data"]["n"], [one["data"]["n"] for one in data["events"]], data["error"]["message"]]

    def told_plainly(ctx: SyncContext) -> Any:
        data = ctx.event.data
        return [data["event"]["data"]["n"], [one["data"]["n"] for one in data["events"]], data["error"]["message"]]

    app = app_of(kind, fail, on_failure=told_plainly if kind == "def" else told)
    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO, *({"n": n} for n in range(3)))
        assert await results(hands, 1, "shop/many:on-failure") == [[0, [0, 1, 2], "3 events"]]
    (failed,) = await hands.runs("shop/many")
    assert run_view(failed).error is not None


@on("fake", "redis7")
async def test_screens_show_all_events_of_a_batch(hands: Hands) -> None:
    await hands.begin(app_of("async", lambda ctx: len(ctx.events), batch=Batch(30, timeout="60s")))
    async with hands.turning():
        await hands.send(GO, *({"n": n, "text": "x" * 500} for n in range(30)))
        (run,) = await hands.ended("shop/many")
    view = run_view(run)
    assert view.event == view.events[0]
    assert numbers(list(view.events)) == list(range(30))
    shown = whole_run(view)
    assert [event["data"]["n"] for event in shown["events"]] == list(range(30))
    assert shown["event"] == shown["events"][0]
    text = run_text(view, run.row.ended_at_ms, 1)
    assert "30 events" in text
    assert "and 20 more" in text
    assert max(map(len, text.splitlines())) < 130


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda given: given[:-1], "stored batch is cut"),
        (lambda given: given[:1] + b"x" + given[1:], "stored batch is damaged at byte 1"),
        (lambda given: given.replace(b" \x01", b" \x02", 1), "stored value has format 2"),
        (lambda given: b"B", "stored batch is damaged"),
    ],
)
@on("fake", "redis7")
async def test_a_batch_that_cannot_be_read_fails_and_stays_as_it_is(hands: Hands, damage: Any, said: str) -> None:
    app = app_of("async", lambda ctx: len(ctx.events))
    await hands.begin(app)
    key, flow = hands.calls.key("input", "*"), Flow(hands.calls)
    await flow.pause_functions(["shop/many"], WAIT)
    async with hands.turning():
        await hands.send(GO, *({"n": n} for n in range(3)))

        async def collected() -> Any:
            return await hands.calls.read("KEYS", key)

        (stored,) = await hands.until(collected, "the batch is a run")
        broken = damage(await hands.calls.read("GET", stored))
        await hands.calls.read("SET", stored, broken)
        await flow.pause_functions(["shop/many"], RESUME)
        (run,) = await hands.ended("shop/many", states="f")
    failure = result_of(run)
    assert said in failure.message
    assert run.input == broken
    assert (run_view(run).event, run_view(run).events) == (None, ())


@on("redis7")
async def test_batches_of_ten_mebibytes_are_executed(hands: Hands) -> None:
    blob = b"x" * 2_600_000

    def sizes(ctx: Any) -> Any:
        return [len(ctx.events), sum(len(event.data["blob"]) for event in ctx.events)]

    await hands.begin(app_of("async", sizes, batch=Batch(4, timeout="60s")))
    async with hands.turning():
        for _ in range(2):
            await hands.send(GO, *({"blob": blob} for _ in range(4)))
        assert await results(hands, 2) == [[4, 4 * len(blob)]] * 2
    (run, *_) = await hands.runs("shop/many")
    assert len(run.input) > 10_400_000


async def test_while_a_large_batch_is_decoded_others_have_their_turns() -> None:
    blob = encode_event(Event(GO, {"text": "x" * 100_000}))
    given = b"B" + b"%d 7 %s" % (len(blob), blob) * 100
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    events = await decoded(given, 0)
    turning.cancel()
    assert (len(events), events[99].ts) == (100, 7)
    assert turns >= 50
