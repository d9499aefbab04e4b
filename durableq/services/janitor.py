"""Keeps a namespace within its bounds: retention, void timers, retired functions, and the memory gate.

Memory. Above 60 % of maxmemory finished runs are pruned, oldest first, down to nothing if need be; above 80 % with nothing
left to prune, the gate closes and new events are refused (QueueFull) so that runs in flight can finish. It opens again
below 75 %. How often it looks depends on how near that is: every second above half, every 5 s below, every 30 s where
there is no maxmemory.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from durableq.store.cancels import Cancels
from durableq.store.registry import Registry
from durableq.store.upkeep import Memory, Upkeep
from durableq.store.waits import Waits
from durableq.words.telemetry import Log

DAY_MS: Final = 86_400_000
PRUNE_ABOVE: Final = 0.60
BYTES_WITHOUT_MAXMEMORY: Final = 256 * 1024 * 1024
ROUNDS_IN_A_ROW: Final = 20


class Ages(NamedTuple):
    """For how long what is kept, in ms."""

    completed_ms: int = DAY_MS
    failed_ms: int = 14 * DAY_MS
    events_ms: int = DAY_MS
    retire_after_ms: int = 600_000
    names_ms: int = 900_000
    """Event names that nothing waits for. More than a look-back, so that whoever waits again finds what it may see."""


class Janitor:
    """A service over prune_runs, sweep_ended, retire_functions, retire_names and set_gate."""

    def __init__(
        self, upkeep: Upkeep, cancels: Cancels, waits: Waits, registry: Registry, log: Log, ages: Ages, keep_failed: int
    ) -> None:
        self._upkeep = upkeep
        self._cancels = cancels
        self._waits = waits
        self._keep_failed = keep_failed
        self._registry = registry
        self._log = log
        self._ages = ages
        self._trimmed = 0
        """Up to which of the heard names buffers are trimmed in this turn."""

    async def run_once(self) -> float:
        memory = await self._upkeep.memory()
        more_to_prune = await self._prune(memory)
        await self._gate(memory, more_to_prune)
        swept_all = not await self._cancels.sweep_ended(keep_failed=self._keep_failed)
        names = await self._waits.retire_names(self._ages.names_ms, self._trimmed)
        self._trimmed = names.above
        for function in await self._registry.retire_functions(self._ages.retire_after_ms):
            self._log.info("function.retired", function=function)
        if more_to_prune or not swept_all or names.more:
            return 0.05
        if memory is None or memory.maximum == 0:
            return 30.0
        return 1.0 if memory.fraction > 0.5 else 5.0

    async def _prune(self, memory: Memory | None) -> bool:
        """Whether history is left that ought to go."""
        bounded = memory is not None and memory.maximum > 0
        bytes_max = memory.maximum // 4 if memory and bounded else BYTES_WITHOUT_MAXMEMORY
        excess = memory.used - int(memory.maximum * PRUNE_ABOVE) if memory and bounded else 0
        for _ in range(ROUNDS_IN_A_ROW):
            pruned = await self._upkeep.prune_runs(
                completed_ms=self._ages.completed_ms,
                failed_ms=self._ages.failed_ms,
                bytes_max=bytes_max,
                events_ms=self._ages.events_ms,
            )
            if excess > 0 and pruned.kept_bytes > 0:
                bytes_max, excess = max(0, pruned.kept_bytes - excess), 0
            elif not pruned.more:
                return False
            await asyncio.sleep(0)
        return True

    async def _gate(self, memory: Memory | None, more_to_prune: bool) -> None:
        fraction = memory.fraction if memory is not None else 0.0
        closed, changed = await self._upkeep.set_gate(fraction, more_to_prune)
        if changed and closed:
            self._log.error("gate.closed", used=memory and memory.used, maximum=memory and memory.maximum)
        elif changed:
            self._log.info("gate.opened")
