"""The client: sends events and reads runs, from any service, without the app's code.

`await` works from any number of event loops, also after one was closed: each loop has its own connection, made at first
use. Plain code uses `client.sync`, which is the same surface over a loop in a thread of its own (sync.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from weakref import WeakKeyDictionary

from durableq.model.config import DEFAULT_URL, URL_VARIABLES, Place, first_of
from durableq.model.event import Event
from durableq.model.limits import Limits
from durableq.model.routing import RoutingTable
from durableq.model.run import State
from durableq.services.sender import PATIENCE_S, Prepared, send
from durableq.services.views import FunctionView, RunView, function_views, run_view, whole_view
from durableq.store.calls import Calls
from durableq.store.crons import Crons
from durableq.store.events import Events
from durableq.store.link import detached
from durableq.store.opening import calls_on, open_link
from durableq.store.reads import Reads
from durableq.store.registry import Registry
from durableq.sync import Portal, SyncClient
from durableq.words.clock import Clock, SystemClock
from durableq.words.errors import ConfigError, RedisUnavailable, RunNotFound, SendError
from durableq.words.familiar import familiar

LIST_MAX: Final = 1000
READ_PATIENCE_S: Final = 10.0


Door = Callable[[], Calls]
"""Makes unopened verbs of the running loop."""


class _Opened(NamedTuple):
    pid: int
    place: Place | Door
    calls: Calls
    opening: asyncio.Task[int]


@familiar
class Client:
    """A producer and reader of one namespace.

    Args:
        redis_url: redis://, rediss:// or unix://; else DURABLEQ_URL, REDIS_TLS_URL, REDIS_URL, VALKEY_URL.
        namespace: The wall within which events and functions meet; else DURABLEQ_NAMESPACE, else "default".
        limits: Sizes that events may have.

    Nothing is read and nothing connected before first use. Usable as `async with`.
    """

    def __init__(
        self, redis_url: str | None = None, *, namespace: str | None = None, limits: Limits | None = None
    ) -> None:
        self._given = Place(redis_url, namespace)
        self._limits = limits or Limits()
        self._clock: Clock = SystemClock()
        self._doors: list[Door] = []
        self._opened: WeakKeyDictionary[asyncio.AbstractEventLoop, _Opened] = WeakKeyDictionary()
        self._portal = Portal()
        self.runs = RunsOfClient(self)
        self.sync = SyncClient(self, self._portal)

    async def send(self, events: Event[Any] | Sequence[Event[Any]]) -> list[str]:
        """Accept one event or at most 5,000. Returns their ids, in order, once Redis has them.

        Raises:
            EventError: An event breaks a rule; nothing was sent.
            LimitExceeded: One is too large, or there are too many; nothing was sent.
            QueueFull: Redis is nearly out of memory; nothing was stored.
            SendError: Redis did not answer within 2 s. It lists what was stored, what was not, and what may have been;
                sending the latter two again is safe, since their ids are deduplicated.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        prepared = Prepared(events, self._limits, self._clock)
        if not prepared.writes:
            return []
        # One patience for all of it: connecting, learning the identity, storing.
        started_s = asyncio.get_running_loop().time()
        try:
            calls = await self._calls(PATIENCE_S)
        except RedisUnavailable as error:
            raise SendError(str(error), [], prepared.events, []) from error
        left_s = max(0.05, PATIENCE_S - (asyncio.get_running_loop().time() - started_s))
        return await send(Events(calls), prepared, patience_s=left_s)

    async def functions(self) -> list[FunctionView]:
        """Every function registered in the namespace, with its triggers, queue, workers and faults."""
        calls = await self._calls(READ_PATIENCE_S)
        async with patience():
            return await function_views(Registry(calls), Reads(calls), Crons(calls))

    async def _unheard(self, name: str) -> str | None:
        """None if a registered function is triggered by this name; else the nearest name that one is triggered by, or ""."""
        calls = await self._calls(READ_PATIENCE_S)
        async with patience():
            table = RoutingTable(*await Registry(calls).read())
        return None if table.hears(name) else table.nearest(name) or ""

    def _with_remedy(self, why: str) -> str:
        """What to do where nobody has named a Redis, as beside a `durableq dev`: its address is never guessed."""
        if self._given.redis_url or first_of(os.environ, URL_VARIABLES):
            return why
        remedy = "set DURABLEQ_URL; a durableq dev has its own in .durableq/url"
        return f"{why.rstrip('.')}. Nobody named a Redis, so {DEFAULT_URL} was tried: {remedy}"

    async def aclose(self) -> None:
        """Close this loop's connection, and the one of `.sync`."""
        opened = self._opened.pop(asyncio.get_running_loop(), None)
        if opened is not None:
            await _close(opened)
        self._portal.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _move_to(self, place: Place) -> None:
        """Connect there from here on. Each loop closes its old connection when it next uses this client."""
        self._given = place

    def _go_through(self, door: Door) -> Callable[[], None]:
        """Connect through this instead, as tests do, until what is returned is called. The latest of several counts."""
        self._doors.append(door)
        return lambda: self._doors.remove(door)

    async def _calls(self, patience_s: float) -> Calls:
        """This loop's verbs, opened. Raises RedisUnavailable after `patience_s`."""
        loop = asyncio.get_running_loop()
        opened, left = self._opened.get(loop), None
        to = self._doors[-1] if self._doors else self._given
        if opened is not None and (opened.pid != os.getpid() or opened.place != to):
            opened, left = None, opened
        if opened is None:
            if isinstance(to, Place):
                place = to.resolved(os.environ)
                calls = calls_on(open_link(place.redis_url, "client"), place.namespace)
            else:
                calls = to()
            opened = _Opened(os.getpid(), to, calls, detached(loop, calls.open(), "durableq-open"))
            self._opened[loop] = opened
        if left is not None:
            await _close(left)
        if not opened.opening.done():
            await asyncio.wait((opened.opening,), timeout=patience_s)
            if not opened.opening.done():
                why = opened.calls.link.failure or f"no answer within {patience_s:g} s"
                raise RedisUnavailable(f"Redis is not reachable: {self._with_remedy(str(why))}")
        if opened.opening.cancelled() or opened.opening.exception() is not None:
            if self._opened.get(loop) is opened:
                del self._opened[loop]
            await opened.calls.link.close()
            if opened.opening.cancelled():
                raise RedisUnavailable("the client was closed")
            opened.opening.result()
        return opened.calls


