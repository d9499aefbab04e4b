"""The environment: what a process gives to every run that it executes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import SystemRandom
from threading import Lock
from typing import TYPE_CHECKING, Any

from durableq.engine.given_up import GivenUp
from durableq.engine.threads import Threads
from durableq.model.event import Event
from durableq.model.limits import Limits
from durableq.words.ids import check_step_id, step_key
from durableq.words.telemetry import Log, get_log

if TYPE_CHECKING:
    from durableq.engine.execution import ClaimedRun

_KEYS_MAX = 16_384
_WARNED_MAX = 4_096

Send = Callable[[Sequence[Event], Limits], Awaitable[Sequence[str]]]
SendSignal = Callable[[str, str, bytes], Awaitable[str]]


async def _no_sender(_events: Sequence[Event], _limits: Limits) -> Sequence[str]:
    raise RuntimeError("this process has no sender of events")


async def _no_signals(_signal: str, _token: str, _blob: bytes) -> str:
    raise RuntimeError("this process has no sender of signals")


def _step_keys() -> Callable[[str, int], str]:
    def key_of(step_id: str, occurrence: int) -> str:
        return step_key(check_step_id(step_id), occurrence)

    return lru_cache(_KEYS_MAX)(key_of)


class Warned:
    """Which warnings were given, so that each is given once per run and process. Bounded; the oldest are forgotten."""

    def __init__(self) -> None:
        self._given: OrderedDict[tuple[str, str], None] = OrderedDict()

    def first(self, run_id: str, warning: str) -> bool:
        """Whether this warning of this run is new, which it then no longer is."""
        if (run_id, warning) in self._given:
            return False
        self._given[run_id, warning] = None
        if len(self._given) > _WARNED_MAX:
            self._given.popitem(last=False)
        return True


@dataclass(slots=True)
class Environment:
    """One per process (child), shared by its runs."""

    bodies_max: int = 100
    """How many step bodies of one run may execute at once: `--concurrency`."""
    send: Send = _no_sender
    """How `ctx.step.send_event` sends, within the limits of the function that asks: returns the events' ids in their order."""
    send_signal: SendSignal = _no_signals
    """How `ctx.step.send_signal` sends (signal, token, encoded data): returns the run that it reached, or "". The same token
    again is answered as the first time."""
    logger: Log = field(default_factory=get_log)
    """What `ctx.logger` and the engine's own warnings are bound from."""
    function_threads: Threads = field(default_factory=lambda: Threads("durableq-function"))
    """Where `def` functions run."""
    body_threads: Threads = field(default_factory=lambda: Threads("durableq-body"))
    """Where the plain step bodies of `async` functions run, and the branches of `parallel`."""
    abandoned: GivenUp = field(default_factory=GivenUp)
    """Threads and tasks given up on that still live; the worker drains when they are many."""
    on_body: Callable[[str, str], Awaitable[None]] | None = None
    """Awaited with (run id, step id) right before each body begins; must not raise. None: nobody wants to know."""
    stand_in: Callable[[ClaimedRun, str, Callable[[], Any]], Callable[[], Any]] | None = None
    """Asked with (run, step id, body) for what to execute instead, right before each body begins: tests replace bodies."""
    making: Lock = field(default_factory=Lock)
    """Held while something is made that threads share, and that is made when first asked for."""
    chance: Callable[[], float] = SystemRandom().random
    """Drawn for the jitter of a retry: 0 to 1."""
    warned: Warned = field(default_factory=Warned)
    key_of: Callable[[str, int], str] = field(default_factory=_step_keys)
    """(step id, occurrence) to step key; remembered, since the same ids come in every run. ConfigError for a bad id."""

    def close(self) -> None:
        """Let the idle threads go."""
        self.function_threads.close()
        self.body_threads.close()
