"""Doubt: after a standstill no body begins before Redis has said that the lease lives on.

A process that was stopped, or whose loop was blocked, for longer than its lease may find replies from before in its socket
and delays that are over. Going on with them it would begin a step that the worker which rescued the run has recorded
already. Nothing wrong could be written, since every script refuses a stale holder; this keeps the body from executing.

In between it costs nothing: the environment's hook is set while there is doubt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from durableq.engine.environment import Environment
from durableq.store.leases import Leases
from durableq.words.errors import DurableqError
from durableq.words.telemetry import Log


class Doubt:
    """Holds up the bodies of one child. `lost` is told the lease that is gone: it drops the runs in hand."""

    def __init__(self, environment: Environment, leases: Leases, lost: Callable[[str], None], log: Log) -> None:
        self._environment = environment
        self._on_body: Callable[[str, str], Awaitable[None]] | None = environment.on_body
        self._leases = leases
        self._lost = lost
        self._log = log
        self._asking: asyncio.Task[bool] | None = None

    def begin(self, lease: str) -> None:
        """Something says that this lease may be gone: ask whether it lives on."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask(lease), name="durableq-doubt")
            self._environment.on_body = self._hold

    async def _ask(self, lease: str) -> bool:
        try:
            living = (await self._leases.renew_leases([lease]))[0] is not None
        except DurableqError as error:
            self._log.warning("lease.not_confirmed", error=str(error))
            living = False
        self._environment.on_body = self._on_body
        if not living:
            self._lost(lease)
        return living

    async def _hold(self, run_id: str, step_id: str) -> None:
        if self._asking is not None and not await asyncio.shield(self._asking):
            # The run has been dropped, and the task that asks is about to be cancelled.
            await asyncio.get_running_loop().create_future()
        if self._on_body is not None:
            await self._on_body(run_id, step_id)
