"""The hand of a child: the runs it has claimed, how much room is left, and what must still be confirmed.

A run leaves its place as soon as its code has ended, so that the next claim can travel right behind the commit; it stays
known until Redis has confirmed that commit, so that nobody mistakes it for a stranger.

A run that is not ours any more, cancelled as a rule, may have a thread of user code that nothing can stop: it lingers. Its
place is free when that code has ended; Redis knows nothing of it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Held(Protocol):
    """What a hand needs of an execution."""

    run_id: str

    @property
    def ours(self) -> bool: ...

    def drop(self, reason: str) -> None: ...

    def cancelled(self, why: str) -> None: ...


class Hand:
    """Runs of one child under one lease."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._executing: dict[str, Held] = {}
        self._confirming: dict[str, Held] = {}
        self._lingering: set[str] = set()
        self._changed = asyncio.Event()
        self.executed = 0

    @property
    def room(self) -> int:
        """Free places."""
        return self.places - len(self._executing) - len(self._lingering)

    @property
    def executing(self) -> int:
        return len(self._executing)

    @property
    def lingering(self) -> frozenset[str]:
        """Runs that were dropped, and whose code still executes in a thread here."""
        return frozenset(self._lingering)

    @property
    def empty(self) -> bool:
        return not self._executing and not self._confirming

    @property
    def runs(self) -> frozenset[str]:
        """The runs whose code executes."""
        return frozenset(self._executing)

    def known(self) -> list[str]:
        """Every run whose last commit Redis has not confirmed."""
        return [*self._executing, *self._confirming]

    def get(self, run_id: str) -> Held | None:
        return self._executing.get(run_id)

    def add(self, held: Held) -> None:
        before = self._executing.get(held.run_id)
        if before is not None:
            # Redis came back older than it was and gave us again what we had: the newer claim is the valid one.
            before.drop("claimed again")
        self._executing[held.run_id] = held

    def ended(self, held: Held) -> None:
        """Its code has ended; its last commit is on its way."""
        if self._executing.get(held.run_id) is held:
            del self._executing[held.run_id]
            self._confirming[held.run_id] = held
            self.executed += 1
        self._changed.set()

    def gone(self, held: Held) -> None:
        """It is confirmed, or not ours any more."""
        for place in (self._executing, self._confirming):
            if place.get(held.run_id) is held:
                del place[held.run_id]
        self._changed.set()

    def linger(self, run_id: str) -> None:
        """It was dropped, and its code still executes: its place stays taken until `left`."""
        self._lingering.add(run_id)

    def left(self, run_id: str) -> None:
        """The last thread of a run that was given up on has ended."""
        self._lingering.discard(run_id)
        self._changed.set()

    def drop_all(self, reason: str) -> None:
        """The lease is lost: let go of everything at once."""
        for held in (*self._executing.values(), *self._confirming.values()):
            held.drop(reason)

    async def changed(self) -> None:
        """Wait until a run has left its place or is confirmed."""
        self._changed.clear()
        await self._changed.wait()
