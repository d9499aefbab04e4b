"""The end of a wire is one event for whoever owns it, and back-pressure is heard, over either way of reading and writing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from durableq.store.address import connector
from durableq.store.link import Link, _Call
from durableq.store.wire import Answer, Connection, Direct, Streamed, Wire
from tests.servers import RealServer, on
from tests.store.proxy import Proxy

SOON_S = 5.0

pytestmark = on("redis7", "valkey")


@pytest_asyncio.fixture
async def proxy(server: RealServer) -> AsyncIterator[Proxy]:
    found = Proxy(server.url.removeprefix("unix://"))
    await found.start()
    yield found
    await found.close()


@pytest_asyncio.fixture(params=["direct", "streamed"])
async def link(proxy: Proxy, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Link]:
    """A link that has its connection."""
    if request.param == "streamed":

        def streamed(connection: Connection, answer: Answer, resumed: Callable[[], None]) -> Wire:
            return Streamed(asyncio.get_running_loop(), connection, answer, resumed)

        monkeypatch.setattr("durableq.store.link.wire_over", streamed)
    found = Link(proxy.connect)
    assert await found.command("GET", "k") is None
    yield found
    async with asyncio.timeout(SOON_S):
        await found.close()


async def test_nothing_is_written_to_a_connection_that_has_ended(link: Link, proxy: Proxy) -> None:
    """The link hears of the end a turn later, and what it wrote meanwhile would count as sent."""
    assert link._wire is not None
    link._wire.broken.set_exception(ConnectionResetError("gone"))
    waiting = link.command("GET", "k")
    await asyncio.sleep(0)
    assert isinstance(waiting, _Call)
    assert not waiting.sent
    assert await waiting is None
    assert proxy.connections == 2


async def test_a_peer_that_takes_bytes_again_gets_them_in_the_next_turn(link: Link) -> None:
    direct = link._wire
    if not isinstance(direct, Direct):
        pytest.skip("its own writer holds it up")
    direct.pause_writing()
    waiting = link.command("GET", "k")
    await asyncio.sleep(0)
    assert isinstance(waiting, _Call)
    assert not waiting.sent
    direct.resume_writing()
    assert not waiting.sent, "inside the transport's own callback a failing write would be told twice"
    assert await waiting is None


@pytest.mark.parametrize("error", [AssertionError("a defect"), ConnectionResetError("gone")])
async def test_whatever_hearing_a_reply_raises_breaks_the_connection_and_not_the_link(
    link: Link, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    keeper = link._keeper

    def failing(_call: _Call, _error: Exception) -> None:
        monkeypatch.setattr(link, "_failed", meant)
        raise error

    meant = link._failed
    monkeypatch.setattr(link, "_failed", failing)
    refused = link.command("NOSUCHCOMMAND")
    async with asyncio.timeout(SOON_S):
        while proxy.connections == 1:
            await asyncio.sleep(0.005)
        assert await link.command("GET", "k") is None
    assert link._keeper is keeper
    refused.cancel()


def test_connections_that_end_under_uvloop_are_no_errors_of_the_loop(server: RealServer) -> None:
    uvloop = pytest.importorskip("uvloop")
    told: list[object] = []

    async def ask_while_it_breaks() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        breaks: list[str] = []
        link = Link(connector(server.url, "test"), on_change=lambda up, why: None if up else breaks.append(why))

        async def ask() -> None:
            while len(breaks) < 20:
                await link.command("GET", "k")

        asking = [asyncio.create_task(ask()) for _ in range(20)]
        async with server.client() as client:
            while len(breaks) < 20:
                await client.client_kill_filter(_id=str(await link.command("CLIENT", "ID")))
        await asyncio.gather(*asking)
        await link.close()

    uvloop.run(asyncio.wait_for(ask_while_it_breaks(), 60))
    assert not told
