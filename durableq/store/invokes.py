"""Verbs of runs that are invoked: by another run, or from outside, and what they came to (decision 009)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from durableq.model.run import State
from durableq.store.calls import Calls
from durableq.store.cancels import found
from durableq.store.runs import Answers
from durableq.store.waits import begun_all


class InvokeWrite(NamedTuple):
    """A child run to create, and the wait for it. `extras` is what its declaration asks for (lib/dress_run.lua)."""

    run_id: str
    epoch: int
    seen: int
    key: str
    blob: bytes
    due_at_ms: int
    note: bytes
    child: str
    function: str
    given: bytes
    extras: bytes


class NewRun(NamedTuple):
    """A run to create from outside, under an id that the caller has made."""

    run_id: str
    function: str
    given: bytes
    extras: bytes


class Invokes:
    """Invoked runs of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def invoke_runs(self, lease: str, writes: Sequence[InvokeWrite]) -> Answers:
        """Per item Recorded (at_ms 0: child and wait are there, or a result among the news) or STALE. Raises QueueFull."""
        reply = await self._calls.run("invoke_runs", lease, *chain.from_iterable(writes))
        return await begun_all(self._calls, reply, writes)

    async def start_runs(self, client: str, runs: Sequence[NewRun], within_s: float | None = None) -> list[bool | str]:
        """Per run whether it is there; False: its function is not registered; or why flow control has left it out.

        `client`, if not "", is told their ends.

        Raises QueueFull, or Unavailable after `within_s`.
        """
        future = self._calls.run("start_runs", client, *chain.from_iterable(runs))
        replies = await (future if within_s is None else self._calls.link.within(within_s, future))
        return [_started(reply.decode()) for reply in replies]

    async def watch_runs(
        self, client: str, runs: Sequence[str], within_s: float | None = None
    ) -> list[State | str | None]:
        """Have a client told what runs come to: per run None (it will be told), the final state that it has, or ABSENT.

        Raises Unavailable after `within_s`.
        """
        future = self._calls.run("watch_runs", client, *runs)
        replies = await (future if within_s is None else self._calls.link.within(within_s, future))
        return [found(reply) for reply in replies]


def _started(reply: str) -> bool | str:
    return reply.removeprefix("SKIPPED ") if reply.startswith("SKIPPED ") else reply == ""
