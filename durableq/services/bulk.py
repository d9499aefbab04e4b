"""Does one thing to all runs of a filter: cancel, rerun or resume them, in hundreds, one after the other (decision 015).

Authority: each run's own script. A bulk is no act of its own and leaves no record: what becomes of a run between its being
found and its turn is answered for that run, and counted.

Failures. It may end anywhere, with its process or its Redis, and be done again: to cancel what is cancelled changes nothing,
and the new run of a rerun has an id that follows from the bulk's and the source's, so none is started twice. A bulk means
runs that were created before it, and none of those that it has started itself. While Redis has no room it waits, and says so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from durableq.model.limits import Limits
from durableq.model.run import FINAL, State
from durableq.model.run_filter import FAILED, LIVING, RunFilter
from durableq.services.cancelling import cancel
from durableq.services.picking import PATIENCE_S, Picking, RunCount, bounded, in_tens
from durableq.services.rerunning import GONE, NO_FUNCTION, SKIPPED, Again, NotResumable, Rerunner
from durableq.store.calls import BATCH, Calls
from durableq.store.cancels import ABSENT
from durableq.store.failures import QUEUE_FULL_RETRY_AFTER_S
from durableq.store.paging import Paging
from durableq.store.reads import RunRow
from durableq.store.reruns import Rerun
from durableq.words.errors import CodecError, ConfigError, DurableqError, FunctionNotFound, QueueFull, RunNotFound
from durableq.words.ids import is_run_id, new_ulid, rerun_run_id, run_created_at_ms
from durableq.words.shown import shown

Operation = Literal["cancel", "rerun", "resume"]
USUAL: Final[Mapping[str, frozenset[State]]] = {"cancel": LIVING, "rerun": FINAL, "resume": FAILED}
"""The states of the runs that each is for."""
BATCH_BYTES: Final = 1_000_000
MEMO_BYTES: Final = 1000
"""To copy a memo costs Redis about 2 us, and a kilobyte at least as much as none."""
FULL: Final = "Redis is nearly out of memory: waiting until there is room"
NOT_REGISTERED: Final = "its function is not registered"


@dataclass(frozen=True, slots=True)
class BulkReport:
    """How far a bulk operation has come, or what it came to. Each run that it has met is counted once."""

    operation: str
    bulk_id: str
    """With which a rerun or resume that has not come to its end goes on, so that nothing is started twice."""
    met: int = 0
    done: int = 0
    already: int = 0
    """Nothing was left to do: ended before its turn; or done again by this very bulk before."""
    gone: int = 0
    """Its retention was over when its turn came."""
    skipped: int = 0
    """Left out by flow control: a singleton, or a pause."""
    failed: int = 0
    """Could not be done: its function is not registered any more, or what it was given is damaged."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Why they were skipped or failed, with how many each."""
    waiting: str = ""
    """What it waits for just now; "" while it goes on."""
    finished: bool = False
    """Whether it has come to its end."""


Tell = Callable[[BulkReport], object]


async def new_bulk_id(calls: Calls) -> str:
    """An id for a bulk that begins now."""
    return new_ulid(await bounded(Paging(calls).now_ms()))


def check_bulk_id(given: object) -> str:
    """The id of a bulk that has begun before. Raises ConfigError."""
    if not isinstance(given, str) or not is_run_id(given.upper()):
        raise ConfigError(f"bulk_id must be one that a bulk operation has reported, not {shown(given)}")
    return given.upper()


def picking(
    calls: Calls,
    operation: Operation,
    wanted: RunFilter,
    bulk_id: str,
    tell: Callable[[int], object] = lambda _: None,
) -> Picking:
    """The runs that a bulk of this id is for. Raises ConfigError for states that the operation is not for."""
    states, at_ms = wanted.states(USUAL[operation], operation), run_created_at_ms(bulk_id)

    def is_its_own(row: RunRow) -> bool:
        return row.rerun_of != "" and row.id == again_id(operation, bulk_id, row.rerun_of)

    return Picking(calls, wanted, states, at_ms, is_its_own, tell)


async def count(calls: Calls, wanted: RunFilter) -> RunCount:
    """How many runs a filter means, in any state."""
    return await Picking(calls, wanted, wanted.states(State), await bounded(Paging(calls).now_ms())).count()


def again_id(operation: str, bulk_id: str, source: str) -> str:
    """The run that this bulk has do a source's work again."""
    return rerun_run_id(f"{operation}.{bulk_id}", source, run_created_at_ms(bulk_id))


