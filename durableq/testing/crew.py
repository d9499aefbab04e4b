"""The workers of an environment: one that does everything, and after two deaths with a run in hand one for such runs alone.

They are the workers of production without their loops: the environment turns them by hand. One that has died is replaced at
once, and its runs are handed back, as a worker's parent does for a child; unless its whole machine died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from durableq.app import App
from durableq.services.committer import Retention
from durableq.services.duties import Duties, Tellings
from durableq.services.executor import RunInHand
from durableq.services.worker import Worker
from durableq.store.leases import Leases
from durableq.testing.crashes import Crash, Crashes, MortalRuns, Watch
from durableq.testing.server import MemoryLink, MemoryServer
from durableq.testing.stubbed import stubbed
from durableq.testing.stubs import Stubs
from durableq.words.errors import StateLost
from durableq.words.telemetry import get_log

LOOK_EVERY_S: Final = 0.2
"""While code executes: how often to look whether it has given others something to do. A turn that takes longer than this has
others beside it, or two runs of which one waits for the other would never end."""
BODIES_AT_ONCE: Final = 100
"""Of one run, as a worker has it by default."""
LEAVING_S: Final = 6.0
"""How long user code of a dead worker has for its `finally` blocks; the engine gives it 5."""


class Crew:
    """Turned by `round`, which takes up to `at_once` runs in hand: with one the order is the same each time.

    Jitter is always none, so that the delays of retries are what they say.
    """

    def __init__(self, server: MemoryServer, apps: Sequence[App], stubs: Stubs, crashes: Crashes, at_once: int) -> None:
        self._server = server
        self._apps = apps
        self._stubs = stubs
        self._crashes = crashes
        self._at_once = at_once
        self.turns = 0
        """How many turns of runs have begun."""
        self.did = False
        """Whether the last round routed, delivered or claimed anything."""
        self._worker: _Member | None = None
        self._alone: _Member | None = None
        self._suspects = False
        self._lost: list[str] = []

    async def begin(self) -> None:
        """Hire the worker."""
        self._worker = await self._hire(alone=False)

    def hint(self) -> None:
        """Events may have come: the next round begins with routing, which saves it a claim that finds nothing."""
        if self._worker is not None:
            self._worker.worker.hint()

    async def round(self) -> bool:
        """Claim, route, execute for a moment, replace who has died. Returns whether there was anything to do."""
        before = self._executing()
        self.did = await self._turn()
        executing = self._executing()
        if executing:
            fresh = executing - before
            self.turns += len(fresh)
            how = asyncio.ALL_COMPLETED if fresh else asyncio.FIRST_COMPLETED
            await asyncio.wait(fresh or executing, timeout=LOOK_EVERY_S, return_when=how)
        for member in self._members:
            if member.death is not None:
                await self._bury(member)
        return self.did or bool(executing)

    async def _turn(self) -> bool:
        assert self._worker is not None
        worker = self._worker.worker
        worker.hand.places = worker.hand.places - worker.hand.room + self._at_once
        did = await worker.round()
        if self._suspects and self._alone is None:
            self._alone = await self._hire(alone=True)
        self._suspects = False
        alone = self._alone
        if alone is not None and alone.worker.hand.empty:
            did = await alone.worker.round() or did
            if alone.done and not alone.worker.executions:
                await alone.worker.drain(0)
                self._alone = None
        return did

    @property
    def progress(self) -> tuple[int, ...]:
        """Changes whenever a body begins or a turn ends."""
        return self._stubs.bodies, *(member.worker.hand.executed for member in self._members)

    def in_hand(self) -> list[str]:
        """The runs that are executing."""
        return [run_id for member in self._members for run_id in member.worker.hand.known()]

    def leases(self) -> tuple[list[str], list[str]]:
        """Those that died with their machine, and those of who lives."""
        return self._lost, [lease for member in self._members for lease in member.leases]

    def let_go(self, reason: str) -> None:
        """Drop what is in hand, without waiting for user code to be left."""
        for member in self._members:
            member.worker.hand.drop_all(reason)
            member.worker.environment.close()

    async def leave(self) -> None:
        """See user code left, once it was let go."""
        for member in self._members:
            await member.leave()

    def _executing(self) -> set[asyncio.Task[None]]:
        return {task for member in self._members for task in member.worker.executions}

    @property
    def _members(self) -> list[_Member]:
        return [member for member in (self._worker, self._alone) if member is not None]

    async def _hire(self, *, alone: bool) -> _Member:
        member = _Member(
            self._server, self._apps, self._crashes, self._suspected, alone=alone, in_hand=stubbed(self._stubs)
        )
        member.worker.environment.stand_in = self._stubs.stand_in
        member.worker.environment.chance = _none
        await member.worker.begin()
        return member

    def _suspected(self) -> None:
        self._suspects = True

    async def _bury(self, member: _Member) -> None:
        await member.leave()
        assert member.death is not None
        if member.death.machine:
            self._lost += member.leases
        else:
            leases = Leases(self._server.calls())
            for lease in member.leases:
                await leases.close_lease(lease, crashed=True, reason=str(member.death), keep_failed=Retention().failed)
        if member is self._worker:
            self._worker = await self._hire(alone=False)
        else:
            self._alone = None


class _Member:
    """A worker and its link, which is cut when it dies."""

    def __init__(
        self,
        server: MemoryServer,
        apps: Sequence[App],
        crashes: Crashes,
        suspects: Callable[[], None],
        *,
        alone: bool,
        in_hand: type[RunInHand],
    ) -> None:
        calls = server.calls()
        assert isinstance(calls.link, MemoryLink)
        self._link = calls.link
        self.leases: list[str] = []
        self.death: Crash | None = None
        self.done = False
        duties = Duties(
            functions={function.full_id: function for app in apps for function in app.functions.values()},
            app_ids=[app.id for app in apps],
            worker="test",
            release="test",
            concurrency=BODIES_AT_ONCE,
            alone=alone,
        )
        tell = Tellings(leased=self.leases.append, suspects=suspects, lost=_lost, done=self._has_done)
        runs = MortalRuns(calls, crashes, self._die)
        self.worker = Worker(calls, calls, duties, tell, get_log(), clock=server.clock, runs=runs, in_hand=in_hand)
        self._link.watch = Watch(crashes, self._die)

    async def leave(self) -> None:
        """See user code left, and let go of the threads."""
        executions = self.worker.executions
        if executions:
            await asyncio.wait(executions, timeout=LEAVING_S)
        self.worker.environment.close()

    def _die(self, crash: Crash) -> None:
        self.death = crash
        self._link.cut(str(crash))
        self.worker.hand.drop_all(str(crash))

    def _has_done(self) -> None:
        self.done = True


def _none() -> float:
    return 0.0


def _lost(lost: StateLost) -> Any:
    raise lost
