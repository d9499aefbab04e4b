"""System events: from what a script notes to the run that its event starts, over each kind of server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import structlog

import durableq as dq
from durableq.model.event import Event, encode_event
from durableq.model.invoking import encode_invoked
from durableq.model.limits import Limits
from durableq.model.system import ALIASES, CANCELLED, FAILED, FINISHED, INVOKED, SORT_OF, TICK
from durableq.services.declared import Declared
from durableq.services.ticker import Ticker
from durableq.store.invokes import InvokeWrite, NewRun
from durableq.words import codec
from tests.servers import Server
from tests.services.routed import Routed
from tests.store.shard import Held, Shard

CREATED = Event("order/created", {"order_id": 7}, id="order-7", ts=1_790_000_000_000)


@pytest_asyncio.fixture
async def routed(server: Server) -> AsyncIterator[Routed]:
    shard = Shard(server)
    await shard.calls.open()
    yield Routed(shard)
    await shard.close()


async def ended(routed: Routed, how: str, function: str = "process-order") -> str:
    """A run of the function that ends as asked. Returns its id."""
    held = await routed.started_by(CREATED, f"shop/{function}")
    if how == "completed":
        await routed.complete(held, {"label": 3})
    elif how == "failed":
        await routed.fail(held, ValueError("card declined"))
    else:
        await routed.cancel(held.run, why="asked for")
    await routed.route()
    return held.run


def about(run: str, **more: Any) -> dict[str, Any]:
    """What every event about a run of process-order says."""
    event = {
        "name": "order/created",
        "data": {"order_id": 7},
        "id": "order-7",
        "ts": 1_790_000_000_000,
        "user": None,
        "v": None,
    }
    return {
        "function_id": "process-order",
        "app_id": "shop",
        "run_id": run,
        "event": event,
        "events": [event],
        **more,
    }


DECLINED = {"name": "ValueError", "message": "card declined", "stack": "ValueError: card declined"}
ASKED_FOR = {"name": "RunCancelled", "message": "function cancelled: asked for", "stack": ""}


@pytest.mark.parametrize(
    ("how", "name", "more"),
    [
        ("completed", FINISHED, {"result": {"label": 3}}),
        ("failed", FINISHED, {"error": DECLINED}),
        ("cancelled", FINISHED, {"error": ASKED_FOR}),
        ("failed", FAILED, {"error": DECLINED}),
        ("cancelled", CANCELLED, {"error": ASKED_FOR}),
    ],
)
async def test_the_end_of_a_run_starts_what_listens_to_it_with_all_that_is_known(
    routed: Routed, how: str, name: str, more: dict[str, Any]
) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    listener = routed.function("listen", dq.EventTrigger(name))
    await routed.deploy()
    run = await ended(routed, how)
    event = await routed.given(await routed.run_of(listener))
    assert (event.name, event.id, event.user, event.v) == (name, run, None, None)
    assert event.data == json.loads(json.dumps(event.data)) == about(run, **more)
    row = await routed.shard.reads.row(run)
    assert row is not None
    assert event.ts == row.ended_at_ms


@pytest.mark.parametrize(("how", "name"), [("completed", FAILED), ("completed", CANCELLED), ("failed", CANCELLED)])
async def test_what_did_not_happen_is_not_told(routed: Routed, how: str, name: str) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    listener = routed.function("listen", dq.EventTrigger(name))
    await routed.deploy()
    await ended(routed, how)
    assert await routed.runs(listener) == []
    assert await routed.references() == []


async def test_nothing_is_written_where_nobody_listens_nor_after_the_listener_is_gone(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    await routed.deploy()
    await ended(routed, "completed")
    assert await routed.references() == []
    before = routed.app
    routed.app = dq.App("shop")
    routed.function("process-order", dq.EventTrigger("order/created"))
    routed.function("listen", dq.EventTrigger(FINISHED))
    await routed.deploy()
    await ended(routed, "completed")
    assert len(await routed.references()) == 1
    routed.app = before
    await routed.deploy()
    await ended(routed, "completed")
    assert len(await routed.references()) == 1


async def test_apps_share_what_they_listen_to(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    alerts = dq.App("alerts")
    alert = alerts.function("alert", triggers=[dq.EventTrigger(FAILED)])(lambda ctx: None)
    await routed.deploy(alerts)
    await routed.deploy()
    run = await ended(routed, "failed")
    assert (await routed.given(await routed.run_of(alert.full_id))).data["run_id"] == run


async def test_the_documented_clean_up_works_as_people_write_it(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"), name="Process an order")
    other = routed.function("other", dq.EventTrigger("order/created"))
    clean = routed.function(
        "clean-up",
        dq.EventTrigger("inngest/function.cancelled", if_="event.data.function_id == 'process-order'"),
    )
    await routed.deploy()
    await routed.send(CREATED)
    await routed.route()
    await routed.claim()
    (run,), (another,) = await routed.runs("shop/process-order"), await routed.runs(other)
    await routed.cancel(another, run)
    await routed.route()
    event = await routed.given(await routed.run_of(clean))
    assert event.data["run_id"] == run
    assert event.data["event"]["data"] == {"order_id": 7}


@pytest.mark.parametrize(("theirs", "ours"), [*ALIASES.items()])
async def test_inngests_name_of_a_system_event_means_ours(routed: Routed, theirs: str, ours: str) -> None:
    routed.function("listen", dq.EventTrigger(theirs), cancel_on=dq.CancelOn(theirs, if_="async.data.x"))
    await routed.deploy()
    stored = await routed.shard.stored()
    assert stored.of("meta")["echo"] == SORT_OF[ours]


# --- without end


@pytest.mark.parametrize("name", [FINISHED, FAILED, CANCELLED])
@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
async def test_a_run_that_an_end_has_started_is_silent_however_it_ends(routed: Routed, name: str, how: str) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    names = [dq.EventTrigger(FINISHED), dq.EventTrigger(FAILED), dq.EventTrigger(CANCELLED)]
    routed.function("all", *names)
    listener = routed.function("listen", dq.EventTrigger(name))
    await routed.deploy()
    await ended(routed, {FINISHED: "completed", FAILED: "failed", CANCELLED: "cancelled"}[name])
    written = await routed.references()
    run = await routed.run_of(listener)
    for held in await routed.claim():
        if how == "completed":
            await routed.complete(held)
        elif how == "failed":
            await routed.fail(held, ValueError("again"))
        else:
            await routed.cancel(held.run)
    await routed.route()
    assert await routed.state(run) == how
    assert await routed.references() == written
    assert await routed.runs(listener) == [run]


async def test_a_function_on_its_own_end_is_told_of_it_once(routed: Routed) -> None:
    function = routed.function("process-order", dq.EventTrigger("order/created"), dq.EventTrigger(FINISHED))
    await routed.deploy()
    run = await ended(routed, "completed")
    _, second = await routed.runs(function)
    (held,) = await routed.claim()
    assert held.run == second
    await routed.complete(held)
    await routed.route()
    assert await routed.runs(function) == [run, second]


async def test_on_failure_that_fails_is_silent(routed: Routed) -> None:
    async def notify(ctx: dq.Context) -> None: ...

    routed.function("process-order", dq.EventTrigger("order/created"), on_failure=notify)
    routed.function("other", dq.EventTrigger("order/cancelled"), on_failure=notify)
    await routed.deploy()
    run = await ended(routed, "failed")
    event = await routed.given(await routed.run_of("shop/process-order:on-failure"))
    assert event.data == about(run, error=DECLINED)
    (held,) = await routed.claim()
    await routed.fail(held, RuntimeError("the mail server is down"))
    await routed.route()
    assert await routed.runs("shop/process-order:on-failure") == [held.run]
    assert await routed.runs("shop/other:on-failure") == []


@pytest.mark.parametrize("how", ["completed", "cancelled"])
async def test_on_failure_is_not_for_a_run_that_has_not_failed(routed: Routed, how: str) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"), on_failure=lambda ctx: None)
    await routed.deploy()
    await ended(routed, how)
    assert await routed.runs("shop/process-order:on-failure") == []


async def test_a_run_that_fails_at_its_third_death_starts_on_failure_too(routed: Routed) -> None:
    function = routed.function("process-order", dq.EventTrigger("order/created"), on_failure=lambda ctx: None)
    await routed.deploy()
    run = await routed.shard.suspected(function, blob=encode_event(CREATED))
    await routed.shard.lease("X3", function)
    (alone,) = (await routed.shard.claim("X3", 1, "shop", alone=True)).runs
    assert alone.id == run
    await routed.shard.crash("X3")
    await routed.route()
    data = (await routed.given(await routed.run_of("shop/process-order:on-failure"))).data
    assert (data["run_id"], data["event"]["data"]) == (run, {"order_id": 7})
    assert (data["error"]["name"], data["error"]["stack"]) == ("WorkerCrashed", "")


async def test_one_of_the_same_id_in_another_app_starts_no_on_failure(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    twin = dq.App("twin")
    twin.function("process-order", triggers=[dq.EventTrigger("x")], on_failure=lambda ctx: None)(lambda ctx: None)
    await routed.deploy(twin)
    await routed.deploy()
    await ended(routed, "failed")
    assert len(await routed.references()) == 1
    assert await routed.runs("twin/process-order:on-failure") == []


# --- invoked


async def invoke(routed: Routed, parent: Held, child: str, number: int) -> str:
    run = f"{parent.run[:12]}{number:014d}"
    given = encode_invoked(child, run, {"n": number}, Limits())
    write = InvokeWrite(
        parent.run, parent.epoch, 0, f"k{number}", b"", routed.shard.now_ms + 9000, b"", run, child, given, b""
    )
    await routed.shard.invokes.invoke_runs(parent.lease, [write])
    return run


async def test_an_invoke_is_told_with_what_the_child_was_given(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    listener = routed.function("listen", dq.EventTrigger("inngest/function.invoked"))
    await routed.deploy()
    parent = await routed.started_by(CREATED, "shop/process-order")
    child = await invoke(routed, parent, "shop/process-order", 1)
    outside = f"{parent.run[:12]}{9:014d}"
    given = encode_invoked("shop/process-order", outside, None, Limits())
    await routed.shard.invokes.start_runs("", [NewRun(outside, "shop/process-order", given, b"")])
    await routed.route()
    told = {event.id: event for event in [await routed.given(run) for run in await routed.runs(listener)]}
    assert {(event.name, event.id) for event in told.values()} == {(INVOKED, child), (INVOKED, outside)}
    data = told[child].data
    assert {key: data[key] for key in ("function_id", "app_id", "run_id")} == {
        "function_id": "process-order",
        "app_id": "shop",
        "run_id": child,
    }
    assert (data["event"]["name"], data["event"]["data"], data["event"]["id"]) == (INVOKED, {"n": 1}, child)
    assert (data["events"], sorted(data)) == (
        [data["event"]],
        ["app_id", "event", "events", "function_id", "run_id"],
    )


async def test_what_a_run_started_by_an_invoke_invokes_is_told_to_nobody_and_its_end_is(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    listener = routed.function("listen", dq.EventTrigger(INVOKED), on_failure=lambda ctx: None)
    await routed.deploy()
    parent = await routed.started_by(CREATED, "shop/process-order")
    await invoke(routed, parent, "shop/process-order", 1)
    await routed.route()
    (mine,) = [held for held in await routed.claim() if held.run in await routed.runs(listener)]
    await invoke(routed, mine, "shop/process-order", 2)
    (child,) = await routed.claim()
    await invoke(routed, child, "shop/process-order", 3)
    await routed.route()
    assert await routed.runs(listener) == [mine.run]
    await routed.fail(mine, ValueError("no"))
    await routed.route()
    assert len(await routed.runs("shop/listen:on-failure")) == 1


# --- cron


async def test_a_tick_is_told_and_what_it_starts_has_its_functions_listeners_and_timeouts(routed: Routed) -> None:
    ticking = routed.function(
        "report",
        dq.CronTrigger("*/5 * * * *"),
        cancel_on=dq.CancelOn("report/stop", if_="event.data.cron == async.data.cron"),
        timeouts=dq.Timeouts(start="1m"),
    )
    listener = routed.function("listen", dq.EventTrigger("inngest/scheduled.timer"))
    await routed.deploy()
    routed.shard.advance(10 * 60_000)
    ticker = Ticker(routed.shard.crons, Declared(routed.shard.registry), structlog.get_logger())
    while await ticker.run_once() == 0:
        pass
    await routed.route()
    run = await routed.run_of(ticking)
    own, told = await routed.given(run), await routed.given(await routed.run_of(listener))
    assert (own.name, told.name, told.id) == (TICK, TICK, run)
    event = {"name": own.name, "data": own.data, "id": own.id, "ts": own.ts, "user": None, "v": None}
    assert own.data["cron"] == "*/5 * * * *"
    assert own.data["function_id"] == "report"
    assert told.data == {**own.data, "app_id": "shop", "run_id": run, "event": event, "events": [event]}
    assert len((await routed.shard.stored()).of("timers")) == 1
    await routed.send(Event("report/stop", {"cron": "0 9 * * *"}))
    await routed.route()
    assert await routed.state(run) == "queued"
    await routed.send(Event("report/stop", {"cron": "*/5 * * * *"}))
    await routed.route()
    assert await routed.state(run) == "cancelled"


# --- when things go wrong


async def test_an_event_of_a_run_that_is_gone_is_set_aside_and_holds_nobody_up(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    listener = routed.function("listen", dq.EventTrigger(FINISHED))
    await routed.deploy()
    held = await routed.started_by(CREATED, "shop/process-order")
    await routed.complete(held)
    await routed.shard.command("DEL", routed.shard.key("run", held.run), routed.shard.key("input", held.run))
    await routed.shard.command("ZREM", routed.shard.key("done", "shop/process-order:c"), held.run)
    await routed.send(CREATED)
    with structlog.testing.capture_logs() as lines:
        await routed.route()
    assert await routed.runs(listener) == []
    assert len(await routed.runs("shop/process-order")) == 1
    (reason,) = await routed.aside()
    assert reason == f"{FINISHED}: run {held.run} was deleted before its event could be made"
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["event.set_aside"]


async def test_what_cannot_be_read_of_a_run_is_set_aside_with_the_reason(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    listener = routed.function("listen", dq.EventTrigger(FINISHED))
    await routed.deploy()
    for damaged in ("input", "output"):
        held = await routed.started_by(CREATED, "shop/process-order")
        await routed.complete(held, 1)
        await routed.shard.command("SET", routed.shard.key(damaged, held.run), b"\xc1 of another release")
        await routed.route()
        assert f"{FINISHED} of run {held.run}: CodecError" in (await routed.aside())[-1]
    unknown = await routed.shard.command("XADD", routed.shard.key("events"), "*", "b", b"Sq " + b"0" * 26)
    await routed.shard.command("HINCRBY", routed.shard.key("meta"), "sent", 1)
    await routed.route()
    assert "refers to no system event that this release knows" in (await routed.aside())[-1], unknown
    assert await routed.runs(listener) == []


async def test_an_event_that_is_nested_too_deeply_is_told_without_its_data(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"), on_failure=lambda ctx: None)
    await routed.deploy()
    deep: dict[str, Any] = {}
    for _ in range(codec.DEPTH_MAX - 2):
        deep = {"x": deep}
    held = await routed.started_by(Event("order/created", deep), "shop/process-order")
    await routed.fail(held, ValueError("card declined"))
    await routed.route()
    data = (await routed.given(await routed.run_of("shop/process-order:on-failure"))).data
    assert (data["run_id"], data["error"]) == (held.run, DECLINED)
    assert (data["event"]["data"], data["omitted"]) == ({}, "event.data and result: nested too deeply")


async def test_large_events_are_made_a_batch_at_a_time(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    listener = routed.function("listen", dq.EventTrigger(FINISHED))
    await routed.deploy()
    await routed.send(*[Event("order/created", {"n": n, "text": "x" * 400_000}) for n in range(7)])
    await routed.route()
    for held in await routed.claim():
        await routed.complete(held)
    await routed.route()
    found = [await routed.given(run) for run in await routed.runs(listener)]
    assert sorted(event.data["event"]["data"]["n"] for event in found) == list(range(7))


async def test_what_a_system_event_starts_is_ready_at_once_though_the_clock_has_stepped_back(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    listener = routed.function("listen", dq.EventTrigger(FINISHED))
    await routed.deploy()
    held = await routed.started_by(CREATED, "shop/process-order")
    await routed.complete(held)
    routed.shard.advance(-60_000)
    await routed.route()
    assert await routed.state(await routed.run_of(listener)) == "queued"


async def test_an_end_that_nobody_listens_to_any_more_is_passed_over_unread(routed: Routed) -> None:
    routed.function("process-order", dq.EventTrigger("order/created"))
    await routed.deploy()
    held = await routed.started_by(CREATED, "shop/process-order")
    await routed.shard.command("HSET", routed.shard.key("meta"), "echo", "f")
    await routed.complete(held)
    await routed.shard.command("DEL", routed.shard.key("input", held.run))
    await routed.route()
    assert len(await routed.references()) == 1
    assert await routed.aside() == []
