"""Verbs of reruns: a new run that does again what another did, from the start or from a step (decision 015)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from durableq.model.memo import Memo, MemoKind
from durableq.store.calls import Calls

PENDING = frozenset({MemoKind.SLEEPING, MemoKind.AWAITING, MemoKind.SIGNALLING, MemoKind.INVOKING, MemoKind.RETRYING})


class Rerun(NamedTuple):
    """A run to create under an id that the caller has made. `given` b"": what the source was given.

    `last` and `drop` say which memos of a final source are kept: `kept_before`; 0 and "" keep none.
    """

    run_id: str
    source: str
    given: bytes
    last: int
    drop: str
    extras: bytes


class Kept(NamedTuple):
    """Of a run's memos: the highest number that is kept, and the keys of those that are not."""

    last: int
    drop: str


def kept_before(memos: Mapping[str, Memo], key: str) -> Kept:
    """What a rerun from this step keeps: every result that was recorded before that step's. Raises KeyError.

    A step that has no result has the last word: all that is recorded is kept.
    """
    until = memos[key].number if memos[key].kind not in PENDING and memos[key].number else None
    kept = {
        one
        for one, memo in memos.items()
        if one != key and memo.number and memo.kind not in PENDING and (until is None or memo.number < until)
    }
    last = max((memos[one].number for one in kept), default=0)
    return Kept(last, " ".join(sorted(memos.keys() - kept)) if last else "")


class Reruns:
    """Reruns of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def rerun_runs(self, client: str, reruns: Sequence[Rerun]) -> list[str]:
        """Per item "" (it is there), "GONE", "LIVING", "NO_FUNCTION", or "SKIPPED " and why. Raises QueueFull.

        `client`, if not "", is told their ends. Sent twice, the second creates nothing.
        """
        replies = await self._calls.run("rerun_runs", client, *chain.from_iterable(reruns))
        return [reply.decode() for reply in replies]
