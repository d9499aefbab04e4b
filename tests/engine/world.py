"""The world of one run, without Redis: a store as a dict, a scheduler, and a worker that may die at any point.

`World.finish` plays the part of the services: claim, execute, do what the outcome says, until the run is final. Calls are
applied in order after a delay drawn from `chance`, replies come after another one, so they may overtake each other.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple, cast

from durableq.engine.environment import Environment
from durableq.engine.execution import ClaimedRun, Execution
from durableq.engine.port import (
    EventWait,
    Invocation,
    News,
    NewWait,
    NotYet,
    OutsideWait,
    Recorded,
    SignalWait,
    StepNote,
)
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.model.limits import Limits
from durableq.model.memo import RESULTS, Memo, MemoKind
from durableq.model.outcome import Abandoned, AttemptFailed, Completed, Failed, Outcome, Suspended
from durableq.model.retry import Backoff
from durableq.words import codec
from durableq.words.ids import step_key
from tests.engine.outside import Outside
from tests.engine.virtual import VirtualLoop, run_virtual

ENDS = {
    MemoKind.SLEEPING: MemoKind.WOKEN,
    MemoKind.AWAITING: MemoKind.TIMED_OUT,
    MemoKind.SIGNALLING: MemoKind.TIMED_OUT,
    MemoKind.INVOKING: MemoKind.TIMED_OUT,
}
"""What becomes of a wait whose time is over."""
FINAL = RESULTS | {MemoKind.ABANDONED}
COUNTED = ("record", "await_event", "await_signal", "invoke")
"""The calls after any of which a world may crash."""

RUN_ID = "01HF00000000ABCDEFGHJKMNPQ"


class Log:
    """Remembers what was logged: (level, event, fields)."""

    def __init__(self, lines: list[tuple[str, str, dict[str, Any]]] | None = None, **fields: Any) -> None:
        self.lines = [] if lines is None else lines
        self._fields = fields

    def bind(self, **fields: Any) -> Log:
        return Log(self.lines, **{**self._fields, **fields})

    def unbind(self, *keys: str) -> Log:
        return Log(self.lines, **{key: value for key, value in self._fields.items() if key not in keys})

    def log(self, level: int, event: str, **fields: Any) -> None:
        self.lines.append((str(level), event, {**self._fields, **fields}))

    def __getattr__(self, level: str) -> Callable[..., None]:
        def say(event: str, **fields: Any) -> None:
            self.lines.append((level, event, {**self._fields, **fields}))

        return say

    def events(self, level: str = "") -> list[str]:
        return [event for said, event, _ in self.lines if level in ("", said)]


def function_of(handler: Callable[..., Any], **options: Any) -> Function[Any]:
    """The handler as a function: app `shop`, id `f`, 4 retries."""
    options = {"retries": 4, "backoff": Backoff.fixed("10s", jitter=0), "limits": Limits(), **options}
    return Function(
        id="f",
        app_id="shop",
        handler=handler,
        triggers=(),
        name="f",
        is_async=inspect.iscoroutinefunction(handler),
        origin="tests:1",
        **options,
    )


class Begun(NamedTuple):
    """A wait has begun, or is over already: what is newer is delivered first."""

    number: int
    news: list[tuple[str, Memo]]


class World:
    """A run of `handler` and everything around it."""

    def __init__(
        self,
        handler: Callable[..., Any],
        *,
        event: Event[Any] | None = None,
        seed: int | None = None,
        environment: Environment | None = None,
        crash_after: int | None = None,
        **options: Any,
    ) -> None:
        self.function = function_of(handler, **options)
        self.run_id = RUN_ID
        self.log = Log()
        self.environment = environment or Environment()
        self.environment.logger = cast(Any, self.log)
        self.environment.chance = lambda: 0.5
        self.events = [event or Event("order/created", {"order_id": 7})]
        self.random = Random(seed)
        self.delayed = seed is not None
        self.memos: dict[str, Memo] = {}
        self.waits: dict[str, int] = {}
        self.sequence = 0
        self.attempt = 0
        self.calls: list[tuple[Any, ...]] = []
        self.notes: list[StepNote] = []
        self.outcomes: list[Outcome] = []
        self.crash_after = crash_after
        self.executions = 0
        self.execution: Execution | None = None
        self.port: StorePort | None = None
        self.before_suspend: Callable[[], None] = lambda: None
        self.outside = Outside(self)
        self.environment.send_signal = self.outside.send_signal
        self.plan: list[tuple[int, Callable[[], Any]]] = []
        """What happens outside, so many ms after the run was claimed for the first time."""
        self.ready = asyncio.Event()
        """Something from outside has ended a wait since the run was suspended."""

    # --- Driving.

    def finish(self) -> Any:
        """The run's result, or its Failed outcome, after as many turns as it takes."""
        return run_virtual(self.finish_on_loop())

    def one_turn(self) -> Outcome:
        """One turn's outcome."""
        return run_virtual(self.turn())

    async def finish_on_loop(self) -> Any:
        for _ in range(200):
            outcome = await self.turn()
            if isinstance(outcome, Completed):
                return codec.decode(outcome.blob) if outcome.blob else None
            if isinstance(outcome, Failed):
                return outcome
            if isinstance(outcome, AttemptFailed):
                self.attempt = outcome.attempt
                await asyncio.sleep(outcome.delay_ms / 1000)
            if isinstance(outcome, Suspended):
                assert self.waits, "suspended for ever"
                await self._until_ready()
                self.fire_due()
        raise AssertionError("the run does not end")

    async def _until_ready(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, min(self.waits.values()) - self.now_ms()) / 1000):
                await self.ready.wait()

    async def turn(self) -> Outcome:
        loop = asyncio.get_running_loop()
        for after_ms, act in self.plan:
            loop.call_later(after_ms / 1000, act)
        self.plan = []
        self.port = StorePort(self)
        copies = {key: replace(memo) for key, memo in self.memos.items()}
        run = ClaimedRun(
            RUN_ID, "f", "shop", self.events, self.attempt, self.sequence, copies, created_at_ms=1_000_000_000
        )
        self.execution = Execution(self.function, run, self.port, self.environment)
        if isinstance(loop, VirtualLoop):
            loop.held = self._thread_is_busy
        self.executions += 1
        outcome = await self.execution.run()
        self.port.dead = True
        self.environment.close()  # or hundreds of idle threads are left to the tests that come later
        self.outcomes.append(outcome)
        return outcome

    def _thread_is_busy(self) -> bool:
        """Whether time must stand still: code in a thread is under way, which does not know of virtual time."""
        replay = None if self.execution is None else self.execution._replay
        return replay is not None and replay.busy_threads > 0

    @property
    def failure(self) -> Any:
        """The last outcome's failure."""
        return cast(Any, self.outcomes[-1]).failure

    # --- The store.

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def number(self, key: str, kind: MemoKind, blob: bytes) -> Memo:
        self.sequence += 1
        memo = self.memos[key] = Memo(self.sequence, self.now_ms(), kind, blob)
        return memo

    def above(self, seen: int, but: str = "") -> list[tuple[str, Memo]]:
        news = [(key, replace(memo)) for key, memo in self.memos.items() if memo.number > seen and key != but]
        return sorted(news, key=lambda item: item[1].number)

    def fire_due(self) -> None:
        """What a scheduler does."""
        for key, due_at_ms in list(self.waits.items()):
            if due_at_ms <= self.now_ms():
                del self.waits[key]
                memo = self.memos[key]
                self.outside.pending.pop(key, None)
                self.number(key, ENDS.get(memo.kind, memo.kind), memo.blob)

    # --- What tests ask.

    def calls_under_way(self) -> int:
        """How many calls to the store have no reply yet."""
        return 0 if self.port is None else self.port.under_way

    def memo(self, step_id: str, occurrence: int = 0) -> Memo:
        return self.memos[step_key(step_id, occurrence)]

    def order(self) -> list[str]:
        """The keys of results in the order of their numbers."""
        return [key for key, memo in sorted(self.memos.items(), key=lambda item: item[1].number) if memo.number]


