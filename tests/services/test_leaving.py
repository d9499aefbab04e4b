"""A child that is leaving answers what it has heard already, and leaves every further ring to others."""

from __future__ import annotations

import asyncio

import structlog

from durableq import App, Context, Event, EventTrigger
from durableq.model.event import encode_event
from durableq.services.duties import Duties, Tellings
from durableq.services.worker import Worker
from durableq.store.bells import Bells
from durableq.store.calls import Calls
from durableq.store.events import Events, NewEvent
from durableq.store.opening import calls_on, open_link
from tests.acceptance.harness import until
from tests.servers import RealServer, on
from tests.services.test_router import queued, register, router

pytestmark = on("redis7", "valkey")
SOON_S = 10.0


async def send(calls: Calls, name: str, key: str) -> None:
    await Events(calls).send_events([NewEvent(key, 60_000, encode_event(Event(name)))])


async def heard(calls: Calls) -> bool:
    """Whether the event bell rings for somebody else."""
    return (await Bells(calls).wait(apps=(), events=True, timers=False, inbox="", block_ms=1000)).events


async def test_events_that_come_while_a_child_drains_wait_for_nobody(server: RealServer) -> None:
    begun = asyncio.Event()

    @(one := App("shop")).function("long", triggers=[EventTrigger("long")])
    async def long(ctx: Context) -> None:
        begun.set()
        await asyncio.Event().wait()

    quiet = asyncio.Event()
    links = [open_link(server.url, "test", blocking_s=3) for _ in range(3)]
    calls, bell_calls, others = (calls_on(link, "default") for link in links)
    for each in (calls, bell_calls, others):
        await each.open()
    await register(calls, long=[EventTrigger("long")], other=[EventTrigger("other")])
    functions = {function.full_id: function for function in one.functions.values()}
    tell = Tellings(
        leased=lambda _: None, suspects=lambda: None, lost=lambda _: None, done=lambda: None, quiet=quiet.set
    )
    duties = Duties(functions, ["shop"], "worker", "r1", concurrency=10)
    worker = Worker(calls, bell_calls, duties, tell, structlog.get_logger())
    await worker.start()
    await send(calls, "long", "0")
    async with asyncio.timeout(SOON_S):
        await begun.wait()
    draining = asyncio.create_task(worker.drain(60))
    async with asyncio.timeout(SOON_S):
        await quiet.wait()

    async def routed() -> bool:
        return await queued(calls, "other") == 1

    # A read of its bells was under way, and may have brought this one.
    await send(calls, "other", "1")
    if await heard(others):
        await router(others).route()
    await until(routed, "who heard it has routed it", within_s=SOON_S)
    for key in ("2", "3", "4"):
        listening = asyncio.create_task(heard(others))
        await send(calls, "other", key)
        assert await listening, "the child that leaves has heard it"
        await router(others).route()

    worker.hand.drop_all("the test is over")
    await draining
    await asyncio.gather(*(link.close() for link in links))
