"""A child of a worker: routes events, claims runs, executes them, writes what they decide.

Three connections at most: one pipelined for scripts, one for blocking reads, and whatever user code opens through its app.
What happens at the edges:

 - The lease is lost (LEASE_LOST, a stop longer than the lease): everything in hand is dropped at once; a new lease begins
   when all their code has ended, since others execute these runs by now. Where it does not end, the child is replaced.
 - Told to drain, or the parent is gone: nothing new is claimed, what is in hand goes on for up to the grace period, the
   rest is handed back with the lease, exit. While code executes that is left to the parent, when this process is gone.
 - StateLost: nothing is written any more; the process leaves with exit code 75.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from durableq.engine.environment import Environment
from durableq.model.event import Event
from durableq.model.limits import Limits
from durableq.model.memo import Memo
from durableq.services.claimer import Claimer
from durableq.services.committer import Committer, Retention
from durableq.services.declared import Declared
from durableq.services.deliverer import Deliverer
from durableq.services.doubt import Doubt
from durableq.services.duties import ENDING_S, LEAVING_PATIENCE_S, LOST_S, Duties, Tellings
from durableq.services.executor import Beginnings, RunInHand
from durableq.services.hand import Hand
from durableq.services.health import Watched, stalled
from durableq.services.invoking import Invoking
from durableq.services.listener import QUIET_MS, Listener
from durableq.services.looking_back import LookingBack
from durableq.services.reconciler import Reconciler
from durableq.services.returning import Returning
from durableq.services.router import Router
from durableq.services.sender import Prepared, send
from durableq.services.service import Loop
from durableq.services.under_lease import UnderLease
from durableq.store.bells import Bells
from durableq.store.calls import Calls
from durableq.store.events import Backlog, Events
from durableq.store.flow import Flow
from durableq.store.leases import Leases
from durableq.store.records import Claimed
from durableq.store.registry import Registry
from durableq.store.runs import Runs
from durableq.store.signals import NewSignal, Signals
from durableq.store.waits import Waits
from durableq.words.clock import Clock, ServerClock, SystemClock
from durableq.words.errors import DurableqError, StateLost
from durableq.words.ids import new_token
from durableq.words.telemetry import Log

SIGNAL_REMEMBERED_MS: Final = 86_400_000
"""For how long a step that sends a signal may be executed again, and finds that it has reached a run already."""


class Worker:
    """One child. `start`, then `drain` once; `in_hand` and `executed` for those who watch."""

    def __init__(
        self,
        calls: Calls,
        bell_calls: Calls,
        duties: Duties,
        tell: Tellings,
        log: Log,
        *,
        clock: Clock | None = None,
        runs: Runs | None = None,
        in_hand: type[RunInHand] = RunInHand,
    ) -> None:
        """`clock` and `runs` are this host's, and the verbs over `calls`, unless tests bring others."""
        self._duties = duties
        self._tell = tell
        self._log = log
        self._calls = calls
        self._bell_calls = bell_calls
        self._leases = Leases(calls)
        self._runs = runs or Runs(calls)
        self._in_hand = in_hand
        self._events = Events(calls)
        self._signals = Signals(calls)
        self._host_clock = clock or SystemClock()
        self._clock = ServerClock(self._host_clock)
        self._lease = ""
        self._leasing: asyncio.Task[None] | None = None
        self._executions: set[asyncio.Task[None]] = set()
        self._started = 0
        self._lost = False
        self._leaving = False
        self.overstayed = False
        """Whether code of runs that were lost does not end, so that no other lease can begin: this process has to go."""
        self.hand = Hand(1 if duties.alone else duties.concurrency, returned=self._returned)
        self._returning = Returning(Flow(calls), log, amiss=self._compare)
        self.environment = Environment(
            bodies_max=duties.concurrency,
            send=self._send,
            send_signal=self._send_signal,
            logger=log,
            on_body=self._note_doing if duties.alone else None,
        )
        self.environment.abandoned.on_left = self.hand.left
        self._doubt = Doubt(self.environment, self._leases, self.lease_lost, log)
        self._committer = Committer(
            self._runs,
            self._clock,
            log,
            retention=Retention(),
            on_lease_lost=self.lease_lost,
            on_state_lost=self._state_lost,
            calls=calls,
        )
        self._beginnings = Beginnings(
            LookingBack(self._committer, self._runs, log),
            Invoking(self._committer, Declared(Registry(calls)), log),
        )
        self._router = Router(
            self._events, Waits(calls), Registry(calls), log, on_runs=self._ready, on_posts=self._posted
        )
        self._claimer = Claimer(
            self._runs,
            self.hand,
            self._clock,
            duties.app_ids,
            start=self._start,
            events_wait=lambda: self._routing.hint(),
            posts_wait=self._posted,
            suspects_wait=tell.suspects,
            nothing_left=tell.done,
            alone=duties.alone,
            poll_s=QUIET_MS / 1000,
        )
        self._listener = Listener(
            Bells(bell_calls),
            self._claimer,
            duties.app_ids,
            alone=duties.alone,
            ready=self._ready,
            events_wait=self._event_came,
            posts_wait=self._posted,
            deliver=self._deliver,
            cancelled=self._cancelled,
            inbox_gone=self.doubt_lease,
        )
        self._claims = UnderLease(self._claimer, self.lease_lost)
        self._claiming = Loop("claimer", self._claims, log, self._state_lost)
        self._routing = Loop("router", self._router, log, self._state_lost)
        self._deliverer = Deliverer(Waits(calls), self._runs, log, Retention().failed, self._delivered)
        self._delivering = Loop("deliverer", self._deliverer, log, self._state_lost)
        self._listening = Loop("listener", self._listener, log, self._state_lost)
        self._reconciler = Reconciler(self._runs, self._claimer, self.hand, log)
        self._reconciling = Loop("reconciler", UnderLease(self._reconciler, self.lease_lost), log, self._state_lost)
        # Not the router: a round of its lasts as long as there is a backlog, and any other worker routes as well.
        self._fetching = (
            Watched(self._claiming, calls.link, at_rest=lambda: self.hand.room <= 0),
            Watched(self._listening, bell_calls.link),
        )

    async def begin(self) -> None:
        """Begin the lease, without the loops of `start`: for who turns this worker by hand. Raises what registering raises."""
        await self._begin_lease()

    async def round(self) -> bool:
        """By hand, what the loops do when hinted: listen, route, claim, reconcile. Returns whether there is more to do."""
        started, routed = self._started, 0
        if self._executions:
            await self._listener.look()
        if self._routing.take_hint():
            routed = await self._router.route()
        if self._delivering.take_hint():
            routed += await self._deliverer.deliver()
        if self.hand.room > 0:
            await self._claims.run_once()
        if self._reconciling.take_hint():
            await self._reconciler.compare()
        return routed > 0 or self._started > started or self._routing.hinted

    def hint(self) -> None:
        """Events may wait: the next `round` routes and delivers."""
        self._events_wait()

    @property
    def executions(self) -> frozenset[asyncio.Task[None]]:
        """A task for each run in hand, from its claim to the confirmation of its last write."""
        return frozenset(self._executions)

    async def start(self) -> None:
        """Begin the lease, then the loops. Raises what registering raises."""
        await self._begin_lease()
        loops = [self._claiming, self._listening, self._reconciling]
        if not self._duties.alone:
            loops += [self._routing, self._delivering]
        for loop in loops:
            loop.start()

    def stalled(self) -> str:
        """What of its fetching does not move; "" for nothing, and once it is leaving."""
        return "" if self._leaving else stalled(self._fetching)

    def reconnected(self) -> None:
        """The connection is back: look for strangers, and for what was missed."""
        self._compare()
        self._claiming.hint()
        self._events_wait()

    async def renew(self) -> None:
        """Push out the lease: only for a child whose parent is gone."""
        lease = self._lease
        if (await self._leases.renew_leases([lease]))[0] is None:
            self.lease_lost(lease)

    async def keeps_others_out(self, after_s: float) -> list[str]:
        """What was given up on longer ago than this, still executes, and keeps slots for which others may wait."""
        return await self._returning.kept_by(self._lease, self.hand.overdue(after_s))

    def doubt_lease(self) -> None:
        """The lease may be gone: this process was stopped or blocked for long, or its inbox is not there."""
        self._doubt.begin(self._lease)

    async def stop_claiming(self) -> None:
        """From here on nothing new comes in hand, and a lease that is lost is not followed by another."""
        self._leaving = True
        # Routing and delivering go on until nothing is heard any more: a ring that a read under way brings wakes nobody else.
        self._listener.leave()
        await self._claiming.stop()
        if self._lost:
            return
        # A claim may have been under way: what it was given is a stranger here, and others should have it now.
        try:
            async with asyncio.timeout(LEAVING_PATIENCE_S):
                await self._reconciler.compare()
        except StateLost as lost:
            self._state_lost(lost)
        except (TimeoutError, DurableqError) as error:
            self._log.warning("runs.not_compared", error=str(error) or "Redis did not answer in time")

    async def drain(self, grace_s: float, *, heir: bool = False) -> bool:
        """Stop claiming, let what is in hand go on for up to `grace_s`, hand the rest back with the lease.

        `heir`: somebody closes the lease when this process is gone, so it is not done here while code still executes: its
        run, and its slots, would be another's. Returns whether all code has ended.
        """
        await self.stop_claiming()
        self._tell.quiet()
        if self._executions:
            await asyncio.wait(self._executions, timeout=grace_s)
        self.hand.drop_all("this worker is leaving")
        # What is left to deliver, others take up: closing the lease rings for it.
        loops = (self._listening, self._routing, self._delivering, self._reconciling)
        await asyncio.gather(*(loop.stop() for loop in loops))
        if self._leasing is not None:
            self._leasing.cancel()
        ended = await self._code_ends(ENDING_S)
        if not ended:
            self._log.warning("code.goes_on", runs=self._stubborn(), then="leaving without it")
        if not self._lost and (ended or not heir):
            try:
                async with asyncio.timeout(LEAVING_PATIENCE_S):
                    await self._hang_up()
                    await self._leases.close_lease(
                        self._lease, crashed=False, reason="it left", keep_failed=Retention().failed
                    )
            except (TimeoutError, DurableqError) as error:
                self._log.warning("lease.not_closed", error=str(error) or "Redis did not answer in time")
        self.environment.close()
        return ended

    async def _code_ends(self, within_s: float) -> bool:
        """Wait until no code of any run executes here. Whether it came to that."""
        try:
            async with asyncio.timeout(within_s):
                while self.hand.executing or self.environment.abandoned:
                    await self.hand.changed()
        except TimeoutError:
            return False
        return True

    def _stubborn(self) -> list[str]:
        """Some of the runs whose code does not end."""
        return sorted({*self.hand.runs, *self.environment.abandoned.runs})[:10]

    async def _hang_up(self) -> None:
        """Break off the read of bells that is under way: it would swallow the ring with which the lease is closed."""
        if self._bell_calls is not self._calls:
            await self._bell_calls.link.close()
            await self._calls.read("TIME")  # answered, it has seen that connection end

    async def _begin_lease(self) -> None:
        lease = new_token()
        duties = self._duties
        finish_ms = {full_id: ms for full_id, function in duties.functions.items() if (ms := function.finish_ms)}
        now_ms, _ = await self._leases.register_lease(
            lease, duties.worker, duties.app_ids, duties.release, sorted(duties.functions), finish_ms=finish_ms
        )
        self._clock.saw(now_ms)
        self._lease = lease
        self._committer.lease = lease
        self._claimer.renew(lease)
        self._tell.leased(lease)

    # --- what the loops are told

    def _start(self, claimed: Claimed, _alone: bool) -> None:
        held = self._in_hand(
            claimed, self._committer, self._clock, self.hand, self._log, self._compare, self._beginnings
        )
        self.hand.add(held)
        function = self._duties.functions.get(claimed.function)
        executing = asyncio.get_running_loop().create_task(held.execute(function, self._runs, self.environment))
        self._executions.add(executing)
        self._started += 1
        executing.add_done_callback(self._executions.discard)

    def _returned(self, names: Sequence[str]) -> None:
        self._returning.ended(self._lease, names)

    def _deliver(self, run_id: str, key: str, memo: Memo) -> None:
        held = self.hand.get(run_id)
        if isinstance(held, RunInHand):
            held.deliver([(key, memo)])

    def _cancelled(self, run_id: str, why: str) -> None:
        held = self.hand.get(run_id)
        if held is not None:
            held.cancelled(why)

    def _compare(self) -> None:
        self._reconciler.ask()
        self._reconciling.hint()

    def _ready(self) -> None:
        self._claiming.hint()

    def _events_wait(self) -> None:
        self._routing.hint()
        self._delivering.hint()

    def _delivered(self) -> None:
        if self._router.paused:
            self._routing.hint()

    def _posted(self) -> None:
        self._delivering.hint()

    def _event_came(self, backlog: Backlog | None) -> None:
        self._router.offer(backlog)
        self._routing.hint()

    async def _send(self, events: Sequence[Event[Any]], limits: Limits) -> list[str]:
        return await send(self._events, Prepared(events, limits, self._host_clock), patience_s=None)

    async def _send_signal(self, signal: str, token: str, blob: bytes) -> str:
        (run_id,) = await self._signals.send_signals([NewSignal(signal, token, SIGNAL_REMEMBERED_MS, blob)])
        return run_id

    async def _note_doing(self, _run_id: str, step_id: str) -> None:
        """Name the step in Redis before it begins: it may take this process with it at once."""
        try:
            await self._runs.note_doing(self._lease, step_id)
        except DurableqError as error:
            self._log.warning("step.not_noted", step=step_id, error=str(error))

    # --- what goes wrong

    def lease_lost(self, lease: str) -> None:
        """This lease has been rescued or closed: drop what is in hand, and begin another."""
        if lease != self._lease or (self._leasing is not None and not self._leasing.done()):
            return
        self._log.warning("lease.lost", lease=lease, in_hand=self.hand.executing)
        self.hand.drop_all("the lease was lost")
        if self._leaving:
            return
        self._leasing = asyncio.get_running_loop().create_task(self._lease_again())

    async def _lease_again(self) -> None:
        # Bodies of a process that has a lease are what limits count, and those of the lost runs begin elsewhere by now.
        if not await self._code_ends(LOST_S):
            self._log.error("code.goes_on", runs=self._stubborn(), then="this process is replaced")
            self.overstayed = True
            return
        self.overstayed = False
        try:
            await self._begin_lease()
        except StateLost as lost:
            self._state_lost(lost)
        except DurableqError as error:
            self._log.error("lease.not_begun", error=str(error))
            self._state_lost(StateLost(str(error)))
        else:
            self._ready()

    def _state_lost(self, lost: StateLost) -> None:
        if not self._lost:
            self._lost = True
            self.hand.drop_all("the namespace is lost")
            self._tell.lost(lost)
