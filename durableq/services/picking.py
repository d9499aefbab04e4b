"""Finds the runs that a filter means: page by page through the indexes, a hundred at a time, whatever their number.

Nothing is held meanwhile, so runs move on while this goes through them: it follows the way that runs take (ready, in hand,
waiting, ended), twice where they may have gone back, and meets each once. What was created after `at_ms` is not meant.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from durableq.model.event.batch import each_given
from durableq.model.failure import Failure
from durableq.model.run import FINAL, State
from durableq.model.run_filter import FAILED, RunFilter
from durableq.services.starting import not_found
from durableq.store.calls import Calls
from durableq.store.paging import Paging
from durableq.store.reads import Reads, RunRow
from durableq.store.registry import Registry
from durableq.store.runs import Runs
from durableq.words.errors import CodecError, RedisUnavailable

T = TypeVar("T")

AT_ONCE: Final = 100
PAYLOADS_AT_ONCE: Final = 10
"""Inputs have up to 3 MB, those of batches 10."""
PATIENCE_S: Final = 10.0
"""A working Redis answers a page within milliseconds."""


@dataclass(frozen=True, slots=True)
class RunCount:
    """How many runs a filter means."""

    total: int
    by_status: Mapping[str, int] = field(default_factory=dict)
    by_function: Mapping[str, int] = field(default_factory=dict)


class Picking:
    """The runs of a filter in these states, as of `at_ms`. `left_out` says which are not meant all the same.

    `tell` is called after each page with how many runs were looked at.
    """

    def __init__(
        self,
        calls: Calls,
        wanted: RunFilter,
        states: Iterable[State],
        at_ms: int,
        left_out: Callable[[RunRow], bool] = lambda _: False,
        tell: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._wanted = wanted
        self._states = frozenset(states)
        since_ms, until_ms = wanted.created(at_ms)
        self._created = range(since_ms, min(until_ms, at_ms) + 1)
        self._condition = wanted.condition()
        self._reads_error = wanted.error is not None or (
            self._condition is not None and any(path[:2] == ("run", "error") for path in self._condition.fields)
        )
        self._reads_event = self._condition is not None and any(path[0] == "event" for path in self._condition.fields)
        self._left_out = left_out
        self._tell = tell
        self._looked_at = 0
        self._reads = Reads(calls)
        self._runs = Runs(calls)
        self._paging = Paging(calls)
        self._registry = Registry(calls)
        self._namespace = calls.keys.namespace
        self._met: set[str] = set()

    async def hundreds(self) -> AsyncIterator[list[RunRow]]:
        """The runs, at most a hundred at a time. Raises FunctionNotFound, RedisUnavailable, StateLost."""
        functions = await bounded(self._functions())
        picked: list[RunRow] = []
        for ids in [self._ids(functions), *([self._ids(functions)] if self._states - FINAL else [])]:
            async with contextlib.aclosing(ids):
                while (page := await bounded(anext(ids, None))) is not None:
                    picked += await bounded(self._picked(page, functions))
                    while len(picked) >= AT_ONCE:
                        yield picked[:AT_ONCE]
                        del picked[:AT_ONCE]
        if picked:
            yield picked

    async def count(self) -> RunCount:
        """How many there are."""
        statuses: dict[str, int] = {}
        functions: dict[str, int] = {}
        async for hundred in self.hundreds():
            for row in hundred:
                statuses[row.state.label] = statuses.get(row.state.label, 0) + 1
                functions[row.function] = functions.get(row.function, 0) + 1
        return RunCount(sum(statuses.values()), statuses, dict(sorted(functions.items())))

    async def _functions(self) -> list[str]:
        """Full ids of those that are meant. One that was retired may still have runs."""
        _, declarations = await self._registry.read()
        known = {*declarations, *await self._reads.functions_with_runs()}
        for function in self._wanted.functions:
            if function not in known:
                raise not_found(function, known, self._namespace)
        meant = set(self._wanted.functions) or known
        app = self._wanted.app
        return sorted(function for function in meant if app is None or function.partition("/")[0] == app)

    async def _ids(self, functions: Sequence[str]) -> AsyncGenerator[list[str], None]:
        """What is in the indexes, in the order in which runs pass through them."""
        paging, states = self._paging, self._states
        indexes: list[AsyncIterator[list[str]]] = []
        if State.QUEUED in states:
            indexes += [paging.suspects(app) for app in sorted({name.partition("/")[0] for name in functions})]
            indexes += [paging.queued(function) for function in functions]
        if State.RUNNING in states and functions:
            indexes.append(paging.running())
        if State.WAITING in states:
            indexes += [paging.waiting(function) for function in functions]
        for state in State:
            if state in FINAL and state in states:
                indexes += [paging.final(function, state) for function in functions]
        for index in indexes:
            async for page in index:
                yield page

    async def _picked(self, ids: Sequence[str], functions: Sequence[str]) -> list[RunRow]:
        fresh = [run_id for run_id in dict.fromkeys(ids) if run_id not in self._met]
        rows = await asyncio.gather(*(self._reads.row(run_id) for run_id in fresh))
        meant = [row for row in rows if row is not None and self._is_meant(row, functions)]
        if self._condition is not None or self._reads_error:
            meant = [row for row, right in zip(meant, await in_tens(self._matches, meant), strict=True) if right]
        self._met.update(row.id for row in meant)
        self._looked_at += len(fresh)
        self._tell(self._looked_at)
        return meant

    def _is_meant(self, row: RunRow, functions: Sequence[str]) -> bool:
        return (
            row.state in self._states
            and row.created_at_ms in self._created
            and row.function in functions
            and not self._left_out(row)
        )

    async def _matches(self, row: RunRow) -> bool:
        failure = None
        if self._reads_error and row.state in FAILED:
            with contextlib.suppress(CodecError):
                failure = Failure.decode(await self._reads.output(row.id))
        error = self._wanted.error
        if error is not None and (failure is None or not failure.to_step_error("").matches(str(error))):
            return False
        if self._condition is None:
            return True
        scope = {"run": _as_expressions_see_it(row, failure)}
        if not self._reads_event:
            return self._condition.test(scope)
        given = await self._runs.read_input(row.id)
        try:
            return any(
                self._condition.test({**scope, "event": one.scope()}) for one in each_given(given, row.created_at_ms)
            )
        except CodecError:
            return False


def _as_expressions_see_it(row: RunRow, failure: Failure | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "function": row.function,
        "app": row.function.partition("/")[0],
        "status": row.state.label,
        "attempt": row.attempt,
        "created_at_ms": row.created_at_ms,
        "started_at_ms": row.begun_at_ms or None,
        "ended_at_ms": row.ended_at_ms or None,
        "parent": row.parent or None,
        "rerun_of": row.rerun_of or None,
        "rerun_as": row.rerun_as or None,
        "error": None if failure is None else {"name": failure.name, "message": failure.message},
    }


async def in_tens(ask: Callable[[Any], Awaitable[T]], about: Sequence[Any]) -> list[T]:
    """What `ask` says of each, a few at once, since each may read megabytes."""
    found: list[T] = []
    for start in range(0, len(about), PAYLOADS_AT_ONCE):
        found += await asyncio.gather(*(ask(one) for one in about[start : start + PAYLOADS_AT_ONCE]))
    return found


async def bounded(reading: Awaitable[T]) -> T:
    """Bounds a page's reads. Raises RedisUnavailable."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reading
    except TimeoutError:
        raise RedisUnavailable(f"Redis did not answer within {PATIENCE_S:g} s") from None
