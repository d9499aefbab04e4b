"""cancel_on and timeouts: from the declaration to the run that is cancelled, over each kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import durableq as dq
from durableq.model.event import Event, encode_event
from tests.servers import Server
from tests.services.routed import Routed
from tests.store.shard import Shard

BY_ID = "event.data.id == async.data.id"


@pytest_asyncio.fixture
async def routed(server: Server) -> AsyncIterator[Routed]:
    shard = Shard(server)
    await shard.calls.open()
    yield Routed(shard)
    await shard.close()


def created(id: Any, **more: Any) -> Event[dict[str, Any]]:
    return Event("order/created", {"id": id, **more})


def cancelled(id: Any, **more: Any) -> Event[dict[str, Any]]:
    return Event("order/cancelled", {"id": id, **more})


async def states(routed: Routed, function: str) -> list[str]:
    return [row.state.label for row in await routed.rows(function)]


async def cancelling(routed: Routed, *cancel_on: dq.CancelOn, **options: Any) -> str:
    function = routed.function("f", dq.EventTrigger("order/created"), cancel_on=cancel_on, **options)
    await routed.deploy()
    return function


async def test_an_event_cancels_the_runs_that_it_equals_wherever_they_are(routed: Routed) -> None:
    function = await cancelling(routed, dq.CancelOn("order/cancelled", if_=BY_ID))
    await routed.send(created(1), created(2))
    await routed.route()
    await routed.claim()
    await routed.send(created(1), created("1"), cancelled(1))
    await routed.route()
    assert await states(routed, function) == ["cancelled", "running", "cancelled", "queued"]
    await routed.send(cancelled(2), cancelled("1"))
    await routed.route()
    assert await states(routed, function) == ["cancelled"] * 4


async def test_an_event_behind_the_trigger_cancels_also_in_the_batch_that_first_hears_its_name(routed: Routed) -> None:
    function = await cancelling(routed, dq.CancelOn("order/cancelled", if_=BY_ID))
    await routed.send(cancelled(1), created(1), created(2), cancelled(2))
    await routed.route()
    assert await states(routed, function) == ["queued", "cancelled"]


async def test_the_event_that_starts_a_run_never_cancels_it_and_the_next_of_its_name_does(routed: Routed) -> None:
    function = await cancelling(routed, dq.CancelOn("order/created", if_=BY_ID))
    await routed.send(created(1))
    await routed.route()
    assert await states(routed, function) == ["queued"]
    await routed.send(created(1))
    await routed.route()
    assert await states(routed, function) == ["cancelled", "queued"]


async def test_without_a_condition_every_event_of_the_name_cancels_every_run_of_the_function(routed: Routed) -> None:
    function = await cancelling(routed, dq.CancelOn("order/cancelled"))
    other = routed.function("other", dq.EventTrigger("order/created"))
    await routed.deploy()
    await routed.send(created(1), created(2), cancelled(3), created(4))
    await routed.route()
    assert await states(routed, function) == ["cancelled", "cancelled", "queued"]
    assert await states(routed, other) == ["queued"] * 3


@pytest.mark.parametrize(
    ("if_", "then"),
    [
        ("event.data.id == async.data.id && async.data.why == 'fraud'", ["queued", "cancelled"]),
        ("async.data.id > event.data.id", ["cancelled", "queued"]),
        ("async.data.id >= event.data.id || async.data.all", ["cancelled", "cancelled"]),
        ("event.data.id == async.data['the id'] || event.data.id == async.data.id", ["cancelled", "cancelled"]),
        ("event.data.plan == 'free' && event.data.id == async.data.id", ["cancelled", "queued"]),
    ],
)
async def test_any_condition_cancels_where_it_holds(routed: Routed, if_: str, then: list[str]) -> None:
    function = await cancelling(routed, dq.CancelOn("order/cancelled", if_=if_))
    await routed.send(created(1, plan="free"), created(2, plan="pro"))
    await routed.route()
    await routed.send(cancelled(1), cancelled(2, why="fraud"))
    await routed.route()
    assert await states(routed, function) == then


async def test_what_the_runs_own_event_rules_out_is_listened_for_nowhere(routed: Routed) -> None:
    await cancelling(routed, dq.CancelOn("order/cancelled", if_=f"event.data.plan == 'free' && {BY_ID}"))
    await routed.send(created(1, plan="pro"))
    await routed.route()
    stored = await routed.shard.stored()
    assert list(stored.family("listens")) == []
    assert list(stored.family("waits")) == []
    await routed.send(created(1, plan="free"))
    await routed.route()
    assert len(list((await routed.shard.stored()).family("listens"))) == 1


async def test_any_of_five_cancels_and_the_others_are_swept(routed: Routed) -> None:
    names = [f"stop/{n}" for n in range(5)]
    function = await cancelling(routed, *[dq.CancelOn(name, if_=BY_ID) for name in names])
    for name in names:
        await routed.send(created(1))
        await routed.route()
        await routed.send(Event(name, {"id": 1}))
        await routed.route()
    assert await states(routed, function) == ["cancelled"] * 5
    while await routed.shard.cancels.sweep_ended():
        pass
    stored = await routed.shard.stored()
    assert (list(stored.family("waits")), list(stored.family("listens")), stored.of("void")) == ([], [], set())


@pytest.mark.parametrize(("after_ms", "then"), [(3_599_999, "cancelled"), (3_600_001, "queued")])
async def test_a_cancel_on_is_over_when_its_timeout_is(routed: Routed, after_ms: int, then: str) -> None:
    function = await cancelling(routed, dq.CancelOn("order/cancelled", if_=BY_ID, timeout="1h"))
    (first,) = await routed.send(created(1))
    await routed.route()
    await taken_at(routed, cancelled(1), int(first.partition("-")[0]) + after_ms)
    await routed.route()
    assert await states(routed, function) == [then]


async def taken_at(routed: Routed, event: Event[Any], at_ms: int) -> None:
    """An entry as a server makes it whose clock says this."""
    command, key = routed.shard.command, routed.shard.key
    await command("XADD", key("events"), f"{at_ms}-0", "b", encode_event(event))
    await command("HINCRBY", key("meta"), "sent", 1)


async def test_a_runs_end_by_event_is_told_to_what_listens(routed: Routed) -> None:
    clean = routed.function("clean", dq.EventTrigger("durableq/function.cancelled"))
    function = await cancelling(routed, dq.CancelOn("order/cancelled"))
    await routed.send(created(1), cancelled(1))
    await routed.route()
    event = await routed.given(await routed.run_of(clean))
    assert event.data["run_id"] == await routed.run_of(function)
    assert event.data["error"]["message"].startswith("function cancelled: ")


async def test_a_system_event_cancels(routed: Routed) -> None:
    """A second function of the same order is of no use once the first has failed."""
    first = routed.function("charge", dq.EventTrigger("order/created"))
    if_ = "async.data.function_id == 'charge' && event.data.id == async.data.event.data.id"
    function = await cancelling(routed, dq.CancelOn("inngest/function.failed", if_=if_))
    await routed.send(created(1), created(2))
    await routed.route()
    held = await routed.claim()
    (failing,) = [one for one in held if one.run == (await routed.runs(first))[1]]
    await routed.fail(failing, ValueError("declined"))
    await routed.route()
    assert await states(routed, function) == ["running", "cancelled"]


async def test_a_listener_that_was_declared_since_is_given_to_runs_created_since(routed: Routed) -> None:
    function = routed.function("f", dq.EventTrigger("order/created"))
    await routed.deploy()
    await routed.send(created(1))
    await routed.route()
    routed.app = dq.App("shop")
    await cancelling(routed, dq.CancelOn("order/cancelled"))
    await routed.send(created(2), cancelled(0))
    await routed.route()
    assert await states(routed, function) == ["queued", "cancelled"]


async def test_a_function_without_these_options_is_created_without_extras(
    routed: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    routed.function("f", dq.EventTrigger("order/created"))
    await routed.deploy()
    await routed.send(created(1))
    seen: list[Any] = []
    plain = routed.shard.events.route_events

    async def watched(*args: Any, **kwargs: Any) -> Any:
        seen.extend(args[4])
        return await plain(*args, **kwargs)

    monkeypatch.setattr(type(routed.shard.events), "route_events", lambda self, *a, **k: watched(*a, **k))
    await routed.route()
    assert [(decision.kind, decision.detail) for decision in seen] == [("run", b"")]


# --- timeouts


async def fire(routed: Routed, after_ms: int) -> None:
    routed.shard.advance(after_ms)
    while (await routed.shard.timers.fire_timers()).fired:
        pass


async def at_the_servers_time(routed: Routed, event: Event[Any]) -> None:
    """Send, and set the scripts' clock to the time at which the server has taken it."""
    (entry,) = await routed.send(event)
    routed.shard.calls.now_ms = int(entry.partition("-")[0])
    await routed.route()


