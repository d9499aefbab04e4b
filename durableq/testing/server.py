"""The server in this process: fakeredis with Lua, whose time is a virtual clock, and the link to it.

The scripts, keys and replies are those of a real server. What differs is time: TIME, the ids of stream entries and the expiry
of keys follow the clock. A call is executed when it is made, so its future is done at once and nothing runs in between; there
are no blocking reads (fakeredis loses what they are for), so a worker here is turned by hand.

Events that are accepted within one virtual ms are put one ms apart, which moves the clock: runs are queued by the time of
their event, and a test means the order in which it sends.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, Protocol

from durableq.store.calls import Calls
from durableq.store.failures import Unavailable, meaning
from durableq.store.keys import Keys
from durableq.store.link import Link
from durableq.store.scripts import Script, load_scripts
from durableq.testing.clock import VirtualClock

try:
    import lupa  # noqa: F401  # without it fakeredis has no scripts
    from fakeredis import FakeRedis, FakeServer
    from fakeredis._core._database import Database
    from fakeredis._socket import FakeSocket
except ImportError as error:
    raise ImportError(
        f'durableq.testing needs fakeredis with Lua ({error}): pip install "durableq[testing]"', name=error.name
    ) from error

COLLECT_EVERY: Final = 100
"""fakeredis has Lua collect its garbage after every script, which takes longer than the script."""


class MemoryServer:
    """One namespace on a server of its own. Safe to use from any thread, through a link for each."""

    def __init__(self, clock: VirtualClock, namespace: str) -> None:
        self.clock = clock
        self.keys = Keys(namespace)
        self._scripts = scripts = _scripts()
        self._fake = _Fake(clock, self.keys.of("events").encode())
        self._fake.script_cache.update({script.sha.encode(): script.text.encode() for script in scripts.values()})
        self._identity = ""

    def calls(self) -> Calls:
        """Verbs of the running loop, over a link of their own; opened if the namespace is."""
        calls = Calls(MemoryLink(_Socket(self._fake, 0, client_class=FakeRedis)), self._scripts, self.keys)
        calls.identity = self._identity
        return calls

    async def open(self) -> None:
        """Make the namespace."""
        calls = self.calls()
        await calls.open()
        self._identity = calls.identity


@cache
def _scripts() -> Mapping[str, Script]:
    """The package's own files, which do not change: half the time of making an environment otherwise."""
    return load_scripts()


class Watch(Protocol):
    """Sees scripts called, and may cut the link it sees them on."""

    def before(self, script: str, args: Sequence[Any]) -> None: ...
    def kills_after(self, script: str, args: Sequence[Any], reply: asyncio.Future[Any]) -> bool: ...


class MemoryLink(Link):
    """A link that executes what it is given, at once. After `cut` it is as one whose server is gone for good."""

    def __init__(self, socket: _Socket) -> None:
        self._socket = socket
        self._running = asyncio.get_running_loop()
        self._cut = ""
        self.failure = None
        self.watch: Watch | None = None
        """Told of each script, by who plans crashes."""

    @property
    def up(self) -> bool:
        return not self._cut

    @property
    def at_rest(self) -> bool:
        return True

    def cut(self, reason: str) -> None:
        """Answer nothing from here on: whoever calls is told this."""
        self._cut = reason

    def run(self, script: Script, base: str, identity: str, now: str, *args: Any) -> asyncio.Future[Any]:
        if self.watch is not None:
            self.watch.before(script.name, args)
        future = self._execute(("EVALSHA", script.sha, 1, base, identity, now, *args), script.name)
        if self.watch is not None and self.watch.kills_after(script.name, args, future):
            return self._execute((), script.name)  # the reply is not for who is dead
        return future

    def command(self, *args: Any) -> asyncio.Future[Any]:
        return self._execute(args, "")

    async def within(self, seconds: float, future: asyncio.Future[Any]) -> Any:
        return await future

    async def close(self) -> None:
        self.cut("the connection to the server has been closed")

    def _execute(self, args: tuple[Any, ...], script: str) -> asyncio.Future[Any]:
        future = self._running.create_future()
        if self._cut:
            future.set_exception(Unavailable(self._cut, maybe_applied=False))
            return future
        reply = self._socket.answer(_packed(args))
        if isinstance(reply, Exception):
            future.set_exception(meaning(reply, script))
        else:
            future.set_result(reply)
        return future


def _packed(args: tuple[Any, ...]) -> bytes:
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        field = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(field), field))
    return b"".join(parts)


class _Fake(FakeServer):
    """fakeredis, with the clock."""

    def __init__(self, clock: VirtualClock, events: bytes) -> None:
        super().__init__(version=(7,))
        self.clock = clock
        self.events = events
        self.last_event_ms = 0
        self.runtime: _QuickRuntime | None = None
        self.dbs = defaultdict(lambda: _Timed(self.lock, clock))


class _Timed(Database):
    """Keys that expire by the clock."""

    def __init__(self, lock: threading.Lock, clock: VirtualClock) -> None:
        self._clock = clock
        super().__init__(lock)

    @property
    def time(self) -> float:
        return self._clock.now_ms / 1000

    @time.setter
    def time(self, now: float) -> None:
        """fakeredis sets it to the host's time at every command."""


class _Socket(FakeSocket):
    """One connection's side in the server."""

    def answer(self, packed: bytes) -> Any:
        """The reply to one command, which is executed now; an exception for an error."""
        self.sendall(packed)
        assert self.responses is not None
        return self.responses.get_nowait()

    def time(self) -> list[bytes]:
        seconds, ms = divmod(self._fake.clock.now_ms, 1000)
        return [b"%d" % seconds, b"%d" % (ms * 1000)]

    def xadd(self, key: Any, *args: bytes) -> bytes | None:
        fake = self._fake
        if key.key == fake.events:
            if fake.clock.now_ms == fake.last_event_ms:
                fake.clock.move_to(fake.last_event_ms + 1)
            fake.last_event_ms = fake.clock.now_ms
        if b"*" not in args:  # an entry with an id of its own
            own: bytes | None = super().xadd(key, *args)
            return own
        at = args.index(b"*")
        added: bytes | None = super().xadd(key, *args[:at], b"%d-*" % fake.clock.now_ms, *args[at + 1 :])
        return added

    def _lua_redis_call(self, lua_runtime: Any, expected_globals: set[Any], op: bytes, *args: Any) -> Any:
        return super()._lua_redis_call(self._get_server_runtime(self._server), expected_globals, op, *args)

    @property
    def _fake(self) -> _Fake:
        assert isinstance(self._server, _Fake)
        return self._server

    def _get_server_runtime(self, server: FakeServer) -> Any:
        fake = self._fake
        if fake.runtime is None:
            fake.runtime = _QuickRuntime(super()._get_server_runtime(server))
        return fake.runtime


class _QuickRuntime:
    """fakeredis' Lua runtime, but it compiles each script once, collects garbage now and then, and shows no globals.

    fakeredis looks through the globals before each command, for scripts that set one; ours are known to set none, since
    real servers refuse it.
    """

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._compiled: dict[bytes | str, Callable[[], Any]] = {}
        self._since = 0

        self.table_from = runtime.table_from

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)

    def globals(self) -> dict[bytes, Any]:
        return {}

    def execute(self, code: bytes | str) -> Any:
        if code == "collectgarbage()":
            self._since += 1
            if self._since < COLLECT_EVERY:
                return None
            self._since = 0
        known = self._compiled.get(code)
        if known is None:
            known = self._compiled[code] = self._runtime.compile(code)
        return known()
