"""The hand of a child: the runs it has claimed, how much room is left, and what must still be confirmed.

A run leaves its place as soon as its code has ended, so that the next claim can travel right behind the commit; it stays
known until Redis has confirmed that commit, so that nobody mistakes it for a stranger.

Code that was given up on lingers: a thread that nothing can stop, a task that swallows its cancellation. It is known by the
names of the slots that it keeps (decision 013) until it has ended, and whoever is asked for these says so then. Where its run
was dropped, cancelled as a rule, it keeps the run's place as well; where the turn ended in order, only what it is named by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class Held(Protocol):
    """What a hand needs of an execution."""

    run_id: str

    @property
    def ours(self) -> bool: ...

    def drop(self, reason: str) -> None: ...

    def cancelled(self, why: str) -> None: ...


class _Lingering(NamedTuple):
    """Code of one turn that was given up on."""

    names: Sequence[str]
    takes_place: bool
    since_s: float
    ended: Callable[[], None]


class Hand:
    """Runs of one child under one lease."""

    def __init__(
        self,
        places: int,
        *,
        returned: Callable[[Sequence[str]], None] = lambda _names: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`returned` is told what has ended that may still have slots in Redis, by what they are named."""
        self.places = places
        self.returned = returned
        self._clock = clock
        self._executing: dict[str, Held] = {}
        self._confirming: dict[str, Held] = {}
        self._lingering: dict[str, list[_Lingering]] = {}
        """By run, which may linger by more than one turn."""
        self._staying: dict[Held, str] = {}
        """Runs that are suspended, and whose code is being left: what the slots are named that it keeps meanwhile."""
        self._changed = asyncio.Event()
        self.executed = 0

    @property
    def room(self) -> int:
        """Free places."""
        free = self.places - len(self._executing)
        return free - len(self.lingering) if self._lingering else free

    @property
    def executing(self) -> int:
        return len(self._executing)

    @property
    def lingering(self) -> frozenset[str]:
        """Runs that were dropped, and whose code still executes here: each takes a place."""
        return frozenset(run for run, each in self._lingering.items() if any(one.takes_place for one in each))

    def overdue(self, after_s: float) -> list[str]:
        """The names of what has lingered for longer than this."""
        before_s = self._clock() - after_s
        return [
            name for each in self._lingering.values() for one in each if one.since_s < before_s for name in one.names
        ]

    @property
    def empty(self) -> bool:
        return not self._executing and not self._confirming

    @property
    def runs(self) -> frozenset[str]:
        """The runs whose code executes."""
        return frozenset(self._executing)

    def known(self) -> list[str]:
        """Every run whose last commit Redis has not confirmed, and what lingers, by what its slots are named."""
        known = [*self._executing, *self._confirming, *self._staying.values()]
        for each in self._lingering.values():
            for one in each:
                known += one.names
        return known

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
        if self._staying:
            self._staying.pop(held, None)
        self._changed.set()

    def stays(self, held: Held, name: str) -> None:
        """It is about to be suspended, and its code left behind that: until it is gone, it keeps slots of this name."""
        self._staying[held] = name

    def linger(
        self, run_id: str, names: Sequence[str], ended: Callable[[], None] = lambda: None, *, takes_place: bool = True
    ) -> None:
        """Code of it was given up on and executes: it is known by these names until `left`, and `ended` is called then."""
        self._lingering.setdefault(run_id, []).append(_Lingering(names, takes_place, self._clock(), ended))

    def left(self, run_id: str) -> None:
        """The last code of a run that was given up on has ended."""
        for one in self._lingering.pop(run_id, ()):
            one.ended()
        self._changed.set()

    def drop_all(self, reason: str) -> None:
        """The lease is lost: let go of everything at once."""
        for held in (*self._executing.values(), *self._confirming.values()):
            held.drop(reason)

    async def changed(self) -> None:
        """Wait until a run has left its place or is confirmed."""
        self._changed.clear()
        await self._changed.wait()