async def test_a_run_that_has_not_begun_in_time_is_cancelled_and_one_that_has_is_not(routed: Routed) -> None:
    function = await cancelling(routed, timeouts=dq.Timeouts(start="5m"))
    await at_the_servers_time(routed, created(1))
    await fire(routed, 299_000)
    assert await states(routed, function) == ["queued"]
    await fire(routed, 1_000)
    assert await states(routed, function) == ["cancelled"]
    await at_the_servers_time(routed, created(2))
    await routed.deploy()
    (held,) = await routed.claim()
    await fire(routed, 600_000)
    assert await routed.state(held.run) == "running"


async def test_start_counts_from_the_due_time_of_a_delayed_run(routed: Routed) -> None:
    function = await cancelling(routed, timeouts=dq.Timeouts(start="5m"))
    (entry,) = await routed.send(Event("order/created", {"id": 1}, ts=_in_an_hour(routed)))
    assert entry
    await routed.route()
    await fire(routed, 3_600_000)
    assert await states(routed, function) == ["queued"]
    await fire(routed, 299_000)
    assert await states(routed, function) == ["queued"]
    await fire(routed, 1_000)
    assert await states(routed, function) == ["cancelled"]


def _in_an_hour(routed: Routed) -> int:
    return routed.shard.now_ms + 3_600_000


