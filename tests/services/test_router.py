"""The router: events become runs, in order, once, whoever routes."""

import asyncio

import pytest
import structlog

from durableq import Event, EventTrigger
from durableq.model.event import encode_event
from durableq.services.router import Router
from durableq.store.calls import Calls
from durableq.store.events import Backlog, Events, NewEvent
from durableq.store.reads import Reads
from durableq.store.registry import Registry
from durableq.store.waits import Waits
from durableq.words import codec
from tests.servers import on


def declared(function: str, *triggers: EventTrigger) -> bytes:
    return codec.encode(
        {"id": function, "name": function, "triggers": [t.to_map() for t in triggers], "retries": 4, "backoff": None}
    )


async def register(calls: Calls, release: str = "r1", **functions: list[EventTrigger]) -> None:
    declarations = {name: declared(name, *triggers) for name, triggers in functions.items()}
    await Registry(calls).register_app("shop", release, declarations)


async def send(calls: Calls, *events: Event) -> None:
    writes = [NewEvent(f"{id(event)}", 1000, encode_event(event)) for event in events]
    for start in range(0, len(writes), 100):
        await Events(calls).send_events(writes[start : start + 100])


def router(calls: Calls) -> Router:
    return Router(Events(calls), Waits(calls), Registry(calls), structlog.get_logger())


async def queued(calls: Calls, function: str) -> int:
    return (await Reads(calls).queue(f"shop/{function}")).ready


async def test_events_become_runs_of_every_function_that_matches(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x/*")], b=[EventTrigger("x/y", if_="event.data.n > 1")])
    events = [Event("x/y", {"n": 1}), Event("x/y", {"n": 2}), Event("other")]
    await send(calls, *events)
    assert await router(calls).route() == 3
    assert (await queued(calls, "a"), await queued(calls, "b")) == (2, 1)
    assert await router(calls).route() == 0


async def test_runs_stand_in_their_queue_in_the_order_of_their_events(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x")])
    events = [Event("x", {"n": n}) for n in range(250)]
    await send(calls, *events)
    assert await router(calls).route() == 250
    ids = await calls.read("ZRANGE", calls.key("ready", "shop/a"), 0, -1)
    assert len(ids) == len(set(ids)) == 250
    times = [run[:10] for run in ids]
    assert times == sorted(times)


async def test_two_routers_at_once_create_each_run_once(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x")])
    events = [Event("x", {"n": n}) for n in range(300)]
    await send(calls, *events)
    created = await asyncio.gather(router(calls).route(), router(calls).route())
    assert sum(created) == 300
    assert await queued(calls, "a") == 300


async def test_an_event_that_nobody_listens_to_is_named_once_with_what_was_meant(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("order/created", if_="event.data.n > 1")], b=[EventTrigger("user.*")])
    events = [Event(name) for name in ("order/craeted", "order/craeted", "order/created", "user.gone", "invoice")]
    once_more = Event("order/craeted")
    with structlog.testing.capture_logs() as lines:
        routing = router(calls)
        await send(calls, *events)
        await routing.route()
        await register(calls, "r2", a=[EventTrigger("order/created")])
        await send(calls, once_more)
        await routing.route()
    typo = ("warning", "order/craeted", "no function is triggered by it; was order/created meant?")
    said = [(line["log_level"], line["name"], line["hint"]) for line in lines]
    assert said == [typo, ("info", "invoice", "no function is triggered by it"), typo], "again after a deployment"


async def test_what_a_bell_brought_is_routed_without_reading_it_again(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x")])
    first, second = Event("x"), Event("x")
    await send(calls, first)
    await router(calls).route()
    await send(calls, second)
    brought = await Events(calls).unrouted(10)

    class NeverRead(Events):
        async def unrouted(self, limit: int) -> Backlog:
            raise AssertionError("it was brought")

    routing = Router(NeverRead(calls), Waits(calls), Registry(calls), structlog.get_logger())
    routing.offer(brought)
    assert await routing.route() == 1
    assert await queued(calls, "a") == 2


async def test_what_a_bell_brought_too_late_is_read_anew_at_once(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durableq.services.router.LEAVE_TO_OTHERS_S", 3600)
    await register(calls, a=[EventTrigger("x")])
    routing = router(calls)
    first, second = Event("x"), Event("x")
    await send(calls, first)
    brought = await Events(calls).unrouted(10)
    await router(calls).route()
    await send(calls, second)
    routing.offer(brought)
    async with asyncio.timeout(30):
        assert await routing.route() == 1
    assert await queued(calls, "a") == 2


async def test_what_a_bell_brought_before_a_deployment_is_decided_by_the_new_functions(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x")])
    routing = router(calls)
    event = Event("x")
    await send(calls, event)
    brought = await Events(calls).unrouted(10)
    await register(calls, "r2", a=[EventTrigger("x")], b=[EventTrigger("x")])
    routing.offer(brought)
    assert await routing.route() == 2


async def test_a_registry_that_changes_meanwhile_is_read_again(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x")])
    routing = router(calls)
    first = Event("x")
    await send(calls, first)
    await routing.route()
    await register(calls, "r2", a=[EventTrigger("x")], b=[EventTrigger("x")])
    second = Event("x")
    await send(calls, second)
    assert await routing.route() == 2
    assert (await queued(calls, "a"), await queued(calls, "b")) == (2, 1)


async def test_an_event_that_cannot_be_read_is_set_aside_and_the_cursor_moves_on(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x")])
    good = Event("x")
    await Events(calls).send_events([NewEvent("bad", 1000, b"\xffnot an event")])
    await send(calls, good)
    assert await router(calls).route() == 1
    ((_, _, reason),) = await Reads(calls).aside()
    assert "Error" in reason
    assert (await Events(calls).unrouted(10)).entries == []


async def test_a_condition_that_cannot_be_evaluated_is_counted_and_shown(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x", if_="event.data.a - event.data.b > 1")])
    events = [Event("x", {"a": "text", "b": [n]}) for n in range(2)]
    await send(calls, *events)
    assert await router(calls).route() == 0
    count, _, reason = (await Registry(calls).faults())["shop/a"]
    assert count == 2
    assert "event.data.a" in reason


async def test_a_future_ts_delays_the_run(calls: Calls) -> None:
    await register(calls, a=[EventTrigger("x")])
    seconds, _ = await calls.read("TIME")
    later = Event("x", ts=(int(seconds) + 60) * 1000)
    await send(calls, later)
    assert await router(calls).route() == 1
    queue = await Reads(calls).queue("shop/a")
    assert (queue.ready, queue.waiting) == (0, 1)
    assert await calls.read("ZCARD", calls.key("timers")) == 1


@on("redis7")
async def test_many_functions_on_one_event_are_one_batch(calls: Calls) -> None:
    await register(calls, **{f"f{n}": [EventTrigger("x")] for n in range(150)})
    event = Event("x")
    await send(calls, event)
    assert await router(calls).route() == 150
