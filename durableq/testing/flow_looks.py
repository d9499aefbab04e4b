"""`env.flow`: what flow control holds up, holds back and leaves out, as a test looks at it. Nothing here is awaited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from durableq.model.function import Function
from durableq.services.flow_looks import held_back_views
from durableq.services.flow_skips import skips_of
from durableq.services.flow_views import HeldBackView, LimitView, SkipView
from durableq.services.pressure import limits_view
from durableq.services.views import RunView
from durableq.store.calls import Calls
from durableq.store.flow import Flow
from durableq.store.flow_reads import FlowReads
from durableq.testing.stage import Stage

EACH_MAX: Final = 1_000
"""Of each list, of each function: as many skips as are kept."""


class FlowLooks:
    """Of all functions, or with `of(function)` of one.

    assert [run.held_up.reason for run in env.flow.parked] == ["concurrency"]
    assert env.flow.of("mail").skips[0].reason == "rate_limit"
    """

    def __init__(
        self,
        stage: Stage,
        functions: Sequence[str],
        named: Callable[[str | Function[Any]], str],
        runs: Callable[[], list[RunView]],
    ) -> None:
        self._stage = stage
        self._functions = functions
        self._named = named
        self._runs = runs

    def of(self, function: str | Function[Any]) -> FlowLooks:
        """The same, of one function: itself, its id, or `app/id`. Raises ConfigError when it is not there."""
        return FlowLooks(self._stage, [self._named(function)], self._named, self._runs)

    @property
    def parked(self) -> list[RunView]:
        """Queued runs that a limit or a pause holds up, in the order of `env.runs`; `held_up` says which, and for whom."""
        return [run for run in self._runs() if run.held_up is not None and run.function in self._functions]

    @property
    def held_back(self) -> list[HeldBackView]:
        """Debounces and batches that are pending: key, number of events, when they fire, the run that they are going to be."""
        return self._stage.look(self._held_back)

    @property
    def skips(self) -> list[SkipView]:
        """Triggers that started nothing, oldest first: the event, the reason, the key, what it was left out for."""
        return self._stage.look(self._skips)

    @property
    def limits(self) -> list[LimitView]:
        """Keys of limits that have runs in hand or waiting, those under most pressure first, as `durableq limits` has them."""
        return self._stage.look(self._limits)

    async def _held_back(self, calls: Calls) -> list[HeldBackView]:
        reads = FlowReads(calls)
        found = [(await held_back_views(reads, function, EACH_MAX))[1] for function in self._functions]
        return sorted((view for views in found for view in views), key=lambda view: (view.since_ms, view.run))

    async def _skips(self, calls: Calls) -> list[SkipView]:
        flow, reads = Flow(calls), FlowReads(calls)
        found = [reversed(await skips_of(flow, reads, function, EACH_MAX)) for function in self._functions]
        return sorted((view for views in found for view in views), key=lambda view: view.at_ms)

    async def _limits(self, calls: Calls) -> list[LimitView]:
        return list((await limits_view(calls, self._functions, EACH_MAX)).keys)
