"""A delivery that its worker does not bring to its end: others take it up, and the worker leaves without waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from durableq import App, Context, EventTrigger
from durableq.services.worker import Worker
from durableq.store.waits import Page
from tests.servers import Server, on
from tests.services.hands import Hands

pytestmark = on("redis7", "valkey")
NAME = "order/paid"
SOON_S = 1.5
"""Well below the 2.5 s after which an idle worker looks by itself."""


@pytest_asyncio.fixture
async def hands(server: Server) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    await found.close()


def waiting_app() -> App:
    app = App("shop")

    @app.function("order", triggers=[EventTrigger("order/created")])
    async def order(ctx: Context) -> Any:
        paid = await ctx.step.wait_for_event("payment", NAME, timeout="1h")
        return None if paid is None else paid.data

    return app


async def stuck_in_delivery(hands: Hands, app: App) -> tuple[Worker, Worker]:
    """A worker with a delivery that does not end, page after page; another one that was idle before, and is told nothing."""
    await hands.begin(app)
    async with hands.turning():
        await hands.send("order/created", *({} for _ in range(5)))
        await hands.asleep("shop/order", 5)
    (first,) = hands.workers
    begun = asyncio.Event()

    async def never(page: Page) -> None:
        begun.set()
        while True:
            await first._deliverer._waits.read_posts(page)
            await asyncio.sleep(0.05)

    async def nothing() -> int:
        return 0

    first._deliverer._deliver = never  # type: ignore[method-assign]
    second = await hands.hire(app)
    second._claimer._events_wait = second._claimer._posts_wait = lambda: None
    second._router.route = nothing  # type: ignore[method-assign]
    await second.start()
    await hands.until(lambda: second._claimer.wanting, "the other one is idle")
    await first.start()
    await hands.send(NAME, {"n": 1})
    await first._router.route()
    async with asyncio.timeout(10):
        await begun.wait()
    return first, second


async def test_what_a_worker_that_leaves_had_to_deliver_is_delivered_at_once(hands: Hands) -> None:
    first, second = await stuck_in_delivery(hands, waiting_app())
    loop = asyncio.get_running_loop()
    since_s = loop.time()
    await first.drain(30)
    assert loop.time() - since_s < SOON_S, "it waited for its delivery"
    assert await hands.results("shop/order", 5) == [{"n": 1}] * 5
    assert loop.time() - since_s < SOON_S, "nobody was told of it"
    await second.drain(0)


async def test_who_finds_a_post_in_other_hands_looks_again_when_it_is_anybody_s(hands: Hands) -> None:
    first, second = await stuck_in_delivery(hands, waiting_app())
    second._delivering.hint()
    await hands.until(lambda: not second._delivering.hinted, "the other one has looked")
    loop = asyncio.get_running_loop()
    since_s = loop.time()
    await first._delivering.stop()  # as by kill -9
    assert await hands.results("shop/order", 5) == [{"n": 1}] * 5
    assert loop.time() - since_s < SOON_S
    await asyncio.gather(first.drain(0), second.drain(0))
