"""Invoking: a run in hand creates a child and begins to wait for it, in one act, for as long as Redis has no room if need be.

Authority: invoke_runs, which looks itself whether the function is registered, and whether the child is there. What the child
is created with comes from its declaration as this process knows it.

Failures. QUEUE_FULL refuses the call and all invokes in it: nothing was done, each run waits on its own and asks again.
That is no attempt of the step, and nothing else of the run waits for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from durableq.engine.environment import Warned
from durableq.engine.port import Invocation
from durableq.model.event import read_head
from durableq.services.committer import Committer
from durableq.services.declared import Declared
from durableq.services.notes import note_of_wait
from durableq.store.failures import QUEUE_FULL_RETRY_AFTER_S
from durableq.store.invokes import InvokeWrite
from durableq.words.errors import QueueFull
from durableq.words.telemetry import Log

if TYPE_CHECKING:
    from durableq.services.executor import RunInHand


class Invoking:
    """Creates children of the runs in hand of one child process."""

    def __init__(
        self, committer: Committer, declared: Declared, log: Log, *, pause_s: float = QUEUE_FULL_RETRY_AFTER_S
    ) -> None:
        self._committer = committer
        self._declared = declared
        self._log = log
        self._pause_s = pause_s
        self._warned = Warned()

    async def begin(self, run: RunInHand, invocation: Invocation) -> int:
        """Create the child and begin to wait for it. Returns the run's last number.

        What is newer than the run has seen, a refusal among it, is delivered first. Raises Stale.
        """
        given, note = invocation.given, note_of_wait(invocation)
        event = read_head(given).scope(f"{run.now_ms()}-0")
        while True:
            extras = await self._declared.extras(invocation.function, event)
            write = InvokeWrite(
                run.run_id,
                run.claimed.epoch,
                run.seen,
                invocation.key,
                invocation.blob,
                invocation.due_at_ms,
                note,
                invocation.child,
                invocation.function,
                given,
                extras or b"",
            )
            try:
                return run.began(await self._committer.add(write))
            except QueueFull as full:
                if self._warned.first(run.run_id, "invoke.refused"):
                    self._log.warning(
                        "invoke.refused", run_id=run.run_id, function=invocation.function, reason=str(full)
                    )
            await asyncio.sleep(self._pause_s)