async def _close(opened: _Opened) -> None:
    """Close a connection of this loop. One from before a fork belongs to the parent."""
    if opened.pid == os.getpid():
        opened.opening.cancel()
        await opened.calls.link.close()
        await asyncio.gather(opened.opening, return_exceptions=True)


class RunsOfClient:
    """`client.runs`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, run_id: str) -> RunView:
        """One run with its event, steps, history, and result or error. Raises RunNotFound."""
        calls = await self._client._calls(READ_PATIENCE_S)
        async with patience():
            run = await whole_view(Reads(calls), run_id)
        if run is None:
            raise RunNotFound(
                f"no run {run_id!r} in namespace {calls.keys.namespace!r}: it never was, or its retention is over"
            )
        return run

    async def list(
        self, *, function: str | None = None, status: str | Iterable[str] | None = None, limit: int = 50
    ) -> list[RunView]:
        """The newest runs, without steps and results.

        Args:
            function: A full id, `app/function`.
            status: queued, running, waiting, completed, failed or cancelled; one or several.
            limit: 1 to 1,000.
        """
        if type(limit) is not int or not 1 <= limit <= LIST_MAX:
            raise ConfigError(f"limit must be 1 to {LIST_MAX}, not {limit!r}")
        states = states_of(status)
        calls = await self._client._calls(READ_PATIENCE_S)
        reads = Reads(calls)
        async with patience():
            if function is not None:
                known = [function]
            else:
                known = sorted({*(await Registry(calls).read())[1], *await reads.functions_with_runs()})
            return [run_view(row) for row in await reads.newest(known, states, limit)]


@contextlib.asynccontextmanager
async def patience() -> AsyncIterator[None]:
    """Bounds reading. Raises RedisUnavailable when it takes longer than a working Redis ever would."""
    try:
        async with asyncio.timeout(READ_PATIENCE_S):
            yield
    except TimeoutError:
        raise RedisUnavailable(f"Redis did not answer within {READ_PATIENCE_S:g} s") from None


def states_of(status: str | Iterable[str] | None) -> list[State]:
    """States by their names. Raises ConfigError for an unknown one."""
    if status is None:
        return list(State)
    names = [status] if isinstance(status, str) else list(status)
    labels: Mapping[str, State] = {state.label: state for state in State}
    for name in names:
        if name not in labels:
            raise ConfigError(f"status must be one of {', '.join(labels)}, not {name!r}")
    return [labels[name] for name in names]
