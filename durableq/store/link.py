"""One connection to Redis with automatic pipelining: calls made in one turn travel in one write, replies come in order.

Authority: the calls given to it. Each is answered exactly once: with its reply, with the exception that the reply means
(failures.py), or with Unavailable when its deadline passed.

Why not a client of redis-py: awaited alone, a command costs it 54 to 115 µs of Python; here many calls share one write
and one read. The connection itself (TCP, unix, TLS, AUTH, SELECT) is redis-py's.

Failures. When the connection breaks, calls without an answer are sent again, in order, on the next one. That is safe
because every script is idempotent by state, and it is why nothing but scripts and reads may be sent here. A reply that
does not come while nothing moves for `reply_timeout_s` breaks the connection, since a half-open one never would. So does
READONLY: this server is a replica now, and the address may lead to another one; and a protocol error, behind which the server
closes the connection: it says nothing about the call that it answers. Reconnecting waits 50 ms, then twice as
long each time up to 0.5 s, with jitter, for ever: whoever uses the link decides how long it waits. Only what a new
connection is told (credentials, TLS, protocol) counts as a refusal; the same on one that has worked is a broken connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from random import SystemRandom
from typing import Any, Final, TypeVar

from hiredis import pack_command
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from durableq.store.failures import Unavailable, code_of, from_replica, garbled, greeting_refusal, meaning, not_now
from durableq.store.scripts import Script
from durableq.store.wire import Connection, Wire, wire_over
from durableq.words.errors import RedisRefused

Reply = Any
T = TypeVar("T")
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 0.5
NOT_NOW_PAUSE_S: Final = 0.1
_BROKEN: Final = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError, EOFError)


class _Call(asyncio.Future[Reply]):
    """A call is the future of its own reply, so whoever gives the future up gives up its bytes too.

    `sent`: it waits for a reply. `doubtful`: a connection broke while it waited. After either it may have been executed.
    `put_off`: the refusal after which it is sent again.
    """

    __slots__ = ("args", "doubtful", "packed", "put_off", "script", "sent")

    def __init__(self, loop: asyncio.AbstractEventLoop, args: tuple[Any, ...], script: Script | None) -> None:
        super().__init__(loop=loop)
        self.args = args
        # Packed here and not when it is written, so that arguments which Redis cannot take are the caller's error; and
        # by hiredis, which takes a sixth of the time of a connection's own pack_command.
        self.packed: bytes = pack_command(args)
        self.script = script
        self.sent = False
        self.doubtful = False
        self.put_off: Exception | None = None

    def spell_out(self, script: Script) -> None:
        """EVAL instead of EVALSHA: it also makes Redis remember the script."""
        spelled: tuple[Any, ...] = ("EVAL", script.text, *self.args[2:])
        self.args, self.packed = spelled, pack_command(spelled)

    def forget(self) -> None:
        """Drop the bytes of a call that nobody waits for; its place among the sent ones stays, as its reply may come."""
        self.args, self.packed = (), b""


class Link:
    """A self-healing, pipelined connection, bound to the running event loop.

    `connect` makes a new, unconnected redis-py connection. `on_change(up, reason)` is told when it connects or breaks.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        reply_timeout_s: float = 5.0,
        on_change: Callable[[bool, str], None] | None = None,
    ) -> None:
        self._connect = connect
        self._reply_timeout_s = reply_timeout_s
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[_Call] = deque()
        self._given_up = 0
        self._sent: deque[_Call] = deque()
        self._postponed: set[_Call] = set()
        self._wire: Wire | None = None
        self._flushing = False
        self._answered = 0
        self._closed = False
        self._up = False
        self._up_at_s = self._loop.time()
        self._ever_up = False
        self._keeper: asyncio.Task[None] | None = None
        self.failure: Exception | None = None
        """Why there is no connection, while there is none."""

    @property
    def up(self) -> bool:
        """Whether the last thing known is that the connection works."""
        return self._up

    @property
    def at_rest(self) -> bool:
        """Whether it has no connection and is not looking for one: never used, closed, or its loop has ended all tasks."""
        return self._keeper is None or self._keeper.done()

    @property
    def answering_s(self) -> float:
        """For how long Redis has been there to answer; 0 while it is away and tried again, or has put off a call."""
        if self._keeper is not None and not self._keeper.done() and (not self._up or self._postponed):
            return 0.0
        return self._loop.time() - self._up_at_s

    def run(self, script: Script, base: str, identity: str, now: str, *args: Any) -> asyncio.Future[Reply]:
        """Send a script. The future has its reply, or the exception that its error means."""
        return self._enqueue(("EVALSHA", script.sha, 1, base, identity, now, *args), script)

    def command(self, *args: Any) -> asyncio.Future[Reply]:
        """Send a plain command that only reads: it may be executed twice."""
        return self._enqueue(args, None)

    def _enqueue(self, args: tuple[Any, ...], script: Script | None) -> asyncio.Future[Reply]:
        call = _Call(self._loop, args, script)
        if self._closed:
            call.set_exception(Unavailable("the connection to Redis has been closed", maybe_applied=False))
            return call
        self._outbox.append(call)
        if self._keeper is None or self._keeper.done():
            self._take_back()
            self._keeper = detached(self._loop, self._keep(), "durableq-link")
        else:
            self._wake()
        return call

    def _wake(self) -> None:
        """Flush in the next turn: with what is asked for until then, and never inside a callback of the transport.

        One that is told to go on writing, and meets a broken connection then, is closed twice by asyncio (3.11 to 3.13).
        """
        if not self._flushing and self._wire is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)

    async def within(self, seconds: float, future: asyncio.Future[Reply]) -> Reply:
        """Await a call of this link, giving it up after this time. Raises Unavailable, which says whether it was sent."""
        # A timer of our own: asyncio.wait takes a turn of the loop more, asyncio.timeout may lose a reply that comes with it.
        timer = self._loop.call_later(seconds, self._give_up, future, seconds)
        try:
            return await future
        except asyncio.CancelledError:
            self._let_go(future)
            raise
        finally:
            timer.cancel()

    def _give_up(self, future: asyncio.Future[Reply], seconds: float) -> None:
        if future.done():
            return
        assert isinstance(future, _Call)
        reason = f"Redis did not answer within {seconds:g} s"
        if self.failure is not None:
            reason = f"Redis is not reachable: {self.failure}"
        elif future.put_off is not None:
            reason = f"Redis has put it off for {seconds:g} s: {future.put_off}"
        future.set_exception(Unavailable(reason, maybe_applied=future.sent or future.doubtful))
        self._let_go(future)

    def _let_go(self, future: asyncio.Future[Reply]) -> None:
        """Keep nothing of a call that ended without a reply: while Redis is away there is no write that would drop it."""
        if not isinstance(future, _Call) or not future.packed:
            return
        future.forget()
        if future.sent or future in self._postponed:
            return
        self._given_up += 1
        if self._given_up * 2 > len(self._outbox):  # seldom enough for the cost of a call to stay the same
            self._outbox = deque(call for call in self._outbox if not call.done())
            self._given_up = 0

    async def close(self) -> None:
        """Break the connection. Calls without an answer get Unavailable."""
        self._closed = True
        if self._keeper is not None:
            # More than once: a library below may swallow a cancellation (asyncio.wait_for before Python 3.12 does).
            while not self._keeper.done():
                self._keeper.cancel()
                await asyncio.wait((self._keeper,), timeout=0.1)
        self._take_back()
        for call in (*self._outbox, *self._postponed):
            if not call.done():
                call.set_exception(Unavailable("the connection to Redis has been closed", call.doubtful))
        self._outbox.clear()
        self._postponed.clear()

    async def _keep(self) -> None:
        """Connect, serve until it breaks, and again."""
        pause_s = FIRST_PAUSE_S
        while True:
            connection = self._connect()
            works, answered = False, self._answered
            try:
                async with asyncio.timeout(self._reply_timeout_s):
                    await _greet(connection)
                works = True
                self._changed(True, "")
                await self._serve(connection)
            except (*_BROKEN, RedisError) as error:
                self._changed(False, str(error) or type(error).__name__)
                self.failure = error
                refused = None if works else greeting_refusal(error)
                if refused is not None and not self._ever_up:
                    self._refuse(refused)
            finally:
                await _drop(connection)
            self._take_back()
            if self._answered != answered:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(SystemRandom().uniform(0.5, 1) * pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    def _changed(self, up: bool, reason: str) -> None:
        if up:
            self.failure = None
            self._ever_up = True
        if up != self._up:
            self._up = up
            self._up_at_s = self._loop.time()
            if self._on_change is not None:
                self._on_change(up, reason)

    def _refuse(self, error: RedisRefused) -> None:
        """A password that never worked does not mend itself: whoever waits is told now.

        One that worked is waited for like any outage: what is under way was done, and only its record is missing.
        """
        for call in (*self._sent, *self._outbox):
            if not call.done():
                call.set_exception(error)
        self._sent.clear()
        self._outbox.clear()
        self._given_up = 0

    def _take_back(self) -> None:
        """What was sent and not answered goes to the front again, in order."""
        while self._sent:
            call = self._sent.pop()
            if not call.done():
                call.sent, call.doubtful = False, True
                self._outbox.appendleft(call)

    async def _serve(self, connection: Connection) -> None:
        wire = self._wire = wire_over(connection, self._answer, self._wake)
        wire.broken.add_done_callback(_seen)  # also where a second cancellation keeps this from looking at it below
        watch = self._loop.create_task(self._watch(), name="durableq-link-watch")
        try:
            self._flush()
            await asyncio.wait((wire.broken, watch), return_when=asyncio.FIRST_COMPLETED)
            for ended in (wire.broken, watch):
                if ended.done():
                    ended.result()
        finally:
            self._wire = None
            wire.close()
            watch.cancel()
            await asyncio.wait((wire.broken, watch))
            for ended in (wire.broken, watch):
                if not ended.cancelled():
                    ended.exception()

    def _flush(self) -> None:
        """Write everything in the outbox at once; while the peer takes nothing, leave it there."""
        self._flushing = False
        wire = self._wire
        if wire is None or not wire.writable:
            return
        parts: list[bytes] = []
        while self._outbox:
            call = self._outbox.popleft()
            if call.done():
                continue
            call.sent = True
            self._sent.append(call)
            parts.append(call.packed)
        self._given_up = 0
        if parts:
            wire.send(parts)

    def _answer(self, reply: Reply) -> None:
        """Answer the call that was sent first. What is raised here breaks the connection."""
        if isinstance(reply, RedisError) and not isinstance(reply, ResponseError):
            raise reply
        if not self._sent:
            raise RedisConnectionError("a reply came that nobody had asked for")
        if isinstance(reply, ResponseError):
            if from_replica(reply):
                raise RedisConnectionError(f"this server is a replica now ({reply})")
            if garbled(reply):
                raise RedisConnectionError(f"Redis lost its place in what was sent ({reply})")
            self._answered += 1
            self._failed(self._sent.popleft(), reply)
            return
        self._answered += 1
        call = self._sent.popleft()
        if not call.done():
            call.set_result(reply)

    def _failed(self, call: _Call, error: Exception) -> None:
        if call.done():
            return
        call.sent = False
        script = call.script
        if isinstance(error, NoScriptError) and script is not None:
            call.spell_out(script)
            self._again(call)
        elif not_now(error):
            call.put_off = error
            self._postponed.add(call)
            self._loop.call_later(NOT_NOW_PAUSE_S, self._again, call)
        else:
            call.set_exception(meaning(error, script.name if script else ""))

    def _again(self, call: _Call) -> None:
        self._postponed.discard(call)
        if call.done():
            return
        self._outbox.append(call)
        self._wake()

    async def _watch(self) -> None:
        """Break a connection that owes a reply and on which nothing moves: a large reply may take its time."""
        period_s = self._reply_timeout_s / 4
        stalled_s, seen = 0.0, self._progress()
        while True:
            await asyncio.sleep(period_s)
            now = self._progress()
            stalled_s = stalled_s + period_s if self._sent and now == seen else 0.0
            seen = now
            if stalled_s >= self._reply_timeout_s:
                raise RedisTimeoutError(f"no reply for {self._reply_timeout_s:g} s")

    def _progress(self) -> object:
        return self._answered, self._wire.progress if self._wire is not None else None


def detached(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """A task that belongs to nobody's context: made by a function's own code, it must not become a branch of its run."""
    return Context().run(lambda: loop.create_task(coroutine, name=name))


def _seen(broken: asyncio.Future[None]) -> None:
    """So that asyncio does not log it as an error that nobody has looked at."""
    if not broken.cancelled():
        broken.exception()


async def _greet(connection: Connection) -> None:
    """Connect, and hear one reply: a server that is loading its data accepts connections and refuses every command."""
    await connection.connect()
    await connection.send_packed_command([pack_command(("PING",))], check_health=False)
    try:
        await connection.read_response()
    except NoPermissionError:
        return  # for PING only: it is there, and knows us
    except ResponseError as error:
        if (
            code_of(error) != "MISCONF"
        ):  # no writes while its disk fails, and PING counts among them: reads are answered
            raise


async def _drop(connection: Connection) -> None:
    try:
        await connection.disconnect(nowait=True)
    except _BROKEN:
        return
