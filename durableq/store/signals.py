"""Verbs of signals: wait for one by name, give one to whoever waits (decision 009)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from durableq.store.calls import Calls
from durableq.store.runs import Answers
from durableq.store.waits import begun_all


class SignalWait(NamedTuple):
    """A wait for a signal. `replace` 1 takes it over from a wait that has it already; 0 has a failure for a result then."""

    run_id: str
    epoch: int
    seen: int
    key: str
    blob: bytes
    due_at_ms: int
    note: bytes
    signal: str
    replace: int


class NewSignal(NamedTuple):
    """A signal to give. What was delivered under this token is remembered for so long, so it may be sent again."""

    signal: str
    token: str
    remember_ms: int
    blob: bytes


class Signals:
    """The signals of one namespace."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def await_signals(self, lease: str, writes: Sequence[SignalWait]) -> Answers:
        """Per item Recorded (at_ms 0: the wait is there, or its result is among the news) or STALE."""
        reply = await self._calls.run("await_signals", lease, *chain.from_iterable(writes))
        return await begun_all(self._calls, reply, writes)

    async def send_signals(self, signals: Sequence[NewSignal], within_s: float | None = None) -> list[str]:
        """Per signal the run that has it, or "" when nobody waits for it. Raises Unavailable after `within_s`."""
        future = self._calls.run("send_signals", *chain.from_iterable(signals))
        replies = await (future if within_s is None else self._calls.link.within(within_s, future))
        return [run.decode() for run in replies]
