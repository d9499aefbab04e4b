"""The bytes of a link's connection, once redis-py has opened it: requests out, replies in, each reply handed over at once.

Authority: none; the link keeps what was sent and what waits. Why not the connection's own reader and writer: a stream
reader, a task around it and a coroutine per write cost a lone call 15 to 25 µs more, which is a tenth of a send. So its
transport is taken over by a protocol of ours with a hiredis reader; what has no such transport (fakeredis) is read and
written by the connection itself.

Failures: everything that ends a wire ends in `broken`, once: the peer's end, an error of the system, bytes that are not
Redis' protocol, whatever `answer` raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from hiredis import Reader
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

NOTHING: Final = object()
"""What the reader answers when a reply is not complete."""

Answer = Callable[[Any], None]
"""Takes a reply. An error of Redis comes as the exception it means."""


class Connection(Protocol):
    """What a link needs of redis-py's (or fakeredis') asyncio connection."""

    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool = False) -> None: ...
    async def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None: ...
    async def read_response(self) -> Any: ...


class Wire(Protocol):
    """A connection. `broken` gets the reason when it ends; `writable` is whether it is open and the peer takes what is sent."""

    broken: asyncio.Future[None]

    @property
    def writable(self) -> bool: ...
    @property
    def progress(self) -> object:
        """Another value whenever bytes have come or gone, where that can be seen."""

    def send(self, parts: list[bytes]) -> None: ...
    def close(self) -> None: ...


def wire_over(connection: Connection, answer: Answer, resumed: Callable[[], None]) -> Wire:
    """The wire of a connected connection. `resumed` is told when it takes bytes again."""
    loop = asyncio.get_running_loop()
    transport: Any = getattr(getattr(connection, "_writer", None), "transport", None)
    parser: Any = getattr(connection, "_parser", None)
    if hasattr(transport, "set_protocol") and hasattr(parser, "parse_error"):
        return Direct(loop, transport, parser.parse_error, answer, resumed)
    return Streamed(loop, connection, answer, resumed)


class Direct(asyncio.Protocol):
    """A wire over the transport itself."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: Any,
        parse_error: Callable[[str], Exception],
        answer: Answer,
        resumed: Callable[[], None],
    ) -> None:
        self.broken: asyncio.Future[None] = loop.create_future()
        self._full = False
        self._received = 0
        self._transport = transport
        self._answer = answer
        self._resumed = resumed
        self._reader = Reader(replyError=parse_error, notEnoughData=NOTHING)
        transport.set_protocol(self)

    @property
    def writable(self) -> bool:
        # Whoever owns the wire hears of its end a turn later, and a transport of uvloop raises when it is written to then.
        return not self._full and not self.broken.done()

    @property
    def progress(self) -> object:
        return self._received, self._transport.get_write_buffer_size()

    def send(self, parts: list[bytes]) -> None:
        self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        # Not close(): it would wait for a peer that reads nothing to take what is left.
        self._transport.abort()
        self._end(None)

    def data_received(self, data: bytes) -> None:
        reader, answer = self._reader, self._answer
        self._received += len(data)
        try:
            reader.feed(data)
            while not self.broken.done():
                reply = reader.gets()
                if reply is NOTHING:
                    return
                answer(reply)
        except Exception as error:  # of the protocol, or of who hears the reply
            self._end(error)

    def eof_received(self) -> bool:
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._resumed()

    def _end(self, error: Exception | None) -> None:
        if not self.broken.done():
            self.broken.set_exception(_reason(error, "the server has closed the connection"))


class Streamed:
    """A wire over the connection's own reading and writing."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, answer: Answer, resumed: Callable[[], None]
    ) -> None:
        self.broken: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._connection = connection
        self._answer = answer
        self._resumed = resumed
        self._writing: asyncio.Task[None] | None = None
        self._reading = loop.create_task(self._read(), name="durableq-wire")
        self._reading.add_done_callback(self._ended)

    @property
    def writable(self) -> bool:
        return self._writing is None and not self.broken.done()

    @property
    def progress(self) -> object:
        return None

    def send(self, parts: list[bytes]) -> None:
        self._writing = self._loop.create_task(self._connection.send_packed_command(parts, check_health=False))
        self._writing.add_done_callback(self._written)

    def close(self) -> None:
        for task in (self._reading, self._writing):
            if task is not None:
                task.cancel()

    async def _read(self) -> None:
        while True:
            try:
                reply = await self._connection.read_response()
            except ResponseError as error:
                reply = error
            self._answer(reply)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing = None
        if task.cancelled() or task.exception() is not None:
            self._ended(task)
        else:
            self._resumed()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if not self.broken.done():
            self.broken.set_exception(_reason(error, "the connection has been closed"))


def _reason(error: BaseException | None, otherwise: str) -> Exception:
    """Why a wire has ended, as what a link takes for a broken connection: anything else would end the link."""
    if error is None:
        return RedisConnectionError(otherwise)
    if isinstance(error, (RedisError, OSError)):
        return error
    return RedisConnectionError(f"{type(error).__name__}: {error}")
