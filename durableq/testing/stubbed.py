"""Stand-ins for waits and invokes: the answer is recorded at once, so no event, signal or child run is needed.

A wait for an event is answered with an Event, one for a signal with a Signal, either with None for a time that is over, an
invoke with what the child would return; `raises` fails an invoke as a child that failed with it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar

from durableq.engine.port import EventWait, Invocation, SignalWait
from durableq.model.event import Event, decode_event, encode_event
from durableq.model.failure import Failure
from durableq.model.memo import Memo, MemoKind
from durableq.model.signal import Signal, encode_signal
from durableq.services.executor import RunInHand
from durableq.services.notes import note_of_wait
from durableq.store.runs import StepWrite
from durableq.testing.errors import EnvFailure
from durableq.testing.stubs import Stubs
from durableq.words import codec
from durableq.words.errors import InvokeTimeout
from durableq.words.typed import dump_data

Wait = TypeVar("Wait", EventWait, SignalWait, Invocation)


def stubbed(stubs: Stubs) -> type[RunInHand]:
    """A run in hand whose waits and invokes these stubs may answer."""

    class StubbedRun(RunInHand):
        __slots__ = ()

        def await_event(self, wait: EventWait) -> asyncio.Future[int]:
            return self._stub_or(wait, super().await_event)

        def await_signal(self, wait: SignalWait) -> asyncio.Future[int]:
            return self._stub_or(wait, super().await_signal)

        def invoke(self, invocation: Invocation) -> asyncio.Future[int]:
            return self._stub_or(invocation, super().invoke)

        def _stub_or(self, wait: Wait, begin: Callable[[Wait], asyncio.Future[int]]) -> asyncio.Future[int]:
            body = stubs.instead(self.run_id, wait.note.step_id)
            return begin(wait) if body is None else self._begin(self._answered(wait, body))

        async def _answered(self, wait: EventWait | SignalWait | Invocation, body: Callable[..., Any]) -> int:
            place = f"{self.claimed.created_at_ms}-0"
            try:
                kind, blob = await _answer(wait, body, place)
            except EnvFailure as failure:
                stubs.misused = stubs.misused or failure
                never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                return await never  # the test is over
            write = StepWrite(self.run_id, self.claimed.epoch, self.seen, wait.key, kind, blob, note_of_wait(wait))
            recorded = await self._committer.add(write)
            memo = Memo(recorded.number, recorded.at_ms, kind, blob)
            self.deliver(sorted([*recorded.news, (wait.key, memo)], key=lambda told: told[1].number))
            return int(recorded.number)

    return StubbedRun


async def _answer(
    wait: EventWait | SignalWait | Invocation, body: Callable[..., Any], place: str
) -> tuple[MemoKind, bytes]:
    """The memo that the stub stands for. Raises EnvFailure when there is none of the sort."""
    try:
        if isinstance(wait, Invocation):
            value = body(decode_event(wait.given, place).data)
        else:
            value = body()
        if isawaitable(value):
            value = await value
    except InvokeTimeout:
        return MemoKind.TIMED_OUT, wait.blob
    except Exception as error:
        if isinstance(wait, EventWait):
            raise EnvFailure(f"{_named(wait)} cannot raise {error!r}: no wait for an event does") from error
        return MemoKind.ERROR, Failure.of(error).encode()
    if isinstance(wait, Invocation):
        return MemoKind.DATA, b"" if value is None else codec.encode(dump_data(value), what=_named(wait))
    if value is None:
        return MemoKind.TIMED_OUT, wait.blob
    if isinstance(wait, SignalWait):
        if not isinstance(value, Signal):
            raise EnvFailure(f"{_named(wait)} must return a Signal, or None for a time that is over, not {value!r}")
        return MemoKind.DATA, encode_signal(value.data, what=_named(wait))
    if not isinstance(value, Event):
        raise EnvFailure(f"{_named(wait)} must return an Event, or None for a time that is over, not {value!r}")
    return MemoKind.MATCHED, f"{wait.behind or place} ".encode() + encode_event(value)


def _named(wait: EventWait | SignalWait | Invocation) -> str:
    return f"stub_step({wait.note.step_id!r}), which stands for {wait.note.op},"
