"""Does runs again: from the start, from a step, or from where they failed. Each time a new run; its source stays as it is.

Authority: rerun_runs, which creates the run and copies the memos that it is to keep by one act. What it keeps is a number: the
results up to that one (decision 015). Numbers of results never change, so it may be read before, whatever the source does.

Going on from a failure means from the steps whose errors the run has failed with: these, and what was recorded after the first
of them, are done again. Errors that were caught stay, and so does everything where the code outside steps failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from durableq.model.failure import Failure
from durableq.model.limits import Limits
from durableq.model.memo import MemoKind
from durableq.model.rerunning import KEPT, input_again, keys_of, step_named
from durableq.model.run import State
from durableq.model.skipping import skipped
from durableq.model.system import ENDS
from durableq.services.answers import run_not_found
from durableq.services.declared import Declared
from durableq.services.starting import not_found
from durableq.services.views import run_view
from durableq.store.calls import Calls
from durableq.store.failures import Unavailable
from durableq.store.reads import Reads, RunRow
from durableq.store.registry import Registry
from durableq.store.reruns import Rerun, Reruns
from durableq.store.runs import Runs
from durableq.words.errors import (
    CodecError,
    ConfigError,
    FunctionNotFound,
    InvokeError,
    RedisUnavailable,
)
from durableq.words.shown import shown

GONE: Final = "GONE"
NO_FUNCTION: Final = "NO_FUNCTION"
SKIPPED: Final = "SKIPPED "
NAMED_MAX: Final = 50
"""Steps that an error lists."""
RESUMABLE: Final = frozenset({State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Again:
    """A run to do again, under an id that the caller has made."""

    source: str
    run_id: str
    from_step: str | None = None
    """Keep the results that were recorded before this step's."""
    resume: bool = False
    """Go on from where it failed, or was cancelled."""
    data: Any = KEPT


class NotResumable(ConfigError):
    """Only what has failed or was cancelled can go on. `status` is what the run is."""

    def __init__(self, source: str, status: str) -> None:
        self.status = status
        super().__init__(
            f"run {source} is {status}: only a failed or cancelled run can be resumed. `rerun` does any run again"
        )


class Rerunner:
    """Does runs again over one connection. `limits` are those that edited events must keep."""

    def __init__(self, calls: Calls, limits: Limits) -> None:
        self._calls = calls
        self._limits = limits
        self._reads = Reads(calls)
        self._runs = Runs(calls)
        self._reruns = Reruns(calls)
        self._registry = Registry(calls)
        self._declared = Declared(self._registry)

    async def one(self, again: Again, client: str, within_s: float) -> None:
        """Do it. `client` is whom Redis is to tell the new run's end.

        Raises:
            RunNotFound: The source is not there: it never was, or its retention is over.
            FunctionNotFound: Its function is not registered any more.
            ConfigError: It has no such step, or there is nothing to resume.
            EventError, LimitExceeded: The data cannot be an event's.
            RunSkipped: Flow control has left it out: a singleton, or a pause.
            QueueFull: Redis is nearly out of memory.
            InvokeError: Redis did not answer in time. It says whether the run may have been started.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        try:
            async with asyncio.timeout(within_s):
                rerun = await self.prepared(again)
        except (TimeoutError, RedisUnavailable) as error:
            reason = str(error) or f"Redis did not answer within {within_s:g} s"
            raise InvokeError(reason, again.run_id, maybe_started=False) from error
        try:
            (answer,) = await self._reruns.rerun_runs(client, [rerun], within_s)
        except Unavailable as error:
            raise InvokeError(str(error), again.run_id, maybe_started=error.maybe_applied) from error
        if not answer:
            return
        row = await self._reads.row(again.source)
        if row is None or answer == GONE:
            raise run_not_found(again.source, self._calls.keys.namespace)
        if answer == NO_FUNCTION:
            raise await self._not_found(row.function)
        raise skipped(row.function, answer.removeprefix(SKIPPED))

    async def start(self, reruns: Sequence[Rerun], within_s: float) -> list[str]:
        """Start what was prepared, at most 100. Answers as `Reruns.rerun_runs`. Raises QueueFull, Unavailable, StateLost."""
        return await self._reruns.rerun_runs("", reruns, within_s)

    async def there(self, runs: Sequence[str]) -> list[bool]:
        """Per id whether there is such a run already."""
        return await self._reruns.there(runs)

    async def knows(self, function: str) -> bool:
        """Whether a function of this full id is registered."""
        return await self._declared.knows(function)

    async def prepared(self, again: Again) -> Rerun:
        """All that has to be known of the source. Raises as `one`, but for what Redis says of the new run."""
        row, given = await asyncio.gather(self._reads.row(again.source), self._runs.read_input(again.source))
        if row is None or not given:
            raise run_not_found(again.source, self._calls.keys.namespace)
        again_given = input_again(again.source, given, row.created_at_ms, again.data, self._limits)
        last = 0
        if again.from_step is not None:
            last = await self._before(row, again.from_step)
        elif again.resume:
            last = await self._before_failure(row)
        extras = await self._declared.extras(row.function, again_given.scope, again_given.name in ENDS)
        if extras is None:
            raise await self._not_found(row.function)
        return Rerun(again.run_id, again.source, again_given.blob, last, extras)

    async def _before(self, row: RunRow, named: str) -> int:
        """The number of the last result before the step that is named so."""
        if not isinstance(named, str):
            raise ConfigError(f"from_step must be a step's id, not {type(named).__name__}: {shown(named)}")
        for memo in await self._reruns.memos(row.id, keys_of(named)):
            if memo is not None:
                # One that has no result yet comes behind all that there is.
                return memo.number - 1 if memo.number else row.results
        raise ConfigError(f"from_step {shown(named)}: run {row.id} {await self._steps_of(row.id)}")

    async def _steps_of(self, run_id: str) -> str:
        details = await self._reads.details(run_id)
        names = [] if details is None else [step_named(step.id, step.occurrence) for step in run_view(details).steps]
        if not names:
            return "has no steps: leave from_step out"
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        return f"has no such step; it has {', '.join(map(shown, names[:NAMED_MAX]))}{more}"

    async def _before_failure(self, row: RunRow) -> int:
        """The number of the last result before the first of the errors that the run has failed with; all, if it had none."""
        if row.state not in RESUMABLE:
            raise NotResumable(row.id, row.state.label)
        if row.state is State.CANCELLED or not row.results:
            return row.results
        try:
            failure = Failure.decode(await self._reads.output(row.id))
        except CodecError:
            return row.results  # damaged: its steps are not known
        memos = await self._reruns.memos(row.id, failure.steps) if failure.steps else []
        errors = [memo.number for memo in memos if memo is not None and memo.kind is MemoKind.ERROR]
        return min(errors) - 1 if errors else row.results

    async def _not_found(self, function: str) -> FunctionNotFound:
        _, declarations = await self._registry.read()
        return not_found(function, declarations, self._calls.keys.namespace)