class Bulk:
    """One operation on the runs of a filter.

    `tell` is called after each hundred, and when it begins to wait. Once `stopping` is set it ends before the next one.
    """

    def __init__(
        self,
        calls: Calls,
        limits: Limits,
        operation: Operation,
        wanted: RunFilter,
        bulk_id: str,
        *,
        why: str,
        tell: Tell = lambda _: None,
        stopping: asyncio.Event | None = None,
        pause_s: float = QUEUE_FULL_RETRY_AFTER_S,
    ) -> None:
        self._calls = calls
        self._picking = picking(calls, operation, wanted, bulk_id)
        self._rerunner = Rerunner(calls, limits)
        self._operation = operation
        self._why = why
        self._pause_s = pause_s
        self._tell = tell
        self._stopping = stopping or asyncio.Event()
        self._reasons: Counter[str] = Counter()
        self.report = BulkReport(operation, bulk_id)

    async def perform(self) -> BulkReport:
        """All of it, or up to where it is stopped.

        Raises FunctionNotFound, RedisUnavailable or StateLost, with a note that says how far it came.
        """
        try:
            return await self._perform()
        except DurableqError as error:
            again = (
                "to do it again is safe"
                if self._operation == "cancel"
                else f"under bulk id {self.report.bulk_id} it goes on"
            )
            error.add_note(f"{self.report.met} runs were seen to before; {again}")
            raise

    async def _perform(self) -> BulkReport:
        async for hundred in self._picking.hundreds():
            if self._stopping.is_set():
                return self.report
            came_to = await (self._cancel(hundred) if self._operation == "cancel" else self._again(hundred))
            if came_to is None:
                return self.report
            self._count(came_to, len(hundred))
        self.report = replace(self.report, finished=True)
        self._tell(self.report)
        return self.report

    def _count(self, came_to: Mapping[str, int], met: int) -> None:
        now = self.report
        self.report = replace(
            now,
            met=now.met + met,
            done=now.done + came_to.get("done", 0),
            already=now.already + came_to.get("already", 0),
            gone=now.gone + came_to.get("gone", 0),
            skipped=now.skipped + came_to.get("skipped", 0),
            failed=now.failed + came_to.get("failed", 0),
            reasons=dict(self._reasons),
        )
        self._tell(self.report)

    async def _cancel(self, rows: Sequence[RunRow]) -> Counter[str]:
        answers = await cancel(self._calls, [row.id for row in rows], self._why, PATIENCE_S)
        return Counter("done" if one.cancelled else "gone" if one.status == ABSENT else "already" for one in answers)

    async def _again(self, rows: Sequence[RunRow]) -> Counter[str] | None:
        """None: it was stopped while Redis had no room. What it had started of these is found to be there the next time."""
        new = {row.id: again_id(self._operation, self.report.bulk_id, row.id) for row in rows}
        # One that somebody has done again since then does not name ours any more.
        doubtful = [new[row.id] for row in rows if row.rerun_as not in ("", new[row.id])]
        there = dict(zip(doubtful, await bounded(self._rerunner.there(doubtful)), strict=True))
        left = [row for row in rows if row.rerun_as != new[row.id] and not there.get(new[row.id])]
        came_to = Counter(already=len(rows) - len(left))
        for start in range(0, len(left), BATCH):
            ready = []
            for answer in await in_tens(lambda row: self._prepared(row, new[row.id]), left[start : start + BATCH]):
                if isinstance(answer, Rerun):
                    ready.append(answer)
                else:
                    came_to[answer] += 1
            for chunk in _chunks(ready, {row.id: row.size_bytes for row in left}):
                answers = await self._started(chunk)
                if answers is None:
                    return None
                came_to.update(map(self._meaning, answers))
        return came_to

    async def _prepared(self, row: RunRow, run_id: str) -> Rerun | str:
        again = Again(row.id, run_id, resume=self._operation == "resume")
        try:
            if await bounded(self._rerunner.knows(row.function)):
                return await bounded(self._rerunner.prepared(again))
            self._reasons[NOT_REGISTERED] += 1
        except RunNotFound:
            return "gone"
        except NotResumable:
            return "already"
        except FunctionNotFound:
            self._reasons[NOT_REGISTERED] += 1
        except CodecError as error:
            self._reasons[f"what it was given cannot be read: {error}"] += 1
        return "failed"

    async def _started(self, reruns: Sequence[Rerun]) -> list[str] | None:
        while True:
            try:
                return await self._rerunner.start(reruns, PATIENCE_S)
            except QueueFull:
                self._tell(replace(self.report, waiting=FULL))
                try:
                    await asyncio.wait_for(self._stopping.wait(), self._pause_s)
                except TimeoutError:
                    continue
                return None

    def _meaning(self, answer: str) -> str:
        if answer == GONE:
            return "gone"
        if answer == NO_FUNCTION:
            self._reasons[NOT_REGISTERED] += 1
            return "failed"
        if answer:
            self._reasons[answer.removeprefix(SKIPPED).partition(" ")[0]] += 1
            return "skipped"
        return "done"


def _chunks(reruns: Sequence[Rerun], sizes: Mapping[str, int]) -> Iterator[Sequence[Rerun]]:
    """As much for one call as Redis does in a few ms, or one that is more: what is sent, and the memos that it copies."""
    start, load = 0, 0
    for index, rerun in enumerate(reruns):
        own = len(rerun.given) + (sizes[rerun.source] + rerun.last * MEMO_BYTES if rerun.last else 0)
        if index > start and load + own > BATCH_BYTES:
            yield reruns[start:index]
            start, load = index, 0
        load += own
    if start < len(reruns):
        yield reruns[start:]
