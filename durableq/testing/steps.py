"""What a test asks about a step: how often its body began, and what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from durableq.services.views import ErrorView, RunView, StepView
from durableq.testing.errors import EnvFailure


@dataclass(frozen=True, slots=True)
class SeenStep:
    """A step id in one run, or in all of them. `result` and `error` are for an id recorded once; else there are the lists."""

    id: str
    calls: int
    """How often its body, or its stub, began: once, and once more for each retry and crash. 0 of sleeps and waits."""
    views: tuple[StepView, ...]
    """What is recorded under the id, runs in order, and within a run in the order of recording."""
    runs: tuple[str, ...]
    """The run of each view."""

    @property
    def result(self) -> Any:
        """What was recorded, as it was decoded: data, without the class of a model; the Event that answered a wait for one, and
        what a signal brought. Raises EnvFailure unless there is one."""
        view = self._only
        if view.status != "completed":
            raise EnvFailure(f"step {self.id!r} has no result: it is {view.status}{_because(view.error)}")
        return view.result

    @property
    def error(self) -> ErrorView | None:
        """What it failed with, or its last attempt did; None when it completed. Raises EnvFailure unless there is one."""
        return self._only.error

    @property
    def status(self) -> str:
        """completed, failed, sleeping, retrying, waiting, timed out, abandoned or void. EnvFailure unless there is one."""
        return self._only.status

    @property
    def results(self) -> list[Any]:
        """Of all that completed."""
        return [view.result for view in self.views if view.status == "completed"]

    @property
    def errors(self) -> list[ErrorView]:
        """Of all that failed, or are to be tried again."""
        return [view.error for view in self.views if view.error is not None]

    @property
    def _only(self) -> StepView:
        if len(self.views) == 1:
            return self.views[0]
        if not self.views:
            raise EnvFailure(f"step {self.id!r} has begun {self.calls} times, and nothing is recorded of it yet")
        in_runs = list(dict.fromkeys(self.runs))
        where = f"in {len(in_runs)} runs: name one, env.step({self.id!r}, run=…)" if len(in_runs) > 1 else "in one run"
        raise EnvFailure(f"step {self.id!r} was recorded {len(self.views)} times {where}, or take .results and .errors")


def seen_step(step_id: str, runs: Sequence[RunView], begun: Mapping[tuple[str, str], int]) -> SeenStep:
    """The step in these runs. Raises EnvFailure, which names the ids seen, for one that never was."""
    views = [(run.id, view) for run in runs for view in run.steps if view.id == step_id]
    calls = sum(begun.get((run.id, step_id), 0) for run in runs)
    if not views and not calls:
        seen = ids_seen(runs, begun)
        raise EnvFailure(
            f"no step {step_id!r} was seen; there are: {', '.join(map(repr, seen)) or 'none'}. "
            f"That it must not be is written: assert {step_id!r} not in env.steps"
        )
    return SeenStep(step_id, calls, tuple(view for _, view in views), tuple(run_id for run_id, _ in views))


def ids_seen(runs: Sequence[RunView], begun: Mapping[tuple[str, str], int]) -> list[str]:
    """Every step id of these runs, recorded or begun."""
    wanted = {run.id for run in runs}
    ids = [view.id for run in runs for view in run.steps]
    ids += [step_id for run_id, step_id in begun if run_id in wanted]
    return list(dict.fromkeys(ids))


def _because(error: ErrorView | None) -> str:
    return "" if error is None else f", with {error.name}: {error.message}"
