"""The conductor: decides, whenever a run has come to rest, what happens next in it.

The order of its decisions is the promise of replay:

 1. Tell the recorded result with the lowest number among those asked for, and settle again. A result that nobody asks for
    yet is passed over.
 2. Only then begin new bodies, at most `bodies_max` at once, in the order in which they were asked for.
 3. End the waits that are due by our clock.
 4. Begin new waits: with a write of their own while anything of the run goes on, sleeps and delays with the suspension
    otherwise. A wait for something from outside always has a call of its own, which is answered before the run is suspended.
 5. Suspend, if nothing executes, nothing is under way, a durable wait is pending, and no branch awaits something foreign.

Fast path: while only the root task exists nothing can race with it, so it is answered at once, without settling.

Invariants: an ask is in exactly one place, told by its stage. `bodies` counts the asks in stage BODY. Between the request to
suspend and its answer nothing is decided; what is asked for meanwhile queues up.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections import deque
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from durableq.engine.asks import Ask, Stage
from durableq.engine.branch import Pending
from durableq.engine.flights import Flights
from durableq.engine.lingering import Lingering
from durableq.engine.phase import Phase
from durableq.engine.port import AnyWait, NewWait, NotYet, Recorded, StepNote, begin
from durableq.engine.records import Abandonment
from durableq.engine.settle import Settler
from durableq.model.memo import RESULTS, Memo, MemoKind

if TYPE_CHECKING:
    from durableq.engine.replay import Replay


class Conductor:
    """Holds what a replay has asked for and decides its order."""

    __slots__ = (
        "_due",
        "_flying",
        "_fresh",
        "_lingering",
        "_parked",
        "_replay",
        "_settler",
        "_starts",
        "_ticket",
        "_timer",
        "_waits",
        "bodies",
        "flights",
    )

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.flights = Flights(replay)
        self._due: list[tuple[int, int, Ask, Memo]] = []
        self._ticket = 0
        self._starts: deque[Ask] | tuple[()] = ()
        """A deque as soon as there is one: a function whose steps follow each other never needs it."""
        self._fresh: list[Ask] = []
        self._waits: dict[str, Ask] = {}
        self._flying: dict[str, Ask] = {}
        """Whose result, or end, is on its way. The news of another reply may bring it sooner than its own."""
        self._parked: dict[str, Ask] = {}
        self._timer: TimerHandle | None = None
        # Made when first needed: a function whose steps follow each other never does.
        self._settler: Settler | None = None
        self._lingering: Lingering | None = None
        self.bodies = 0

    # --- What steps ask for. Each is awaited in the task that asks.

    async def told(self, ask: Ask, memo: Memo) -> Memo:
        """Wait until it is this result's turn."""
        if self._replay.alone:
            self._replay.reading.answered(memo)
            return memo
        self._tell(ask, memo)
        return await self._pending(ask)

    async def permitted(self, ask: Ask) -> None:
        """Wait until the body of this step may begin. Where the root is alone, it is granted without waiting."""
        self._queue(ask)
        self.touch()
        await self._pending(ask)

    async def recorded(self, ask: Ask, kind: MemoKind, blob: bytes, note: StepNote) -> Memo:
        """Record a result, and wait until it is its turn to be told."""
        replay = self._replay
        ask.stage = Stage.FLIGHT
        if not replay.alone:
            self._flying[ask.key] = ask
            self.flights.send(partial(self._landed, ask, kind, blob), replay.port.record, ask.key, kind, blob, note)
            return await self._pending(ask)
        ask.future = waiting = Pending(loop=replay.loop)
        self.flights.send(partial(self._landed_alone, ask, kind, blob), replay.port.record, ask.key, kind, blob, note)
        memo: Memo = await waiting
        ask.future = None
        if not self.flights.count:
            replay.memos.bridge()
        if replay.alone:
            replay.reading.answered(memo)
            return memo
        return await self.told(ask, memo)

    async def waited(self, ask: Ask, wait: AnyWait, *, begun: bool) -> Memo:
        """Wait until this sleep, or wait for something, is over and it is its turn to be told. `begun`: the store has it."""
        self._begin(ask, wait, begun)
        return await self._pending(ask)

    async def delayed(self, ask: Ask, wait: NewWait, *, begun: bool) -> None:
        """Wait until the delay before this step's next attempt is over and its body may begin."""
        self._begin(ask, wait, begun)
        await self._pending(ask)

    async def parked(self, ask: Ask, memo: Memo) -> None:
        """Wait until user code cancels this step again, as it did in an earlier turn."""
        ask.stage = Stage.PARKED
        ask.patience_ms = 2 * Abandonment.decode(memo.blob).after_ms
        self._parked[ask.key] = ask
        self.touch()
        await self._pending(ask)

    def grant(self, ask: Ask, started_at_ms: int = 0) -> None:
        """Let the body of this step begin: it is its turn, or the root is alone. `started_at_ms` if it begins right now."""
        ask.stage = Stage.BODY
        ask.started_at_ms = started_at_ms
        self.bodies += 1

    def body_ended(self, ask: Ask) -> None:
        """The body that was permitted has ended."""
        ask.stage = Stage.ASKED
        self.bodies -= 1
        if self._starts or self._replay.restarting:
            self.touch()

    def withdrawn(self, ask: Ask) -> None:
        """The call of the step has ended without an answer: user code has cancelled the task that asked, as a rule."""
        stage, ask.stage = ask.stage, Stage.DONE
        if stage is Stage.BODY:
            self.bodies -= 1
        for place in (self._waits, self._flying, self._parked):
            place.pop(ask.key, None)
        if (stage is Stage.BODY and ask.started_at_ms) or (stage is Stage.WAITING and ask.written):
            self._abandon(ask)
        self.touch()

    # --- What comes from outside.

    def touch(self) -> None:
        """Something of the run has changed: decide anew once it has come to rest."""
        if self._replay.phase is Phase.RUNNING:
            if self._settler is None:
                self._settler = Settler(self._replay, self._decide)
            self._settler.touch()

    def news(self, key: str, memo: Memo) -> None:
        """A memo came that is newer than ours."""
        ask = self._waits.get(key) or self._flying.get(key)
        if ask is not None:
            if memo.kind in RESULTS:
                self._tell(ask, memo)
            elif memo.kind is MemoKind.RETRYING and memo.number:
                ask.due_at_ms = 0
        self.touch()

    def new_waits(self) -> list[NewWait]:
        """The waits that a suspension has to begin."""
        return [ask.wait for ask in self._fresh if isinstance(ask.wait, NewWait)]

    def stop(self) -> None:
        """The replay is over: decide nothing any more."""
        if self._settler is not None:
            self._settler.stop()
        if self._lingering is not None:
            self._lingering.stop()
        if self._timer is not None:
            self._timer.cancel()
        self._settler = self._lingering = self._timer = None  # each points back at us

    # --- Deciding.

    def _decide(self) -> None:
        """The run has come to rest."""
        if self._replay.phase is not Phase.RUNNING:
            return
        if not self.flights.count:
            self._replay.memos.bridge()
        if self._fresh:
            self._fresh = [ask for ask in self._fresh if ask.stage is Stage.WAITING]
        if self._replay.restarting:
            self._write_fresh()
            self._replay.wake()
            return
        if self._tell_next() or self._start_bodies():
            self._went_on()
            self.touch()
            return
        self._fire_due()
        if self._start_bodies():
            self._went_on()
        if self.bodies or self.flights.count or self._fresh_is_urgent():
            self._write_fresh()
        elif self._waits or self._fresh:
            if self._replay.current is not None or self._linger().over():
                self._replay.suspend()
            else:
                self._write_fresh()
        elif self._parked and not self._due:
            self._linger().parked(list(self._parked.values()))
        self._arm()

    def _linger(self) -> Lingering:
        if self._lingering is None:
            self._lingering = Lingering(self._replay, self.touch)
        return self._lingering

    def _went_on(self) -> None:
        if self._lingering is not None:
            self._lingering.reset()

    def _tell(self, ask: Ask, memo: Memo) -> None:
        ask.stage = Stage.TOLD
        self._waits.pop(ask.key, None)
        self._flying.pop(ask.key, None)
        self._ticket += 1
        heappush(self._due, (memo.number, self._ticket, ask, memo))
        self.touch()

    def _tell_next(self) -> bool:
        while self._due:
            number, _, ask, memo = self._due[0]
            if ask.stage is not Stage.TOLD:
                heappop(self._due)
            elif not self._replay.memos.knows(number):
                return False  # something with a lower number is still on its way
            else:
                heappop(self._due)
                ask.stage = Stage.DONE
                self._replay.reading.answered(memo)
                self._resolve(ask, memo)
                return True
        return False

    def _start_bodies(self) -> bool:
        if self._due:
            return False
        started = False
        while self._starts and self.bodies < self._replay.environment.bodies_max:
            ask = self._starts.popleft()
            if ask.stage is Stage.QUEUED:
                self.grant(ask)
                self._resolve(ask, None)
                started = True
        return started

    def _queue(self, ask: Ask) -> None:
        ask.stage = Stage.QUEUED
        if isinstance(self._starts, tuple):
            self._starts = deque()
        self._starts.append(ask)

    # --- Waits.

    def _begin(self, ask: Ask, wait: AnyWait, begun: bool) -> None:
        ask.wait, ask.due_at_ms, ask.written = wait, wait.due_at_ms, begun
        ask.stage = Stage.WAITING
        if begun:
            self._waits[ask.key] = ask
        else:
            self._fresh.append(ask)
        ask.future = Pending(loop=self._replay.loop)
        if self._replay.alone:
            self._decide()
        else:
            self.touch()

    def _fresh_is_urgent(self) -> bool:
        """Whether a new wait is over already, or cannot begin with the suspension."""
        if not self._fresh:
            return False
        now_ms = self._replay.port.now_ms()
        return any(ask.due_at_ms <= now_ms or not isinstance(ask.wait, NewWait) for ask in self._fresh)

    def _write_fresh(self) -> None:
        fresh, self._fresh = self._fresh, []
        for ask in fresh:
            if ask.wait is not None:
                ask.written = True
                if not isinstance(ask.wait, NewWait):
                    self._flying[ask.key] = ask  # its result may be quicker than the reply
                self.flights.send(partial(self._began, ask, ask.wait), begin, self._replay.port, ask.wait)

    def _began(self, ask: Ask, wait: AnyWait, _last_number: int) -> None:
        self._replay.memos.began(ask.key, Memo(0, self._replay.port.now_ms(), wait.kind, wait.blob))
        if ask.stage is Stage.WAITING:
            self._flying.pop(ask.key, None)
            self._waits[ask.key] = ask
        self.touch()

    def _fire_due(self) -> None:
        if self._due:
            return
        now_ms = self._replay.port.now_ms()
        for ask in [ask for ask in self._waits.values() if ask.due_at_ms <= now_ms]:
            del self._waits[ask.key]
            wait = ask.wait
            if wait is None or wait.kind is MemoKind.RETRYING:
                self._queue(ask)
            else:
                self._flying[ask.key] = ask
                self.flights.send(partial(self._fired, ask, wait), self._replay.port.fire, ask.key)

    def _fired(self, ask: Ask, wait: AnyWait, reply: Recorded | NotYet) -> None:
        if isinstance(reply, NotYet):
            self._flying.pop(ask.key, None)
            ask.due_at_ms = self._replay.port.now_ms() + max(1, reply.remaining_ms)
            if ask.stage is Stage.WAITING:
                self._waits[ask.key] = ask
            self.touch()
        else:
            kind = MemoKind.WOKEN if wait.kind is MemoKind.SLEEPING else MemoKind.TIMED_OUT
            self._landed(ask, kind, wait.blob, reply)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waits and self._replay.phase is Phase.RUNNING:
            due_at_ms = min(ask.due_at_ms for ask in self._waits.values())
            delay_s = max(0, due_at_ms - self._replay.port.now_ms()) / 1000
            self._timer = self._replay.loop.call_later(delay_s, self.touch, context=self._replay.outside)

    # --- Replies.

    def _landed(self, ask: Ask, kind: MemoKind, blob: bytes, reply: Recorded) -> None:
        memo = self._confirmed(ask, kind, blob, reply)
        if ask.stage in (Stage.FLIGHT, Stage.WAITING):
            self._tell(ask, memo)
        self.touch()

    def _landed_alone(self, ask: Ask, kind: MemoKind, blob: bytes, reply: Recorded) -> None:
        # If user code cancels the one who waits, the reply is taken in all the same: a number that nobody learned would
        # keep the run from ever being suspended.
        memo = self._confirmed(ask, kind, blob, reply)
        if ask.stage is Stage.FLIGHT:
            self._resolve(ask, memo)
        else:
            self.touch()  # user code has cancelled it; what it does now may wait for this to land

    def _confirmed(self, ask: Ask, kind: MemoKind, blob: bytes, reply: Recorded) -> Memo:
        # The news first: if somebody else has ended this wait before us, its memo is among them, or was before, and stays.
        if reply.news:
            self._replay.learn(reply.news)
        memo = Memo(reply.number, reply.at_ms, kind, blob)
        self._replay.memos.learn(ask.key, memo)
        return memo

    def _abandon(self, ask: Ask) -> None:
        """Record that user code cancelled this step, so that a replay neither executes nor awaits it again."""
        replay = self._replay
        if replay.phase is not Phase.RUNNING:
            return  # the turn is ending; what it cancels is no decision of user code
        now_ms = replay.port.now_ms()
        blob = Abandonment(ask.step_id, now_ms - ask.asked_at_ms).encode()
        note = StepNote(
            ask.op, ask.step_id, ask.attempt, ask.asked_at_ms, ask.started_at_ms or now_ms, now_ms, "Abandoned"
        )
        kind = MemoKind.ABANDONED
        self.flights.send(partial(self._landed, ask, kind, blob), replay.port.record, ask.key, kind, blob, note)

    async def _pending(self, ask: Ask) -> Memo:
        if ask.future is None:
            ask.future = Pending(loop=self._replay.loop)
        memo: Memo = await ask.future
        ask.future = None
        return memo

    def _resolve(self, ask: Ask, memo: Memo | None) -> None:
        self._replay.moves += 1
        if ask.future is not None and not ask.future.done():
            ask.future.set_result(memo)
