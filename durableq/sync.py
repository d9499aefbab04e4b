"""The synchronous edge: the same surface for plain code, over one loop in a thread of its own.

One thread per client and process, started at first use; after a fork the child starts its own. Calls from any number of
threads. Inside a running loop a blocking call would stop that loop, so it raises an error that names `await`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
from collections.abc import Coroutine, Iterable, Sequence
from threading import Event as Signal
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from durableq.handles import SyncRunHandle
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.model.rerunning import KEPT
from durableq.model.run_filter import RunFilter
from durableq.services.bulk import BulkReport, Tell
from durableq.services.cancelling import Cancellation
from durableq.services.flow_looks import FunctionFlowView
from durableq.services.flow_views import LimitsView
from durableq.services.pausing import check_mode
from durableq.services.picking import RunCount
from durableq.services.views import FunctionView, RunView
from durableq.store.flow import RESUME
from durableq.words.errors import RedisUnavailable, SyncInLoop

if TYPE_CHECKING:
    from durableq.bulk import BulkOfClient
    from durableq.client import Client
    from durableq.runs import RunsOfClient

R = TypeVar("R")
T = TypeVar("T")


class Portal:
    """Runs coroutines on a loop in a daemon thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def run(self, what: str, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result, or its exception. `what` is the awaitable form, for the error inside a running loop.

        Raises RedisUnavailable when `close` ends it.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            coroutine.close()
            raise SyncInLoop(f"this would block the running event loop: write `await {what}` here")
        scheduled = self._scheduled(coroutine)
        try:
            return scheduled.result()
        except concurrent.futures.CancelledError:
            raise RedisUnavailable("the client was closed") from None
        except BaseException:
            scheduled.cancel()  # Ctrl-C here, say: nobody waits for it any more. It may be over, if this is its own error
            raise

    def close(self) -> None:
        """Stop the thread, its connection with it. A later call starts another."""
        if self._pid != os.getpid():
            return
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=2)

    def _scheduled(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        pid = os.getpid()
        if self._pid != pid:
            # A fork copies the lock in whatever state it was; only this thread has survived it.
            self._lock = Lock()
            self._loop = None
            self._pid = pid
        with self._lock:
            if self._loop is None:
                self._loop, self._thread = _started_loop()
            # Under the lock: what is scheduled behind the loop's stop would never run, and never end.
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def _started_loop() -> tuple[asyncio.AbstractEventLoop, Thread]:
    loop = asyncio.new_event_loop()
    started = Signal()

    def turn() -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(started.set)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(_end_all())
            loop.close()

    thread = Thread(target=turn, name="durableq-sync", daemon=True)
    thread.start()
    started.wait()
    return loop, thread


async def _end_all() -> None:
    """Cancel every other task of this loop and see it end, connections included."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for pending in others:
        pending.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class SyncClient:
    """`client.sync`: every verb of the client, blocking."""

    def __init__(self, client: Client, portal: Portal, app: str = "") -> None:
        self._client = client
        self._portal = portal
        self._app = app
        """That which short ids belong to; "" for none."""
        self.runs = SyncRuns(client.runs, portal)
        self.bulk = SyncBulk(client.bulk, portal)

    def send(self, events: Event[Any] | Sequence[Event[Any]]) -> list[str]:
        """As `Client.send`."""
        return self._portal.run("client.send(…)", self._client.send(events))

    @overload
    def invoke(self, function: Function[R], *, data: Any = None) -> SyncRunHandle[R]: ...
    @overload
    def invoke(self, function: str, *, data: Any = None) -> SyncRunHandle[Any]: ...
    def invoke(self, function: Function[R] | str, *, data: Any = None) -> SyncRunHandle[Any]:
        """As `Client.invoke`; of an app also by short id. `.result(timeout="30s")` waits for what it returns."""
        what = "app.invoke(…)" if self._app else "client.invoke(…)"
        return SyncRunHandle(self._portal.run(what, self._client._invoke(function, data, self._app)), self._portal)

    def handle(self, run_id: str) -> SyncRunHandle[Any]:
        """As `Client.handle`."""
        return SyncRunHandle(self._client.handle(run_id), self._portal)

    @overload
    def cancel(self, runs: str) -> Cancellation: ...  # type: ignore[overload-overlap]  # a str is a Sequence[str]
    @overload
    def cancel(self, runs: Sequence[str]) -> list[Cancellation]: ...
    def cancel(self, runs: str | Sequence[str]) -> Cancellation | list[Cancellation]:
        """As `Client.cancel`."""
        return self._portal.run("client.cancel(…)", self._client.cancel(runs))

    def rerun(self, run_id: str, *, from_step: str | None = None, data: Any = KEPT) -> SyncRunHandle[Any]:
        """As `Client.rerun`."""
        rerun = self._client.rerun(run_id, from_step=from_step, data=data)
        return SyncRunHandle(self._portal.run("client.rerun(…)", rerun), self._portal)

    def send_signal(self, signal: str, data: Any = None) -> str | None:
        """As `Client.send_signal`."""
        return self._portal.run("client.send_signal(…)", self._client.send_signal(signal, data))

    def pause(self, function: Function[Any] | str, *, new: Literal["wait", "skip"] = "wait") -> bool:
        """As `Client.pause`; of an app also by short id."""
        return self._portal.run("client.pause(…)", self._client._pause(function, check_mode(new), self._app))

    def resume(self, function: Function[Any] | str) -> bool:
        """As `Client.resume`; of an app also by short id."""
        return self._portal.run("client.resume(…)", self._client._pause(function, RESUME, self._app))

    def close(self) -> None:
        """Close the connection that blocking calls use. A later call opens another."""
        self._portal.close()

    def function(self, function: Function[Any] | str, *, limit: int = 20) -> FunctionFlowView:
        """As `Client.function`; of an app also by short id."""
        return self._portal.run("client.function(…)", self._client._function(function, limit, self._app))

    def limits(self, *, app: str | None = None, function: str | None = None, limit: int = 20) -> LimitsView:
        """As `Client.limits`."""
        return self._portal.run("client.limits(…)", self._client.limits(app=app, function=function, limit=limit))

    def functions(self) -> list[FunctionView]:
        """As `Client.functions`."""
        return self._portal.run("client.functions()", self._client.functions())


class SyncRuns:
    """`client.sync.runs`."""

    def __init__(self, runs: RunsOfClient, portal: Portal) -> None:
        self._runs = runs
        self._portal = portal

    def get(self, run_id: str) -> RunView:
        """As `client.runs.get`."""
        return self._portal.run("client.runs.get(…)", self._runs.get(run_id))

    def count(self, runs: RunFilter) -> RunCount:
        """As `client.runs.count`."""
        return self._portal.run("client.runs.count(…)", self._runs.count(runs))

    def resume(self, run_id: str) -> SyncRunHandle[Any]:
        """As `client.runs.resume`."""
        return SyncRunHandle(self._portal.run("client.runs.resume(…)", self._runs.resume(run_id)), self._portal)

    def list(
        self, *, function: str | None = None, status: str | Iterable[str] | None = None, limit: int = 50
    ) -> list[RunView]:
        """As `client.runs.list`."""
        return self._portal.run("client.runs.list(…)", self._runs.list(function=function, status=status, limit=limit))


class SyncBulk:
    """`client.sync.bulk`. `on_progress` is called in the thread of the client's loop."""

    def __init__(self, bulk: BulkOfClient, portal: Portal) -> None:
        self._bulk = bulk
        self._portal = portal

    def cancel(self, runs: RunFilter, *, on_progress: Tell | None = None) -> BulkReport:
        """As `client.bulk.cancel`."""
        return self._portal.run("client.bulk.cancel(…)", self._bulk.cancel(runs, on_progress=on_progress))

    def rerun(self, runs: RunFilter, *, bulk_id: str | None = None, on_progress: Tell | None = None) -> BulkReport:
        """As `client.bulk.rerun`."""
        rerun = self._bulk.rerun(runs, bulk_id=bulk_id, on_progress=on_progress)
        return self._portal.run("client.bulk.rerun(…)", rerun)

    def resume(self, runs: RunFilter, *, bulk_id: str | None = None, on_progress: Tell | None = None) -> BulkReport:
        """As `client.bulk.resume`."""
        resume = self._bulk.resume(runs, bulk_id=bulk_id, on_progress=on_progress)
        return self._portal.run("client.bulk.resume(…)", resume)
