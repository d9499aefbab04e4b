"""`client.runs`: one run, the newest, how many there are, and going on with one that has failed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from durableq.handles import RunHandle
from durableq.model.run import State
from durableq.model.run_filter import RunFilter
from durableq.services.answers import run_not_found
from durableq.services.bulk import count
from durableq.services.flow_looks import with_hold_ups
from durableq.services.picking import RunCount
from durableq.services.views import RunView, run_view, whole_view
from durableq.store.reads import Reads
from durableq.store.registry import Registry
from durableq.words.errors import ConfigError, RedisUnavailable
from durableq.words.shown import shown

if TYPE_CHECKING:
    from durableq.client import Client

LIST_MAX: Final = 1000
READ_PATIENCE_S: Final = 10.0


class RunsOfClient:
    """`client.runs`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, run_id: str) -> RunView:
        """One run with its event, steps, history, and result or error. Raises RunNotFound."""
        calls = await self._client._calls(READ_PATIENCE_S)
        async with patience():
            run = await whole_view(Reads(calls), run_id)
            if run is not None:
                (run,) = await with_hold_ups(calls, [run], holders=True)
        if run is None:
            raise run_not_found(run_id, calls.keys.namespace)
        return run

    async def count(self, runs: RunFilter) -> RunCount:
        """How many runs a filter means now, by status and function. Parked and waiting ones are runs as any.

        Raises:
            FunctionNotFound: The filter names a function that is not registered and has no runs.
            RedisUnavailable: Redis did not answer within 10 s.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        if not isinstance(runs, RunFilter):
            raise ConfigError(f"runs.count takes a RunFilter, not {type(runs).__name__}: {shown(runs)}")
        return await count(await self._client._calls(READ_PATIENCE_S), runs)

    async def resume(self, run_id: str) -> RunHandle[Any]:
        """Have a failed or cancelled run go on as a new run, from where it failed: it keeps what was recorded until then.

        The steps whose errors the run has failed with are tried anew, with all their attempts, and what was recorded after
        the first of them is done again. Errors that were caught stay. Where the code outside steps failed, or the run was
        cancelled, every result stays; sleeps and waits that were not over begin anew.

        Raises:
            ConfigError: The run has completed, or not ended.
            RunNotFound, FunctionNotFound, RunSkipped, QueueFull, InvokeError, StateLost: As `Client.rerun`.
        """
        return await self._client._again(run_id, resume=True)

    async def list(
        self, *, function: str | None = None, status: str | Iterable[str] | None = None, limit: int = 50
    ) -> list[RunView]:
        """The newest runs, without steps and results.

        Args:
            function: A full id, `app/function`.
            status: queued, running, waiting, completed, failed or cancelled; one or several.
            limit: 1 to 1,000.
        """
        check_limit(limit)
        states = states_of(status)
        calls = await self._client._calls(READ_PATIENCE_S)
        reads = Reads(calls)
        async with patience():
            if function is not None:
                known = [function]
            else:
                known = sorted({*(await Registry(calls).read())[1], *await reads.functions_with_runs()})
            return await with_hold_ups(calls, [run_view(row) for row in await reads.newest(known, states, limit)])


def check_limit(limit: object) -> None:
    """How long a list may be. Raises ConfigError."""
    if type(limit) is not int or not 1 <= limit <= LIST_MAX:
        raise ConfigError(f"limit must be 1 to {LIST_MAX}, not {limit!r}")


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