async def test_a_run_that_has_not_ended_in_time_is_cancelled_counted_from_its_first_claim(routed: Routed) -> None:
    function = await cancelling(routed, timeouts=dq.Timeouts(finish="30m"))
    await at_the_servers_time(routed, created(1))
    await fire(routed, 3_600_000)
    await routed.deploy()
    (held,) = await routed.claim()
    await routed.shard.release(held)
    await fire(routed, 1_799_000)
    assert await states(routed, function) == ["queued"]
    await fire(routed, 1_000)
    assert await states(routed, function) == ["cancelled"]


@pytest.mark.parametrize("before", [None, dq.Timeouts(start="1h", finish="1h")])
@pytest.mark.parametrize("place", ["queued", "waiting", "in hand", "delayed", "delayed and queued"])
async def test_timeouts_of_a_new_deployment_hold_at_once_for_what_is_queued_or_begun(
    routed: Routed, before: dq.Timeouts | None, place: str
) -> None:
    function = await cancelling(routed, timeouts=before)
    ts = _in_an_hour(routed) if place.startswith("delayed") else None
    await at_the_servers_time(routed, Event("order/created", {"id": 1}, ts=ts))
    began_ms = routed.shard.now_ms if ts is None else ts
    if place == "delayed and queued":
        await fire(routed, began_ms - routed.shard.now_ms)
        assert await states(routed, function) == ["queued"]
    if place in ("waiting", "in hand"):
        (held,) = await routed.claim()
        if place == "waiting":
            due_at_ms = routed.shard.now_ms + 7_200_000
            await routed.shard.suspend(held, key="nap", kind="w", blob=b"sleep", due_at_ms=due_at_ms)
    routed.app = dq.App("shop")
    await cancelling(routed, timeouts=dq.Timeouts(start="5m", finish="5m"))
    await fire(routed, 0)
    assert await states(routed, function) != ["cancelled"]
    await fire(routed, began_ms + 299_999 - routed.shard.now_ms)
    assert await states(routed, function) != ["cancelled"]
    await fire(routed, 1)
    assert await states(routed, function) == ["cancelled"]
    await routed.sweep()
    assert (await routed.shard.stored()).of("timers") == {}


async def test_all_runs_of_a_long_queue_are_told_of_new_timeouts_and_no_others(routed: Routed) -> None:
    function = await cancelling(routed)
    other = routed.function("other", dq.EventTrigger("order/created"))
    await routed.deploy()
    routed.shard.calls.now_ms = 1_790_000_000_000
    for _ in range(4):
        await routed.send(*map(created, range(90)))
    await routed.route()
    await routed.shard.claim("L1", 50, "shop")
    routed.app = dq.App("shop")
    routed.function("other", dq.EventTrigger("order/created"))
    await cancelling(routed, timeouts=dq.Timeouts(start="366d", finish="366d"))
    for _ in range(20):
        await fire(routed, 10)
    timers = (await routed.shard.stored()).of("timers")
    assert sorted(timer.split(" ")[1] for timer in timers) == sorted(await routed.runs(function))
    assert len(await routed.runs(other)) == 360


async def test_a_deployment_that_changes_no_timeout_looks_at_no_run(routed: Routed) -> None:
    await cancelling(routed, timeouts=dq.Timeouts(start="5m"))
    await routed.deploy()
    routed.function("g", dq.EventTrigger("x"), timeouts=dq.Timeouts(start="5m"))
    await routed.deploy()
    assert (await routed.shard.stored()).of("timers") == {}
