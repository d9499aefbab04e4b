"""Verbs of upkeep: retention, the memory gate."""

from __future__ import annotations

from typing import NamedTuple

from redis.exceptions import ResponseError

from durableq.store.calls import Calls
from durableq.store.failures import StoreError
from durableq.words.errors import RedisRefused


class Pruned(NamedTuple):
    """Runs deleted, bytes of history left, and whether there is more to delete."""

    deleted: int
    kept_bytes: int
    more: bool


class Memory(NamedTuple):
    """What Redis uses and may use, in bytes (0: no bound), and its policy when full."""

    used: int
    maximum: int
    policy: str

    @property
    def fraction(self) -> float:
        return self.used / self.maximum if self.maximum else 0.0


class Upkeep:
    """Keeps one shard within its bounds."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def prune_runs(
        self, *, completed_ms: int, failed_ms: int, bytes_max: int, events_ms: int, limit: int = 100
    ) -> Pruned:
        """Delete finished runs beyond their age or bytes, and events beyond theirs."""
        _, deleted, kept, more = await self._calls.run(
            "prune_runs", limit, completed_ms, failed_ms, bytes_max, events_ms
        )
        return Pruned(deleted, kept, more == 1)

    async def set_gate(self, used_fraction: float, prunable: bool) -> tuple[bool, bool]:
        """Say how full Redis is, and whether history could still be pruned. Returns (closed now, whether that changed)."""
        closed, changed = await self._calls.run("set_gate", int(used_fraction * 100), int(prunable))
        return closed == 1, changed == 1

    async def memory(self) -> Memory | None:
        """What INFO says of memory; None where the server does not tell."""
        info = await self._info("memory")
        if "used_memory" not in info:
            return None
        return Memory(int(info["used_memory"]), int(info.get("maxmemory", 0)), info.get("maxmemory_policy", ""))

    async def server(self) -> dict[str, str]:
        """What INFO says of the server; empty where it does not tell."""
        return await self._info("server")

    async def _info(self, section: str) -> dict[str, str]:
        try:
            raw = await self._calls.read("INFO", section)
        except (ResponseError, StoreError, RedisRefused):
            return {}  # cut by a managed service, or not permitted to us
        text = raw.decode() if isinstance(raw, bytes) else str(raw)
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
