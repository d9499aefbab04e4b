"""Routing while more waits to be delivered than may: it pauses, and does not ask again with every hint."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog.testing

import durableq as dq
from durableq.model.event import Event
from durableq.services import router as routing
from durableq.store.upkeep import Upkeep
from tests.servers import Server
from tests.services.routed import Routed
from tests.store.shard import Shard


@pytest_asyncio.fixture
async def routed(server: Server) -> AsyncIterator[Routed]:
    shard = Shard(server)
    await shard.calls.open()
    yield Routed(shard)
    await shard.close()


async def behind(routed: Routed, entries: int) -> None:
    """Have so many more entries counted as waiting to be delivered."""
    for field in ("posts", "post_bytes"):
        await routed.shard.command("HINCRBY", routed.shard.key("meta"), field, entries)


async def test_a_router_that_deliveries_are_behind_tries_again_in_a_moment_whoever_hints(
    routed: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = routed.function("a", dq.EventTrigger("go"), cancel_on=dq.CancelOn("stop"))
    await routed.deploy()
    await routed.send(Event("go", {}))
    await routed.route()
    await routed.send(Event("stop", {}), Event("go", {}))
    await behind(routed, 1000)
    assert await routed.router.run_once() == routing.PAUSE_S
    assert routed.router.paused
    await behind(routed, -1000)  # delivered, and hinted
    assert 0 < await routed.router.run_once() <= routing.PAUSE_S
    assert len(await routed.rows(started)) == 1
    monkeypatch.setattr(routed.router, "_again_at_s", 0.0)  # the moment is over
    assert await routed.router.run_once() == routing.HINTED_S
    assert len(await routed.rows(started)) == 2
    await routed.route()


async def test_who_routes_by_hand_does_not_pause(routed: Routed) -> None:
    """A burst alternates between routing and delivering, and leaves when neither does anything."""
    started = routed.function("a", dq.EventTrigger("go"), cancel_on=dq.CancelOn("stop"))
    await routed.deploy()
    await routed.send(Event("go", {}))
    await routed.route()
    await routed.send(Event("stop", {}), Event("go", {}))
    await behind(routed, 1000)
    assert await routed.router.run_once() == routing.PAUSE_S
    await behind(routed, -1000)
    assert await routed.router.route() == 1
    assert len(await routed.rows(started)) == 2
    await routed.route()


async def test_a_router_for_whose_runs_there_is_no_room_tries_again_in_a_moment_and_says_so_once(
    routed: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hints the claimer, whose claim hints it: without a pause they chase each other 2,000 times a second."""
    started = routed.function("a", dq.EventTrigger("go"))
    await routed.deploy()
    await routed.send(Event("go", {}))
    upkeep = Upkeep(routed.shard.calls)
    await upkeep.set_gate(0.99, False)
    with structlog.testing.capture_logs() as lines:
        assert await routed.router.run_once() == routing.FULL_PAUSE_S
        assert 0 < await routed.router.run_once() <= routing.FULL_PAUSE_S
        monkeypatch.setattr(routed.router, "_again_at_s", 0.0)  # the moment is over
        assert await routed.router.run_once() == routing.FULL_PAUSE_S
    assert [line["event"] for line in lines] == ["route.refused"]
    await upkeep.set_gate(0.1, False)
    monkeypatch.setattr(routed.router, "_again_at_s", 0.0)
    assert await routed.router.run_once() == routing.HINTED_S
    assert len(await routed.rows(started)) == 1
