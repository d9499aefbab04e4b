"""Verbs of reruns: a new run that does again what another did, from the start or from a step (decision 015)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from durableq.model.memo import Memo
from durableq.store import records
from durableq.store.calls import Calls


class Rerun(NamedTuple):
    """A run to create under an id that the caller has made. `given` b"": what the source was given.

    `last`: results with numbers up to this one are kept (`last_before`); 0 keeps none.
    """

    run_id: str
    source: str
    given: bytes
    last: int
    extras: bytes


def last_before(memos: Mapping[str, Memo], key: str) -> int:
    """The number of the last result that was recorded before this step's: what a rerun from it keeps. Raises KeyError.

    Of a step that has none yet: all that is recorded.
    """
    return memos[key].number - 1 if memos[key].number else max(memo.number for memo in memos.values())


class Reruns:
    """Reruns of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def rerun_runs(self, client: str, reruns: Sequence[Rerun], within_s: float | None = None) -> list[str]:
        """Per item "" (it is there), "GONE", "NO_FUNCTION", or "SKIPPED " and why. Raises QueueFull.

        `client`, if not "", is told their ends. Sent twice, the second creates nothing. Raises Unavailable after `within_s`.
        """
        future = self._calls.run("rerun_runs", client, *chain.from_iterable(reruns))
        replies = await (future if within_s is None else self._calls.link.within(within_s, future))
        return [reply.decode() for reply in replies]

    async def there(self, runs: Sequence[str]) -> list[bool]:
        """Per id whether there is such a run."""
        read, key = self._calls.read, self._calls.key
        return [there == 1 for there in await asyncio.gather(*(read("EXISTS", key("input", run)) for run in runs))]

    async def memos(self, run: str, keys: Sequence[str]) -> list[Memo | None]:
        """Those of a run's memos that have these keys."""
        read, key = self._calls.read, self._calls.key("steps", run)
        found = await asyncio.gather(*(read("HGET", key, one) for one in keys))
        return [None if raw is None else records.memo(raw) for raw in found]
