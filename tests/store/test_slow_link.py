"""A connection on which something moves is not silent, however slow it is: broken off, it would never get to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from durableq.store.address import connector
from durableq.store.link import Link

TIMEOUT_S = 0.5
SOON_S = 20.0
PIECE = 1_000_000


class SlowServer:
    """Takes and gives a piece in a twentieth of the timeout."""

    def __init__(self) -> None:
        self.connections = 0
        self.request_bytes = self.reply_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def left(self) -> None:
        """Wait until nobody is served any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(65536):
            if b"ECHO" not in request:
                writer.write(b"+OK\r\n" * request.count(b"*"))
                continue
            taken = len(request)
            while taken < self.request_bytes and (more := await reader.read(PIECE)):
                taken += len(more)
                await asyncio.sleep(TIMEOUT_S / 20 * len(more) / PIECE)
            writer.write(b"$%d\r\n" % self.reply_bytes)
            for _ in range(self.reply_bytes // PIECE):
                writer.write(b"x" * PIECE)
                await writer.drain()
                await asyncio.sleep(TIMEOUT_S / 20)
            writer.write(b"\r\n")


@pytest_asyncio.fixture
async def slow() -> AsyncIterator[tuple[SlowServer, Link]]:
    serving = SlowServer()
    server = await asyncio.start_server(serving.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = Link(connector(f"redis://127.0.0.1:{port}", "test"), reply_timeout_s=TIMEOUT_S)
    yield serving, link
    await link.close()
    server.close()
    await serving.left()


async def test_a_large_reply_may_take_longer_than_the_timeout(slow: tuple[SlowServer, Link]) -> None:
    server, link = slow
    server.reply_bytes = 50 * PIECE
    async with asyncio.timeout(SOON_S):
        assert len(await link.command("ECHO", "give")) == 50 * PIECE
    assert server.connections == 1


async def test_a_large_request_may_take_longer_than_the_timeout(slow: tuple[SlowServer, Link]) -> None:
    server, link = slow
    server.request_bytes = 60 * PIECE
    async with asyncio.timeout(SOON_S):
        assert await link.command("ECHO", b"x" * 60 * PIECE) == b""
    assert server.connections == 1
