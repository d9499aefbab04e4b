"""The link without a server of its own: what refuses it, what is waited for, a library that misbehaves."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from redis.exceptions import ResponseError

from durableq.store.address import connector
from durableq.store.failures import Unavailable, from_replica, meaning, not_now, refusal
from durableq.store.link import Link
from durableq.words.errors import QueueFull, RedisRefused
from tests.store.proxy import Answering

SOON_S = 5.0


async def test_closing_survives_a_library_that_swallows_a_cancellation() -> None:
    class Swallowing:
        """As asyncio.wait_for does before Python 3.12, when the inner call ends in the same turn."""

        async def connect(self) -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)

        async def disconnect(self, nowait: bool = False) -> None: ...
        async def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None: ...

        async def read_response(self) -> object:
            await asyncio.sleep(60)
            return None

    link = Link(Swallowing)
    future = link.command("GET", "k")
    await asyncio.sleep(0.01)
    async with asyncio.timeout(2):
        await link.close()
    with pytest.raises(Unavailable):
        await future


@pytest.mark.parametrize(
    "text", [b"-LOADING Redis is loading the dataset in memory\r\n", b"-MASTERDOWN Link is down\r\n"]
)
async def test_a_server_that_is_not_ready_is_waited_for(text: bytes) -> None:
    answering = Answering(b"+OK\r\n", b"+OK\r\n+OK\r\n", text, b"+OK\r\n")
    async with answering as url:
        changes: list[bool] = []
        link = Link(connector(url, "test"), on_change=lambda up, reason: changes.append(up))
        future = link.command("GET", "k")
        async with asyncio.timeout(SOON_S):
            while answering.heard < 5:
                await asyncio.sleep(0.01)
        assert not isinstance(future.exception() if future.done() else None, RedisRefused)
        await link.close()
        await asyncio.gather(future, return_exceptions=True)


async def test_loading_is_waited_for_without_being_called_up() -> None:
    loading = Answering(b"-LOADING Redis is loading the dataset in memory\r\n")
    async with loading as url:
        changes: list[bool] = []
        link = Link(connector(url, "test"), on_change=lambda up, reason: changes.append(up))
        with pytest.raises(Unavailable, match="loading") as failed:
            await link.within(0.4, link.command("GET", "k"))
        await link.close()
    assert failed.value.maybe_applied is False
    assert changes == []
    assert 2 <= loading.heard < 12, "the pauses between attempts grow"


async def test_a_protocol_error_ends_the_connection_and_not_the_call() -> None:
    garbled = b"-ERR Protocol error: unbalanced quotes in request\r\n"
    # A greeting is three replies; then what was asked; then the next connection.
    answering = Answering(
        b"+OK\r\n", b"+OK\r\n+OK\r\n", b"+PONG\r\n", garbled, b"+OK\r\n", b"+OK\r\n+OK\r\n", b"+PONG\r\n"
    )
    async with answering as url:
        changes: list[tuple[bool, str]] = []
        link = Link(connector(url, "test"), on_change=lambda up, reason: changes.append((up, reason)))
        assert await link.within(SOON_S, link.command("GET", "k")) == b"PONG"
        await link.close()
    lost = [reason for up, reason in changes if not up]
    assert len(lost) == 1
    assert "unbalanced quotes" in lost[0]


async def test_what_is_not_redis_is_refused_with_the_remedy() -> None:
    async with Answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as url:
        link = Link(connector(url, "test"))
        with pytest.raises(RedisRefused, match="does not speak Redis' protocol"):
            await link.within(SOON_S, link.command("GET", "k"))
        await link.close()


async def test_tls_to_something_that_answers_in_plain_text_is_refused_with_the_remedy() -> None:
    async with Answering(b"-ERR unknown command\r\n") as url:
        link = Link(connector(url.replace("redis://", "rediss://"), "test"))
        with pytest.raises(RedisRefused, match="write redis:// instead of rediss://"):
            await link.within(SOON_S, link.command("GET", "k"))
        await link.close()


def test_a_refusal_is_only_what_waiting_does_not_mend() -> None:
    assert refusal(ConnectionRefusedError()) is None
    assert refusal(TimeoutError()) is None


async def test_a_connection_that_breaks_while_a_write_is_under_way_is_left_at_once() -> None:
    class Breaking:
        """Writes take a while; the second reply is the end of the connection."""

        made = 0

        def __init__(self) -> None:
            self.replies = asyncio.Queue[object]()
            Breaking.made += 1
            self.good = Breaking.made > 1

        async def connect(self) -> None: ...
        async def disconnect(self, nowait: bool = False) -> None: ...

        async def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None:
            for _ in command:
                self.replies.put_nowait(b"answer")
            await asyncio.sleep(0.01)

        async def read_response(self) -> object:
            reply = await self.replies.get()
            if self.good or (Breaking.made == 1 and self.replies.empty() and not hasattr(self, "greeted")):
                self.greeted = True
                return reply
            raise ConnectionResetError("gone")

    link = Link(Breaking, reply_timeout_s=30)
    async with asyncio.timeout(SOON_S):
        assert await link.command("GET", "k") == b"answer"
        await link.close()
    assert Breaking.made == 2


def test_an_error_inside_a_script_of_redis_6_is_known_by_its_code() -> None:
    def inside(text: str) -> ResponseError:
        return ResponseError(f"Error running script (call to f_0d27): @user_script:1: @user_script: 1: -{text}")

    assert not_now(inside("NOREPLICAS Not enough good replicas to write. "))
    assert not_now(inside("MISCONF Errors writing to the AOF file"))
    assert from_replica(inside("READONLY You can't write against a read only replica."))
    assert isinstance(meaning(inside("OOM command not allowed when used memory > 'maxmemory'.")), QueueFull)
    assert not not_now(ResponseError("Error running script (call to f_0d27): @user_script:1: attempt to index a nil"))


class Silent:
    """Takes everything, and after the greeting answers nothing."""

    async def connect(self) -> None:
        self.replies = iter([b"PONG"])

    async def disconnect(self, nowait: bool = False) -> None: ...
    async def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None: ...

    async def read_response(self) -> object:
        for reply in self.replies:
            return reply
        return await asyncio.get_running_loop().create_future()


class Away(Silent):
    """Cannot be reached."""

    async def connect(self) -> None:
        raise ConnectionRefusedError("nobody there")


@pytest.mark.parametrize("ended", ["given up", "cancelled"])
@pytest.mark.parametrize("connection", [Away, Silent])
async def test_calls_that_were_given_up_leave_no_bytes_behind(connection: type[Silent], ended: str) -> None:
    link = Link(connection, reply_timeout_s=60)
    if connection is Silent:
        link.command("PING")
        while not link.up:
            await asyncio.sleep(0)
    within_s = 0.05 if ended == "given up" else 60  # long enough for the write, also on a busy machine
    tracemalloc.start()
    try:
        for _ in range(20):
            waiting = [
                asyncio.create_task(link.within(within_s, link.command("SET", "k", bytes(20_000 + i))))
                for i in range(50)
            ]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if ended == "cancelled":
                for task in waiting:
                    task.cancel()
            for answer in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(answer, (Unavailable, asyncio.CancelledError))
                if isinstance(answer, Unavailable):
                    assert answer.maybe_applied is (connection is Silent)
            del waiting, answer
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 2_000_000, "of 20,000,000"
    if connection is Away:
        assert len(link._outbox) < 10
    await link.close()
