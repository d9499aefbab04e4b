"""What is read of runs to make a system event of a reference."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from durableq.model.run import State
from durableq.store.calls import Calls


class AboutRun(NamedTuple):
    """A run without its payloads, and how large these are together."""

    function: str
    state: State
    created_at_ms: int
    ended_at_ms: int
    bytes: int


class Payloads(NamedTuple):
    """A run's encoded input and output (b"" for none)."""

    given: bytes
    out: bytes


class RunFacts:
    """Runs of one shard, as whoever tells others about them reads them."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def about(self, runs: Sequence[str]) -> list[AboutRun | None]:
        """Per run what is known of it; None for one that is not there any more. One round trip."""
        return list(await asyncio.gather(*map(self._about, runs)))

    async def payloads(self, runs: Sequence[str]) -> list[Payloads | None]:
        """Per run its payloads; None for one that is not there any more. One round trip."""
        return list(await asyncio.gather(*map(self._payloads, runs)))

    async def _about(self, run_id: str) -> AboutRun | None:
        read, key = self._calls.read, self._calls.key
        fields = read("HMGET", key("run", run_id), "f", "s", "c", "e")
        sizes = read("STRLEN", key("input", run_id)), read("STRLEN", key("output", run_id))
        function, state, created, ended = await fields
        size = await sizes[0] + await sizes[1]
        if function is None or state is None:
            return None
        return AboutRun(function.decode(), State(state.decode()), _number(created), _number(ended), size)

    async def _payloads(self, run_id: str) -> Payloads | None:
        read, key = self._calls.read, self._calls.key
        given, out = read("GET", key("input", run_id)), read("GET", key("output", run_id))
        # The last: a run that is there after they were read had them.
        there = read("EXISTS", key("run", run_id))
        found = Payloads(await given or b"", await out or b"")
        return found if await there else None


def _number(raw: Any) -> int:
    return int(float(raw)) if raw else 0
