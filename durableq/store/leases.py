"""Verbs of leases: begin, renew, close, rescue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple

from durableq.store.calls import Calls
from durableq.store.link import Link

LEASE_MS: Final = 10_000
RENEW_EVERY_S: Final = 2.0


class Rescue(NamedTuple):
    """What a round of rescue did, how long until the next round, and whether void timers are to be swept."""

    now_ms: int
    leases: int
    runs: int
    next_round_ms: int
    sweep: bool


class Leases:
    """The leases of children, in one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def link(self) -> Link:
        """The connection that these verbs wait for."""
        return self._calls.link

    async def register_lease(
        self,
        lease: str,
        worker: str,
        apps: Sequence[str],
        release: str,
        functions: Sequence[str],
        lease_ms: int = LEASE_MS,
        finish_ms: Mapping[str, int] = MappingProxyType({}),
    ) -> tuple[int, int]:
        """Begin a lease for a child that can execute these full function ids. Returns (server time, expiry) in ms.

        `finish_ms` has those whose runs must end within a time of their first claim.
        """
        items = chain.from_iterable((function, finish_ms.get(function, 1)) for function in functions)
        now_ms, expiry = await self._calls.run(
            "register_lease", lease, lease_ms, worker, " ".join(apps), release, *items
        )
        return now_ms, expiry

    async def renew_leases(self, leases: Sequence[str], lease_ms: int = LEASE_MS) -> list[int | None]:
        """Push leases out. Per lease its expiry in ms, or None when it is gone."""
        _, replies = await self._calls.run("renew_leases", lease_ms, *leases)
        return [reply if isinstance(reply, int) else None for reply in replies]

    async def close_lease(self, lease: str, *, crashed: bool, reason: str, keep_failed: int) -> int:
        """End a lease and hand back everything it holds. Returns the runs freed."""
        freed = 0
        while True:
            _, count, more = await self._calls.run("close_lease", lease, int(crashed), reason, 100, keep_failed)
            freed += count
            if not more:
                return int(freed)

    async def rescue_leases(self, *, keep_failed: int, lease_ms: int = LEASE_MS, limit: int = 100) -> Rescue:
        """Free runs of leases that ran out, at most `limit`."""
        now_ms, leases, runs, next_round_ms, sweep = await self._calls.run(
            "rescue_leases", lease_ms, limit, keep_failed
        )
        return Rescue(now_ms, leases, runs, next_round_ms, bool(sweep))
