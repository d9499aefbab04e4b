"""The parent of a worker: no user code, so nothing that user code does can stop it.

It renews its children's leases, watches them, hands back at once what a dead one held, and replaces it. Signals are its
business alone: platforms signal every process of a group, so children ignore SIGTERM and SIGINT and are told by pipe.

Runs that saw two deaths of their worker are executed by one more child, which takes one at a time and leaves when there
are none: the others need not empty their hands for them.

SIGTERM (and the first SIGINT): stop claiming, finish what is in hand for up to `grace_s`, hand the rest back, exit 0 within
grace + 2 s. A second SIGTERM changes nothing. A second SIGINT kills the children and exits now.
One connection, for renewals and hand-backs; Redis away is waited for.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection, Coroutine, Sequence
from random import SystemRandom
from typing import Any, Final

from durableq.services.committer import Retention
from durableq.services.health import STALLED_S, Watched, stalled
from durableq.services.offspring import Offspring
from durableq.services.pipe import Message
from durableq.services.service import Loop
from durableq.services.settings import WorkerSettings
from durableq.store.leases import RENEW_EVERY_S, Leases
from durableq.words.errors import DurableqError, RedisUnavailable, StateLost
from durableq.words.telemetry import Log

EXIT_OK: Final = 0
EXIT_STATE_LOST: Final = 75
EXIT_CONFIG: Final = 78
EXIT_INTERRUPTED: Final = 130
AFTER_GRACE_S: Final = 1.25
"""Beyond the grace period: what a child takes to hand back and leave. It gives itself a second for the former."""
SETTLING_S: Final = 0.5
"""What the parent gives itself afterwards."""
YOUNG_S: Final = 5.0
RESTART_PAUSE_MAX_S: Final = 10.0


class Parent:
    """Runs children of a worker until it is told to stop. `command` starts one child, `on_message` hears what they say."""

    def __init__(
        self,
        settings: WorkerSettings,
        command: Sequence[str],
        leases: Leases,
        log: Log,
        on_message: Callable[[Message], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._command = command
        self._leases = leases
        self._log = log
        self._on_message = on_message
        self._children: dict[Offspring, asyncio.Task[None]] = {}
        self._spawned = 0
        self._young_deaths = 0
        self._stopping = asyncio.Event()
        self._quieted = asyncio.Event()
        self._exit_code = EXIT_OK
        self._interrupts = 0
        self._suspecting: asyncio.Task[None] | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._complete_at_s = asyncio.get_running_loop().time()
        self._fetching: list[Watched] = []

    async def run(self, *, signals: bool = True) -> int:
        """Start the children and stay until they have left. Returns the exit code.

        Without `signals` those are somebody else's, who calls `stop` and `kill`.
        """
        loop = asyncio.get_running_loop()
        if signals:
            loop.add_signal_handler(signal.SIGTERM, self._terminate)
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        renewer = Loop("renewer", _Renewer(self), self._log, self.state_lost)
        self._fetching.append(Watched(renewer, self._leases.link))
        watch = Loop("watch", _Watch(self, self._settings.stuck_after_s), self._log, self.state_lost)
        try:
            for _ in range(self._settings.processes):
                await self._spawn()
            renewer.start()
            watch.start()
            await self._stopping.wait()
            await self._drain()
        finally:
            await asyncio.gather(renewer.stop(), watch.stop())
            if signals:
                # Last, with nothing awaited behind it: a second SIGTERM must not meet a process without a handler.
                loop.remove_signal_handler(signal.SIGTERM)
                loop.remove_signal_handler(signal.SIGINT)
        return self._exit_code

    def stop(self, exit_code: int = EXIT_OK) -> None:
        """Begin to drain, once; the first exit code that is not 0 stands."""
        self._exit_code = self._exit_code or exit_code
        if not self._stopping.is_set():
            self._stopping.set()
            self._log.info(
                "worker.draining", grace_s=self._settings.grace_s, in_hand=sum(c.in_hand for c in self._children)
            )

    def unwell(self) -> str:
        """What of this worker does not move, itself and all its children; "" for nothing. Asked every second."""
        now_s = asyncio.get_running_loop().time()
        if self._stopping.is_set() or sum(not c.alone for c in self._children) >= self._settings.processes:
            self._complete_at_s = now_s
        if now_s - self._complete_at_s > STALLED_S:
            return f"a child has been missing for {now_s - self._complete_at_s:.0f} s"
        return stalled(self._fetching) or next((why for child in self._children if (why := child.unwell())), "")

    def leases_at_work(self) -> list[str] | None:
        """The lease of each child; None while one is missing or starting, or the runs of a dead one are handed back."""
        enough = sum(not child.alone for child in self._children) >= self._settings.processes
        if not enough or self._settling or not all(child.working and child.lease for child in self._children):
            return None
        return [child.lease for child in self._children]

    def _terminate(self) -> None:
        self.stop()

    def _interrupt(self) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            self.kill()
        self.stop()

    def kill(self) -> None:
        """Kill the children, and leave at once: whoever interrupts twice does not want to wait."""
        self._log.warning("worker.killed", why="interrupted twice")
        self._exit_code = EXIT_INTERRUPTED
        for child in self._children:
            child.draining = True
            child.kill("")
        self.stop()

    async def quiet(self) -> None:
        """After `stop`: wait until no child claims any more. What they have in hand goes on."""
        while any(child.lease and not child.quiet for child in self._children):
            self._quieted.clear()
            await self._quieted.wait()

    def state_lost(self, lost: StateLost) -> None:
        self._log.error("state.lost", error=str(lost))
        self.stop(EXIT_STATE_LOST)

    async def _drain(self) -> None:
        for child in self._children:
            child.drain()
        await self._within(self._settings.grace_s + AFTER_GRACE_S, self._children.values)
        for child in self._children:
            self._log.warning("child.killed", child=child.pid, why="still there after the grace period")
            child.kill("")
        await self._within(SETTLING_S, lambda: [*self._children.values(), *self._settling])

    async def _within(self, seconds: float, tasks: Callable[[], Collection[asyncio.Task[None]]]) -> None:
        """Wait until there are no such tasks, but no longer than this."""
        loop = asyncio.get_running_loop()
        over_s = loop.time() + seconds
        while (left := tasks()) and (left_s := over_s - loop.time()) > 0:
            await asyncio.wait(left, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)

    def _settle(self, what: Coroutine[Any, Any, None]) -> None:
        """Do this beside everything else; a drain waits for it, if not for long."""
        task = asyncio.get_running_loop().create_task(what)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _spawn(self, alone: bool = False) -> None:
        self._spawned += 1
        child = Offspring(self._spawned, self._log, self._heard, alone=alone)
        await child.spawn(self._command, {**self._settings.to_map(), "alone": alone})
        self._children[child] = asyncio.get_running_loop().create_task(self._outlive(child), name=f"child-{child.pid}")
        self._log.info("child.started", child=child.pid)
        if self._stopping.is_set():
            # The drain began meanwhile and has not told this one; it cannot have claimed anything yet.
            child.draining = True
            child.kill("")

    async def _outlive(self, child: Offspring) -> None:
        """Stay with a child to its end, then have what it held handed back, and have it replaced."""
        death = await child.ended()
        del self._children[child]
        self._quieted.set()
        crashed = bool(death) and not child.draining
        if crashed:
            self._log.error("child.died", child=child.pid, how=death, in_hand=child.in_hand)
        self._settle(self._replace(child, crashed))
        for lease in child.leases:
            self._settle(self._hand_back(lease, crashed, death))

    async def _replace(self, child: Offspring, crashed: bool) -> None:
        enough = sum(not c.draining and not c.alone for c in self._children) >= self._settings.processes
        if self._stopping.is_set() or child.alone or enough:
            return
        young = crashed and child.age_s() < YOUNG_S
        self._young_deaths = self._young_deaths + 1 if young else 0
        if self._young_deaths > 1:
            await self._pause(min(RESTART_PAUSE_MAX_S, 0.25 * 2**self._young_deaths))
        while not self._stopping.is_set():
            try:
                await self._spawn()
                return
            except OSError as error:  # no memory, no process numbers, no file descriptors: they come back
                self._log.error("child.not_started", error=str(error))
                await self._pause(RESTART_PAUSE_MAX_S)

    async def _pause(self, seconds: float) -> None:
        """Wait about so long, but not beyond the beginning of a drain."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds * SystemRandom().uniform(0.75, 1.25))
        except TimeoutError:
            pass

    async def _hand_back(self, lease: str, crashed: bool, reason: str) -> None:
        """At once where Redis is there; else as soon as it is back, unless this process is gone by then."""
        while True:
            try:
                freed = await self._leases.close_lease(
                    lease, crashed=crashed, reason=reason or "it left", keep_failed=Retention().failed
                )
            except RedisUnavailable:
                if self._stopping.is_set():
                    return
                await asyncio.sleep(0.5)
            except StateLost as lost:
                self.state_lost(lost)
                return
            except DurableqError as error:
                self._log.error("lease.not_closed", lease=lease, error=str(error))
                return
            else:
                if freed:
                    self._log.info("runs.handed_back", runs=freed, lease=lease)
                return

    def _heard(self, child: Offspring, message: Message) -> None:
        self._on_message(message)
        self._quieted.set()
        what = message.get("is")
        if what == "fatal":
            self._log.error("child.refused", child=child.pid, why=message["why"])
            child.draining = True
            self.stop(message["exit"])
        elif what == "recycle" and not child.draining:
            child.draining = True
            self._log.info("child.recycled", child=child.pid, why=message["why"])
            if child.alone:
                child.drain()  # while there are suspects, the others ask for the next one
            else:
                self._settle(self._succeed(child))
        elif what == "suspects" and not self._stopping.is_set() and not any(c.alone for c in self._children):
            if self._suspecting is None or self._suspecting.done():
                self._suspecting = asyncio.get_running_loop().create_task(self._spawn(alone=True))
        elif what == "working":
            self._log.info("child.working", child=child.pid)
            if child.age_s() > YOUNG_S:
                self._young_deaths = 0

    async def _succeed(self, old: Offspring) -> None:
        """Start a successor, and drain the old one; it has stopped claiming already."""
        if not self._stopping.is_set():
            try:
                await self._spawn()
            except OSError as error:  # then its end will have it replaced
                self._log.error("child.not_started", error=str(error))
        old.drain()

    async def renew(self) -> None:
        """Push out the living lease of each child."""
        holders = {child.lease: child for child in self._children if child.lease}
        if not holders:
            return
        expiries = await self._leases.renew_leases(list(holders))
        for (lease, child), expiry in zip(holders.items(), expiries, strict=True):
            if expiry is None:
                # Rescued while we were away. The child would learn it from its next call, but a long step makes none.
                self._log.warning("lease.lost", child=child.pid, lease=lease)
                child.lost_lease(lease)

    def kill_stuck(self, stuck_after_s: float) -> None:
        for child in self._children:
            if child.silent_s() > stuck_after_s:
                self._log.error("child.killed", child=child.pid, why=f"silent for {child.silent_s():.0f} s")
                child.kill(f"silent for {child.silent_s():.0f} s, killed")


class _Renewer:
    """Renews every 2 s: a lease of 10 s survives four lost renewals."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    async def run_once(self) -> float:
        await self._parent.renew()
        return RENEW_EVERY_S


class _Watch:
    """Looks for silent children."""

    def __init__(self, parent: Parent, stuck_after_s: float) -> None:
        self._parent = parent
        self._stuck_after_s = stuck_after_s

    async def run_once(self) -> float:
        self._parent.kill_stuck(self._stuck_after_s)
        return 1.0
