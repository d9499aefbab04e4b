"""Verbs of cancellation, and of what hangs on runs that have ended (decision 010)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from durableq.model.run import State
from durableq.store.calls import Calls


class Cancelled(NamedTuple):
    """Per run None (it is cancelled now), the final state that it had, or ABSENT; and whether something is to be swept."""

    now_ms: int
    runs: list[State | str | None]
    sweep: bool


ABSENT = "absent"


class Cancels:
    """Ends runs of one shard from outside."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def cancel_runs(
        self, runs: Sequence[str], why: str, keep_failed: int = 10_000, within_s: float | None = None
    ) -> Cancelled:
        """Cancel at most 100 runs, wherever they are. Sent twice, the second is told that they are cancelled.

        Raises Unavailable after `within_s`.
        """
        future = self._calls.run("cancel_runs", why, keep_failed, *runs)
        now_ms, replies, sweep = await (future if within_s is None else self._calls.link.within(within_s, future))
        return Cancelled(now_ms, [found(reply) for reply in replies], sweep == 1)

    async def sweep_ended(self, limit: int = 100, keep_failed: int = 10_000, page: int = 1000) -> bool:
        """Take away what hangs on final runs, and cancel what failed or cancelled ones awaited. Returns if there is more.

        At most `limit` things a call, and of a run with more than twice `page` memos so many of them.
        """
        _, more = await self._calls.run("sweep_ended", limit, page, keep_failed)
        return bool(more)


def found(reply: bytes) -> State | str | None:
    """What a script answers of a run: '' (done, or living), the letter of its final state, or ABSENT."""
    if reply == b"":
        return None
    return ABSENT if reply == b"ABSENT" else State(reply.decode())
