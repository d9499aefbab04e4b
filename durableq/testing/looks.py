"""What both forms of an environment have: looking, and arranging. Nothing here is awaited."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from durableq.model.event import Event, decode_event
from durableq.model.expressions.suggestions import did_you_mean
from durableq.model.function import Function
from durableq.model.run import State
from durableq.services.flow_looks import with_hold_ups
from durableq.services.system_events import SystemEvents, is_reference
from durableq.services.views import RunView, run_view, whole_view
from durableq.store.calls import Calls
from durableq.store.events import Events, read_entries
from durableq.store.reads import Reads
from durableq.testing.errors import EnvFailure, NobodyListens
from durableq.testing.flow_looks import FlowLooks
from durableq.testing.stage import Stage
from durableq.testing.steps import SeenStep, ids_seen, seen_step
from durableq.testing.stubs import NOTHING
from durableq.words.errors import ConfigError, RunNotFound
from durableq.words.shown import shown

RUNS_MAX = 100_000


class Looks:
    """The part of an environment that waits for nothing."""

    def __init__(self, stage: Stage, *, strict: bool) -> None:
        self._stage = stage
        self._strict = strict

    @property
    def now(self) -> datetime:
        """The virtual clock, in UTC. It stands still but for `advance` and `run_to_end`."""
        return self._stage.clock.now

    @property
    def runs(self) -> list[RunView]:
        """Every run with its status, event, steps, result and error, in the order of their events."""
        views = self._stage.look(self._views)
        place = self._stage.functions
        return sorted(views, key=lambda run: (run.created_at_ms, place.get(run.function, 0), run.id))

    def run(self, id: str, /) -> RunView:
        """One run, by its id: what `invoke` returned, or a step's `awaited.run`. Raises RunNotFound."""
        found = self._stage.look(lambda calls: _whole(calls, id))
        if not found:
            raise RunNotFound(f"no run {id!r} in this environment")
        return found[0]

    @property
    def only_run(self) -> RunView:
        """The one run that there is. Raises EnvFailure when there is none, or another."""
        return self._only(self.runs, "run")

    def runs_of(self, function: str | Function[Any]) -> list[RunView]:
        """Runs of one function: itself, its id, or `app/id`. Raises ConfigError when it is not there."""
        full_id = self._full_id(function)
        return [run for run in self.runs if run.function == full_id]

    def run_of(self, function: str | Function[Any]) -> RunView:
        """The one run of a function. Raises EnvFailure when there is none, or another."""
        return self._only(self.runs_of(function), f"run of {self._full_id(function)}")

    @property
    def flow(self) -> FlowLooks:
        """What flow control holds up, holds back and leaves out: `env.flow.parked`, `.held_back`, `.skips`, `.limits`."""
        return FlowLooks(self._stage, list(self._stage.functions), self._full_id, lambda: self.runs)

    @property
    def events(self) -> list[Event[dict[str, Any]]]:
        """Every event that was accepted, whoever sent it: the test, the code under test, a step; and system events, where
        something listens to them."""
        return self._stage.look(_events)

    def events_of(self, name: str) -> list[Event[dict[str, Any]]]:
        """Events of one name."""
        return [event for event in self.events if event.name == name]

    @property
    def steps(self) -> list[str]:
        """Every step id that was seen, in any run: `assert "refund" not in env.steps`."""
        return ids_seen(self.runs, self._stage.stubs.begun)

    def step(self, id: str, *, run: RunView | str | None = None) -> SeenStep:
        """A step: how often its body began, and what was recorded.

        Args:
            id: Its id. Where a run uses it several times, or several runs do, `calls` is the sum.
            run: Of this run only.

        Raises:
            EnvFailure: No step of this id was seen. The message names those that were.
            RunNotFound: There is no such run.
        """
        runs = self.runs
        if run is not None:
            wanted = run if isinstance(run, str) else run.id
            runs = [known for known in runs if known.id == wanted]
            if not runs:
                raise RunNotFound(f"no run {wanted!r} in this environment")
        return seen_step(id, runs, self._stage.stubs.begun)

    def stub_step(
        self,
        id: str,
        body: Any = NOTHING,
        /,
        *,
        returns: Any = NOTHING,
        raises: Any = NOTHING,
        times: int | None = None,
    ) -> None:
        """Execute something else in place of a step's body, in every function that has a step of this id.

        Args:
            id: The step's id.
            body: A callable, `def` or `async def`, that is given the arguments of the step's own.
            returns: What the body returns.
            raises: The exception that it raises, or its class. Each attempt raises it, so the step's retries apply.
            times: For so many attempts; then comes the stub before this one, or the body itself. None: always.

        Raises:
            ConfigError: Not exactly one of the three was given, or one that is not allowed.

        A stub that no body has asked for is a failure at the end of the environment.
        """
        self._stage.check_open()
        self._stage.stubs.add(id, body, returns, raises, times)

    def crash_worker(
        self, *, after_step: str | None = None, before_record: str | None = None, machine: bool = False
    ) -> None:
        """Let the worker die, once, with all it has in hand; its runs go on with the next one, from the top.

        Args:
            after_step: Right after the result of this step was recorded.
            before_record: After the body of this step, and before its result was recorded: the body executes again.
            machine: The machine dies too, so that nobody hands the runs back: they go on when a scheduler finds the
                worker's lease run out, about 11 s of virtual time later.

        Raises:
            ConfigError: Not exactly one of the first two was given.

        A crash that did not happen is a failure at the end of the environment.
        """
        self._stage.check_open()
        self._stage.crashes.add(after_step, before_record, machine)

    def _only(self, runs: list[RunView], what: str) -> RunView:
        if len(runs) == 1:
            return runs[0]
        there = ", ".join(f"{run.function} ({run.status})" for run in runs[:10])
        raise EnvFailure(f"there is not one {what} but {len(runs)}: {there or self._why_none()}")

    def _why_none(self) -> str:
        """What a test that expects a run has most likely forgotten."""
        names = dict.fromkeys(event.name for event in self.events)
        if not names:
            return "no event was accepted; was one sent, and in an async test its `await` written?"
        if not any(self._stage.hearing.declared(name) for name in names):
            return f"no function is triggered by {', '.join(map(repr, names))}"
        if not self.runs:
            return "nothing was executed yet: call run_until_idle() first, or advance() for events of later"
        return f"the runs are of {', '.join(dict.fromkeys(run.function for run in self.runs))}"

    async def _views(self, calls: Calls) -> list[RunView]:
        reads = Reads(calls)
        rows = await reads.newest(list(self._stage.functions), list(State), RUNS_MAX)
        found = [await reads.details(row.id) for row in rows]
        states = {row.id: row.state for row in rows}
        views = [run_view(details, states) for details in found if details is not None]
        return await with_hold_ups(calls, views, holders=True)

    def _full_id(self, function: str | Function[Any]) -> str:
        if not isinstance(function, (str, Function)):
            raise ConfigError(f"a function or its id is meant, not {type(function).__name__}: {shown(function)}")
        wanted = function if isinstance(function, str) else function.full_id
        known = self._stage.functions
        found = [full_id for full_id in known if wanted in (full_id, full_id.partition("/")[2])]
        if len(found) != 1:
            short = [full_id.partition("/")[2] for full_id in known]
            hint = f"; it stands for {' and '.join(found)}" if found else did_you_mean(wanted, [*short, *known], "{!r}")
            raise ConfigError(f"{wanted!r} names no one function of this environment{hint}")
        return found[0]

    def _events_given(
        self, events: Event[Any] | Sequence[Event[Any]] | str, data: Any
    ) -> Event[Any] | Sequence[Event[Any]]:
        """What `send` was given, as events. One that nobody listens to is told."""
        if isinstance(events, str):
            events = Event(events, {} if data is None else data)
        elif data is not None:
            raise ConfigError("send takes data beside an event's name; an Event has its own")
        for event in [events] if isinstance(events, Event) else events:
            if isinstance(event, Event):
                self._check_heard(event.name)
        return events

    def _check_heard(self, name: str) -> None:
        hearing = self._stage.hearing
        if hearing.declared(name):
            return
        awaited = self._stage.look(hearing.awaited)
        if name in awaited:
            return
        if self._stage.look(hearing.doubts):
            hearing.doubtful[name] = None
            return
        text = hearing.told(name, awaited)
        if self._strict:
            raise EnvFailure(text)
        warnings.warn(text, NobodyListens, stacklevel=4)

    def _unheard(self) -> list[str]:
        """What to say of events that no run has waited for after all."""
        hearing = self._stage.hearing
        if not hearing.doubtful:
            return []
        awaited = self._stage.look_back(hearing.awaited)
        return [hearing.told(name, awaited) for name in hearing.doubtful if name not in awaited]

    def _unkept(self) -> str:
        """What the test has arranged and that did not happen; "" when all did."""
        stubs, begun = self._stage.stubs, self._stage.stubs.begun
        unheard = self._unheard()
        if not self._strict:
            for text in unheard:
                warnings.warn(text, NobodyListens, stacklevel=4)
        elif unheard:
            return "; ".join(unheard)
        faults = [f"stub_step({step_id!r}) was never used" for step_id in stubs.unused()]
        faults += [f"{crash} did not happen" for crash in self._stage.crashes.outstanding()]
        if not faults:
            return ""
        seen = dict.fromkeys(step_id for _, step_id in begun)
        return f"{'; '.join(faults)}. Steps whose bodies began: {', '.join(map(repr, seen)) or 'none'}"


async def _whole(calls: Calls, id: str) -> list[RunView]:
    """One run, in a list; an empty one where it is not there."""
    found = await whole_view(Reads(calls), id)
    return await with_hold_ups(calls, [found] if found is not None else [], holders=True)


async def _events(calls: Calls) -> list[Event[dict[str, Any]]]:
    entries = await read_entries(calls)
    system = SystemEvents(Events(calls).facts)
    left = [entry for entry in entries if is_reference(entry)]
    blobs = {}
    while left:  # as many as are read at once
        made = await system.made(left)
        blobs.update({entry: one.blob for entry, one in made.items()})
        left = [entry for entry in left if entry.id not in made]
    found = [(entry.id, blobs.get(entry.id, entry.blob)) for entry in entries]
    return [decode_event(blob, entry_id) for entry_id, blob in found if blob]
