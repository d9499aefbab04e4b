"""Reading what runs came to, from outside: the stream that tells it, and where it is kept (decision 009).

The stream is a hint; `Invokes.watch_runs` is the truth. Read by a link of its own, since a blocking read holds up what is
behind it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from durableq.model.run import State
from durableq.store.calls import Calls

TOLD_MAX: Final = 1000


class Ended(NamedTuple):
    """How a run ended. `out` is the encoded result if it completed (b"" for None), else the failure."""

    state: State
    out: bytes


class Told(NamedTuple):
    """Runs whose ends the stream tells, and the place up to which it has been read."""

    runs: list[str]
    upto: str


class Ends:
    """Ends of the runs of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def told(self, client: str, after: str, block_ms: int) -> Told:
        """Wait for what a client is told behind this place of its stream, at most `block_ms`."""
        key = self._calls.key("answers", client)
        reply = await self._calls.read("XREAD", "COUNT", TOLD_MAX, "BLOCK", block_ms, "STREAMS", key, after)
        if not reply:
            return Told([], after)
        ((_, entries),) = reply
        runs = [fields[1].decode() for _, fields in entries if fields[1]]  # the first entry only makes the stream
        return Told(runs, entries[-1][0].decode())

    async def came_to(self, run_id: str) -> Ended | None:
        """What a final run came to; None for one that has not ended, or is not there any more."""
        kept = await self._calls.read("GET", self._calls.key("answer", run_id))
        if kept is not None:
            return Ended(State(kept[:1].decode()), kept[1:])
        # In this order: a run that is there after its output was read had that output, also if it had none.
        output = self._calls.read("GET", self._calls.key("output", run_id))
        state = _state(await self._calls.read("HGET", self._calls.key("run", run_id), "s"))
        out: bytes = await output or b""
        return Ended(state, out) if state is not None and state.final else None

    async def state(self, run_id: str) -> State | None:
        """The state of a run, also of a final one that was deleted a moment ago and that somebody watched."""
        state = _state(await self._calls.read("HGET", self._calls.key("run", run_id), "s"))
        if state is not None:
            return state
        ended = await self.came_to(run_id)
        return ended.state if ended is not None else None


def _state(stored: Any) -> State | None:
    return State(stored.decode()) if stored else None
