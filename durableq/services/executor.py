"""Executes one claimed run: gives the engine its port, and writes down the outcome it decides.

Deciding is the engine's, recording is the committer's; this is what connects the two for one run in hand. A write that is
answered Stale means that the run has another holder: it is dropped at once, and nothing more of it is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from durableq.engine.environment import Environment
from durableq.engine.execution import ClaimedRun, Execution
from durableq.engine.given_up import GivenUp
from durableq.engine.port import EventWait, Invocation, News, NewWait, NotYet, Recorded, SignalWait, StepNote
from durableq.model.event import Event, decode_event, first_given, first_size, is_batch
from durableq.model.failure import Failure
from durableq.model.function import Function
from durableq.model.memo import Memo, MemoKind
from durableq.model.outcome import Abandoned, AttemptFailed, Completed, Failed, Outcome, Suspended
from durableq.model.stack import own_line
from durableq.services.batches import decoded
from durableq.services.committer import Committer, Stale
from durableq.services.hand import Hand
from durableq.services.invoking import Invoking
from durableq.services.looking_back import LookingBack
from durableq.services.notes import note_of, note_of_wait
from durableq.services.suspending import leaves_late, suspend_write
from durableq.store.records import Claimed
from durableq.store.records import NotYet as StoredNotYet
from durableq.store.runs import (
    LEAVING,
    FinishWrite,
    FireWrite,
    LeaveWrite,
    ReleaseWrite,
    RetryWrite,
    Runs,
    StepWrite,
    SuspendWrite,
    WaitWrite,
    left_behind,
    left_late,
)
from durableq.store.signals import SignalWait as SignalWrite
from durableq.words.clock import ServerClock
from durableq.words.errors import CodecError, DurableqError, RedisUnavailable
from durableq.words.telemetry import Log

CANCELLED: Final = "cancelled"


class Beginnings(NamedTuple):
    """How waits begin that take more than one write."""

    looking_back: LookingBack
    invoking: Invoking


class RunInHand:
    """The engine's port for one run, from its claim to the confirmation of its last write."""

    __slots__ = (
        "_abandoned",
        "_beginnings",
        "_clock",
        "_committer",
        "_dropped",
        "_execution",
        "_given",
        "_hand",
        "_lapsed",
        "_late",
        "_log",
        "_parted",
        "_scope",
        "_stays",
        "_under_way",
        "claimed",
        "run_id",
    )

    def __init__(
        self,
        claimed: Claimed,
        committer: Committer,
        clock: ServerClock,
        hand: Hand,
        log: Log,
        lapsed: Callable[[], None],
        beginnings: Beginnings,
    ) -> None:
        """`lapsed` is told when the run was let go of without anybody having taken it: the lease may still hold it."""
        self.claimed = claimed
        self.run_id = claimed.id
        self._committer = committer
        self._clock = clock
        self._hand = hand
        self._log = log
        self._lapsed = lapsed
        self._beginnings = beginnings
        self._under_way: set[asyncio.Task[int]] | None = None
        """Waits that are about to begin so."""
        self._execution: Execution | None = None
        self._abandoned: GivenUp | None = None
        self._stays = False
        """Whether slots were left with the lease, for code that was given up on."""
        self._late = ""
        """What the slots of the turn are named, if its code is left when it has been suspended already."""
        self._given = b""
        self._scope: Mapping[str, Any] | None = None
        self._dropped = ""
        self._parted = False
        """Whether it is suspended: user code is being left, and the run is nobody's or another's."""

    # --- the port

    def record(self, key: str, kind: MemoKind, blob: bytes, note: StepNote) -> asyncio.Future[Recorded]:
        # Answered with the store's Recorded, which has the same fields.
        return self._committer.add(
            StepWrite(self.run_id, self.claimed.epoch, self.seen, key, str(kind), blob, note_of(note))
        )

    def wait(self, key: str, kind: MemoKind, blob: bytes, due_at_ms: int, note: StepNote) -> asyncio.Future[int]:
        return self._committer.add(
            WaitWrite(self.run_id, self.claimed.epoch, self.seen, key, str(kind), blob, due_at_ms, note_of(note)),
            self.began,
        )

    def await_event(self, wait: EventWait) -> asyncio.Future[int]:
        return self._begin(self._beginnings.looking_back.begin(self, wait))

    def await_signal(self, wait: SignalWait) -> asyncio.Future[int]:
        epoch, note = self.claimed.epoch, note_of_wait(wait)
        return self._committer.add(
            SignalWrite(
                self.run_id, epoch, self.seen, wait.key, wait.blob, wait.due_at_ms, note, wait.signal, int(wait.replace)
            ),
            self.began,
        )

    def invoke(self, invocation: Invocation) -> asyncio.Future[int]:
        return self._begin(self._beginnings.invoking.begin(self, invocation))

    def fire(self, key: str) -> asyncio.Future[Recorded | NotYet]:
        return self._committer.add(FireWrite(self.run_id, self.claimed.epoch, self.seen, key), self._fired)

    def suspend(self, seen: int, waits: Sequence[NewWait]) -> asyncio.Future[News | None]:
        if self._abandoned and self._abandoned.any_of(self.run_id):
            return asyncio.get_running_loop().create_task(self._suspend_without(seen, waits))
        if self._execution is not None and leaves_late(self._execution.function):
            # Before it is sent, so that no comparison of hands takes them for forgotten.
            self._late = left_late(self.run_id, self._committer.lease, self.claimed.epoch)
            self._hand.stays(self, self._late)
            return self._suspend(seen, waits, LEAVING)
        return self._suspend(seen, waits)

    def _suspend(self, seen: int, waits: Sequence[NewWait], last: int = 1) -> asyncio.Future[News | None]:
        epoch = self.claimed.epoch
        if not waits:
            return self._committer.add(SuspendWrite(self.run_id, epoch, seen, last=last), self._suspended)
        for wait in waits[:-1]:
            # Answered like the last one, whose answer is the one that counts.
            self._committer.add(suspend_write(self.run_id, epoch, seen, wait, last=0)).add_done_callback(_looked_at)
        return self._committer.add(suspend_write(self.run_id, epoch, seen, waits[-1], last=last), self._suspended)

    async def _suspend_without(self, seen: int, waits: Sequence[NewWait]) -> News | None:
        """Suspend a run while code of it still executes: a thread past its step's timeout."""
        await self._leave_slots()
        return await self._suspend(seen, waits)

    async def _leave_slots(self) -> None:
        """The turn ends, and code of it goes on: it keeps as many slots as the run has. Raises Stale."""
        await self._committer.add(LeaveWrite(self.run_id, self.claimed.epoch))
        self._stays = True

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def _begin(self, beginning: Coroutine[Any, Any, int]) -> asyncio.Future[int]:
        task = asyncio.get_running_loop().create_task(beginning)
        if self._under_way is None:
            self._under_way = set()
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    def _suspended(self, answer: Any) -> News | None:
        self._parted = answer is None
        if answer is not None:
            self._late = ""
        return answer  # type: ignore[no-any-return]

    def _fired(self, answer: Any) -> Recorded | NotYet:
        if answer.news:
            # Before the reply: if somebody else has ended the wait, what it came to is among it.
            self.deliver(answer.news)
        return NotYet(answer.remaining_ms) if isinstance(answer, StoredNotYet) else _recorded(answer)

    # --- for those who begin waits

    @property
    def seen(self) -> int:
        """The last number up to which the run knows everything."""
        return self._execution.seen if self._execution is not None else 0

    def event_scope(self) -> Mapping[str, Any]:
        """The run's own event, of a batch the first, as conditions see it; whatever user code has done to `ctx.event`."""
        if self._scope is None:  # once: a thousand waits beside each other would decode a large event a thousand times
            self._scope = first_given(self._given, self.claimed.created_at_ms).scope()
        return self._scope

    @property
    def begun_by_batch(self) -> bool:
        """Whether several events started it: then the store knows behind which of them it sees others."""
        return is_batch(self._given)

    def began(self, answer: Any) -> int:
        """What the store says to a wait that has begun, or was over already."""
        if answer.news:
            self.deliver(answer.news)
        return answer.number  # type: ignore[no-any-return]

    # --- from outside

    def deliver(self, news: Sequence[tuple[str, Memo]]) -> None:
        """Results from outside, at any time."""
        if self._execution is not None:
            self._execution.deliver(news)

    @property
    def ours(self) -> bool:
        """Whether nothing says yet that the run is not this holder's any more."""
        return not self._dropped and not self._parted

    def cancelled(self, why: str) -> None:
        """The run is cancelled: drop it."""
        if not self._dropped:
            self._tell_cancelled(why)
        self.drop(f"{CANCELLED}: {why}")

    def drop(self, reason: str) -> None:
        """The run is not ours any more: stop user code, write nothing."""
        self._dropped = self._dropped or reason
        if self._execution is not None:
            self._execution.abandon(reason)

    # --- the turn

    async def execute(self, function: Function[Any] | None, runs: Runs, environment: Environment) -> None:
        """From the claim to the confirmed outcome. Never raises."""
        written, taken = False, False
        self._abandoned = abandoned = environment.abandoned
        try:
            outcome = await self._outcome(function, runs, environment)
            self._hand.ended(self)
            if abandoned and not isinstance(outcome, (Suspended, Abandoned)) and abandoned.any_of(self.run_id):
                await self._leave_slots()
            await self._write(outcome)
            written = not isinstance(outcome, Abandoned)
            taken = isinstance(outcome, Abandoned) and outcome.cause is Stale
        except Stale:
            taken = True
        except Exception:
            self._log.exception("run.not_written", run_id=self.run_id)
        finally:
            if self._under_way is not None:
                for task in self._under_way:
                    task.cancel()
            self._hand.gone(self)
            if not written or self._stays or self._late or abandoned:
                self._part(written, abandoned)
        if taken:
            await self._tell_taken(runs)

    def _part(self, written: bool, abandoned: GivenUp) -> None:
        """Its turn is over. What it still holds in Redis returns when its code has ended: at once, as a rule."""
        names = [] if written else [self.run_id]
        if self._stays:
            names.append(left_behind(self.run_id, self._committer.lease))
        if self._late:
            names.append(self._late)
        if not abandoned.any_of(self.run_id):
            self._code_ended(names, written)
        else:
            ended = partial(self._code_ended, names, written)
            self._hand.linger(self.run_id, names, ended, takes_place=not written)

    def _code_ended(self, names: Sequence[str], written: bool) -> None:
        if names:
            self._hand.returned(names)
        if not written and not self._dropped:
            self._lapsed()

    async def _outcome(self, function: Function[Any] | None, runs: Runs, environment: Environment) -> Outcome | None:
        if function is None:
            return None
        try:
            given, memos = self.claimed.input, self.claimed.memos
            if given is None:
                given = await runs.read_input(self.run_id)
            self._given = given
            if not isinstance(memos, dict):
                memos = await runs.read_memos(self.run_id)
            if is_batch(given):
                events = await decoded(given, self.claimed.created_at_ms)
                self._given = given[: first_size(given)]  # no more than that is asked for again
            else:
                events = [decode_event(given, f"{self.claimed.created_at_ms}-0")]
            execution = self._execution = self._begun(function, events, len(given), memos, environment)
            if self._dropped:
                return Abandoned(self._dropped)
            return await execution.run()
        except asyncio.CancelledError:
            raise
        except RedisUnavailable as error:
            return Abandoned(str(error))
        except CodecError as error:
            return Failed(Failure.of(error))
        except BaseException as error:
            # No way of going on is known, and none of doing better next time.
            self._log.exception("run.undecided", run_id=self.run_id)
            return Failed(Failure.of(error))
        finally:
            self._execution = None  # each holds the other

    def _begun(
        self,
        function: Function[Any],
        events: list[Event[Any]],
        size: int,
        memos: dict[str, Memo],
        environment: Environment,
    ) -> Execution:
        claimed = self.claimed
        run = ClaimedRun(
            claimed.id,
            function.id,
            function.app_id,
            events,
            claimed.attempt,
            claimed.sequence,
            memos,
            claimed.created_at_ms,
            size,
        )
        return Execution(function, run, self, environment)

    async def _tell_taken(self, runs: Runs) -> None:
        """Say why a write was refused: cancelled as a rule, with the hint still on its way."""
        if self._dropped:
            if not self._dropped.startswith(CANCELLED):  # of which the log knows
                self._log.info("run.dropped", run_id=self.run_id, reason=self._dropped)
            return
        try:
            why = await runs.why_cancelled(self.run_id)
        except DurableqError:
            return  # this process is leaving without Redis, and has said so
        if why is not None:
            self._tell_cancelled(why)
        else:
            self._log.info("run.dropped", run_id=self.run_id, reason="it has another holder")

    def _tell_cancelled(self, why: str) -> None:
        self._log.info("run.cancelled", run_id=self.run_id, function=self.claimed.function, why=why)

    def _tell_failed(self, failure: Failure) -> None:
        error, at = f"{failure.name}: {failure.message}", own_line(failure.stack)
        self._log.warning("run.failed", run_id=self.run_id, function=self.claimed.function, error=error, at=at)

    async def _write(self, outcome: Outcome | None) -> None:
        run_id, epoch = self.run_id, self.claimed.epoch
        match outcome:
            case Completed(blob):
                await self._committer.add(FinishWrite(run_id, epoch, "c", blob))
            case Failed(failure):
                self._tell_failed(failure)
                await self._committer.add(FinishWrite(run_id, epoch, "f", failure.encode()))
            case AttemptFailed(failure, attempt, delay_ms):
                due_at_ms = self._clock.now_ms() + delay_ms
                await self._committer.add(RetryWrite(run_id, epoch, attempt, due_at_ms, failure.encode()))
            case None:
                await self._committer.add(ReleaseWrite(run_id, epoch))
            case Suspended() | Abandoned():
                pass


def _looked_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _recorded(answer: Any) -> Recorded:
    return Recorded(answer.number, answer.at_ms, answer.news)