class StorePort:
    """One turn's port. When the world crashes it goes silent, and the turn is abandoned."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.loop = asyncio.get_running_loop()
        self.dead = False
        self.under_way = 0
        self._last_s = 0.0

    def now_ms(self) -> int:
        return self.world.now_ms()

    def record(self, key: str, kind: MemoKind, blob: bytes, note: StepNote) -> asyncio.Future[Recorded]:
        def apply(seen: int) -> Recorded:
            self.world.notes.append(note)
            known = self.world.memos.get(key)
            if known is None or known.kind not in FINAL:
                self.world.waits.pop(key, None)
                self.world.outside.pending.pop(key, None)
                known = self.world.number(key, kind, blob)
                return Recorded(known.number, known.at_ms, self.world.above(seen, key))
            return Recorded(known.number, known.at_ms, self.world.above(seen))

        return self._call("record", apply, key, kind)

    def wait(self, key: str, kind: MemoKind, blob: bytes, due_at_ms: int, note: StepNote) -> asyncio.Future[int]:
        def apply(_seen: int) -> int:
            self.world.notes.append(note)
            self._begin(key, kind, blob, due_at_ms)
            return self.world.sequence

        return self._call("wait", apply, key, kind)

    def fire(self, key: str) -> asyncio.Future[Recorded | NotYet]:
        def apply(seen: int) -> Recorded | NotYet:
            memo = self.world.memos[key]
            if memo.kind in ENDS:
                remaining_ms = self.world.waits[key] - self.now_ms()
                if remaining_ms > 0:
                    return NotYet(remaining_ms)
                del self.world.waits[key]
                self.world.outside.pending.pop(key, None)
                memo = self.world.number(key, ENDS[memo.kind], memo.blob)
                return Recorded(memo.number, memo.at_ms, self.world.above(seen, key))
            return Recorded(memo.number, memo.at_ms, self.world.above(seen))

        return self._call("fire", apply, key)

    def await_event(self, wait: EventWait) -> asyncio.Future[int]:
        return self._begin_outside("await_event", wait)

    def await_signal(self, wait: SignalWait) -> asyncio.Future[int]:
        return self._begin_outside("await_signal", wait)

    def invoke(self, invocation: Invocation) -> asyncio.Future[int]:
        return self._begin_outside("invoke", invocation)

    def _begin_outside(self, verb: str, wait: OutsideWait) -> asyncio.Future[int]:
        def apply(seen: int) -> Begun:
            self.world.notes.append(wait.note)
            self.world.outside.begin(wait)
            return Begun(self.world.sequence, self.world.above(seen))

        return self._call(verb, apply, wait.key)

    def tell(self, key: str, memo: Memo) -> None:
        """Bring news from outside, unless the turn has ended."""
        if not self.dead and self.world.execution is not None:
            self.world.execution.deliver([(key, replace(memo))])

    async def suspend(self, seen: int, waits: Sequence[NewWait]) -> News | None:
        self.world.before_suspend()
        await asyncio.sleep(self._delay_s())
        self.world.calls.append(("suspend", [(wait.key, wait.kind) for wait in waits]))
        news = self.world.above(seen)
        if news:
            return news
        for wait in waits:
            self.world.notes.append(wait.note)
            self._begin(wait.key, wait.kind, wait.blob, wait.due_at_ms)
        self.world.ready.clear()
        return None

    def _begin(self, key: str, kind: MemoKind, blob: bytes, due_at_ms: int) -> None:
        known = self.world.memos.get(key)
        if known is None or known.kind is MemoKind.RETRYING:
            self.world.memos[key] = Memo(0, self.now_ms(), kind, blob)
            self.world.waits[key] = due_at_ms

    def _call(self, verb: str, apply: Callable[[int], Any], key: str, *more: Any) -> asyncio.Future[Any]:
        future = self.loop.create_future()
        execution = self.world.execution
        assert execution is not None
        seen = execution.seen
        self._last_s = max(self._last_s + 1e-6, self.loop.time() + self._delay_s())  # in order, and timers know no ties

        self.under_way += 1

        def at_the_store() -> None:
            if self.dead:
                return
            self.world.calls.append((verb, key, *more))
            reply = apply(seen)
            self.loop.call_later(self._delay_s(), answer, reply)
            if verb in COUNTED and self.world.crash_after is not None:
                self.world.crash_after -= 1
                if self.world.crash_after < 0:
                    self.world.crash_after = None
                    self.dead = True
                    execution.abandon("crash")

        def answer(reply: Any) -> None:
            self.under_way -= 1
            if self.dead or future.done():
                return
            if isinstance(reply, Begun):
                execution.deliver(reply.news)
                reply = reply.number
            future.set_result(reply)

        self.loop.call_at(self._last_s, at_the_store)
        return future

    def _delay_s(self) -> float:
        return self.world.random.uniform(0, 0.003) if self.world.delayed else 0.0


__all__ = ["RUN_ID", "Abandoned", "AttemptFailed", "Completed", "Failed", "Log", "Suspended", "World"]
