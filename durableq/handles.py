"""Handles: a run as whoever started it holds it. They hold an id and no connection, so they outlive loops, and forks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from durableq.model.failure import Failure
from durableq.model.run import State
from durableq.services.cancelling import Cancellation
from durableq.store.ends import Ended
from durableq.words.errors import CodecError, RunCancelled, RunFailed
from durableq.words.periods import Duration, to_ms
from durableq.words.typed import decode_typed

if TYPE_CHECKING:
    from durableq.client import Client
    from durableq.sync import Portal

R = TypeVar("R")


class RunHandle(Generic[R]):
    """A run: what `invoke` returns, and `client.handle(run_id)` in any other process.

    Handles of one client and event loop share one connection, whatever their number. A result that was read is kept.
    """

    def __init__(self, client: Client, run_id: str, result_type: Any = Any) -> None:
        self.run_id = run_id
        """The run's id, known before it has begun. Store it to ask later, and elsewhere."""
        self._client = client
        self._result_type = result_type
        self._ended: Ended | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of run {self.run_id}>"

    async def result(self, timeout: Duration | None = None) -> R:
        """What the run returned, once it has ended. Of a function given as an object, in the type that it is annotated with.

        Args:
            timeout: How long to wait: "30s", a timedelta or seconds; 0 only looks. None waits for as long as it takes.

        Raises:
            RunFailed: It has failed for good: the error's name, message and stack.
            RunCancelled: It was cancelled; the message says by what.
            ResultTimeout: It has not ended by then. It goes on, and may be asked again.
            RunNotFound: There is no such run, or its retention is over.
            RedisUnavailable: Redis could not be asked within 10 s, or the client was closed meanwhile. Outages after that
                are waited out.
            StateLost: The namespace in Redis is not the one this process knew.
            CodecError: What it returned is not of the annotated type.
        """
        within_s = None if timeout is None else to_ms("result timeout", timeout) / 1000
        if self._ended is None:
            self._ended = await self._client._ended(self.run_id, within_s)
        result: R = value_of(self.run_id, self._ended, self._result_type)
        return result

    async def status(self) -> str:
        """queued, running, waiting, completed, failed or cancelled. Raises RunNotFound, RedisUnavailable, StateLost."""
        return await self._client._status(self.run_id)

    async def cancel(self) -> Cancellation:
        """Cancel the run, wherever it is; see `Client.cancel`."""
        return await self._client.cancel(self.run_id)


class SyncRunHandle(Generic[R]):
    """The same for plain code: what `client.sync.invoke` and `app.sync.invoke` return."""

    def __init__(self, handle: RunHandle[R], portal: Portal) -> None:
        self.run_id = handle.run_id
        """The run's id, known before it has begun. Store it to ask later, and elsewhere."""
        self._handle = handle
        self._portal = portal

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of run {self.run_id}>"

    def result(self, timeout: Duration | None = None) -> R:
        """As `RunHandle.result`."""
        return self._portal.run("handle.result(…)", self._handle.result(timeout))

    def status(self) -> str:
        """As `RunHandle.status`."""
        return self._portal.run("handle.status()", self._handle.status())

    def cancel(self) -> Cancellation:
        """As `RunHandle.cancel`."""
        return self._portal.run("handle.cancel()", self._handle.cancel())


def value_of(run_id: str, ended: Ended, result_type: Any = Any) -> Any:
    """What a run returned, in this type. Raises RunFailed, RunCancelled, CodecError."""
    if ended.state is State.COMPLETED:
        return decode_typed(ended.out, result_type, what=f"the result of run {run_id}") if ended.out else None
    try:
        failure = Failure.decode(ended.out)
    except CodecError as error:
        failure = Failure.of(error)
    if ended.state is State.CANCELLED:
        raise RunCancelled(f"run {run_id} was cancelled: {failure.message}")
    raise RunFailed(failure.name, failure.message, failure.stack, run_id=run_id)
