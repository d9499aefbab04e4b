"""A TCP proxy between a link and a server that breaks things on demand, byte by byte."""

from __future__ import annotations

import asyncio
from typing import Any

from durableq.store.address import connector
from durableq.store.wire import Connection


class Proxy:
    """Forwards every connection to the server, until told what to do to the next bytes.

    `cut_request`: the next request is dropped and the connection with it. `cut_reply`: the next request is executed, its
    reply is not forwarded. `silent`: nothing is forwarded either way, connections stay open (half-open). `deaf`: nothing
    more is read from the client, and what was goes on only afterwards. `garbage`: what is sent before the next reply.
    `delay_s`: before each reply.
    """

    def __init__(self, unix_socket: str) -> None:
        self._unix_socket = unix_socket
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepting = True
        self.connections = 0
        self.cut_request = False
        self.cut_reply = False
        self.silent = False
        self.deaf = False
        self.garbage = b""
        self.delay_s = 0.0
        self.requests: list[bytes] = []
        """What clients sent, as far as it was forwarded."""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def connect(self) -> Connection:
        return connector(self.url, "test")()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.break_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def break_all(self) -> None:
        """Reset every connection there is."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if not self.accepting:
            writer.transport.abort()
            return
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._unix_socket)
        self._writers += [writer, inner_writer]
        pair = (writer, inner_writer)
        for coroutine in (self._requests(reader, *pair), self._replies(inner_reader, *pair)):
            task = asyncio.create_task(coroutine)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _requests(self, reader: asyncio.StreamReader, *pair: asyncio.StreamWriter) -> None:
        while True:
            chunk = await self._read(reader, pair)
            while self.deaf:
                await asyncio.sleep(0.005)
            if not chunk:
                return
            if self.cut_request:
                self.cut_request = False
                _abort(pair)
                return
            if not self.silent:
                self.requests.append(chunk)
                pair[1].write(chunk)

    async def _replies(self, reader: asyncio.StreamReader, *pair: asyncio.StreamWriter) -> None:
        while True:
            chunk = await self._read(reader, pair)
            if not chunk:
                return
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.cut_reply:
                self.cut_reply = False
                _abort(pair)
                return
            if not self.silent:
                pair[0].write(self.garbage + chunk)
                self.garbage = b""

    async def _read(self, reader: asyncio.StreamReader, pair: Any) -> bytes:
        try:
            chunk = await reader.read(65536)
        except OSError:
            chunk = b""
        if not chunk:
            _abort(pair)
        return chunk


def _abort(pair: Any) -> None:
    for writer in pair:
        writer.transport.abort()


class Answering:
    """A server that answers every chunk it reads with the next of these texts (the last one again and again)."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self._server: asyncio.Server | None = None
        self.heard = 0

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65536):
                self.heard += 1
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        except OSError:
            pass
        finally:
            writer.transport.abort()
