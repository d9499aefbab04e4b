"""Verbs of runs in hand: claim, record, wait, suspend, retry, finish, release. One per row of TRANSITIONS.

Every verb takes a batch for one lease. Items are tuples in the order of the script's header, answered one by one; an
item whose holder is not the run's holder any more is answered STALE. A lease that is gone raises LeaseLost for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from durableq.model.event import first_size, is_batch
from durableq.model.failure import Failure
from durableq.model.memo import Memo
from durableq.store import records
from durableq.store.apart import with_news
from durableq.store.calls import Calls
from durableq.store.facts import RunFacts
from durableq.store.records import STALE, Claim, NotYet, Recorded

CLAIM_BUDGET_BYTES = 256 * 1024
INPUT_PAGE_BYTES = 1 << 20


class StepWrite(NamedTuple):
    run_id: str
    epoch: int
    seen: int
    key: str
    kind: str
    blob: bytes
    note: bytes


class WaitWrite(NamedTuple):
    run_id: str
    epoch: int
    seen: int
    key: str
    kind: str
    blob: bytes
    due_at_ms: int
    note: bytes


class FireWrite(NamedTuple):
    run_id: str
    epoch: int
    seen: int
    key: str


class SuspendWrite(NamedTuple):
    """`key` "" brings no wait of its own. Of several for one run only the `last` one puts it to sleep: 1, or LEAVING."""

    run_id: str
    epoch: int
    seen: int
    key: str = ""
    kind: str = ""
    blob: bytes = b""
    due_at_ms: int = 0
    note: bytes = b""
    last: int = 1


class RetryWrite(NamedTuple):
    run_id: str
    epoch: int
    attempt: int
    due_at_ms: int
    note: bytes


class FinishWrite(NamedTuple):
    """`state` "c" or "f"; `out` the encoded result (b"" for None) or failure."""

    run_id: str
    epoch: int
    state: str
    out: bytes


class ReleaseWrite(NamedTuple):
    run_id: str
    epoch: int


class LeaveWrite(NamedTuple):
    """Its turn is about to end, and code of it that was given up on still executes."""

    run_id: str
    epoch: int


LEAVING: Final = 2
"""The `last` of a SuspendWrite whose code is still to be left: the slots of its turn stay with the lease until it is."""


def left_behind(run_id: str, lease: str) -> str:
    """What slots that `leave_slots` has left with a lease are named."""
    return f"{run_id}~{lease}"


def left_late(run_id: str, lease: str, epoch: int) -> str:
    """What the slots of a turn are named that was suspended while its code was still to be left."""
    return f"{run_id}~{lease}~{epoch}"


class Answers(NamedTuple):
    """The server's time and one answer per item."""

    now_ms: int
    items: list[Any]


class Runs:
    """Runs of one shard, as their holder sees them."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def facts(self) -> RunFacts:
        """What is known of runs in anybody's hands."""
        return RunFacts(self._calls)

    async def claim_runs(
        self, lease: str, number: int, room: int, alone: bool, skip: int, apps: Sequence[str]
    ) -> Claim:
        """Take up to `room` (at most 100) ready runs. The same number returns the same runs."""
        reply = await self._calls.run("claim_runs", lease, number, room, int(alone), skip, CLAIM_BUDGET_BYTES, *apps)
        return records.claim(reply)

    async def record_steps(self, lease: str, writes: Sequence[StepWrite]) -> Answers:
        """Per item Recorded or STALE."""
        items: list[Any] = []
        for run_id, epoch, seen, key, kind, blob, note in writes:
            items += (run_id, epoch, seen, key, records.result(kind, blob, note))
        now_ms, replies, *apart = await self._calls.run("record_steps", lease, *items)
        answers = [_recorded(reply, now_ms) for reply in replies]
        return Answers(now_ms, await self._whole(answers, writes) if apart else answers)

    async def record_waits(self, lease: str, writes: Sequence[WaitWrite]) -> Answers:
        """Per item Recorded (number: the run's last, at_ms 0) or STALE."""
        reply = await self._calls.run("record_waits", lease, *chain.from_iterable(writes))
        return await self._answers(reply, writes, _began)

    async def fire_waits(self, lease: str, writes: Sequence[FireWrite]) -> Answers:
        """Per item Recorded, NotYet or STALE."""
        reply = await self._calls.run("fire_waits", lease, *chain.from_iterable(writes))
        return await self._answers(reply, writes, _fired)

    async def suspend_runs(self, lease: str, writes: Sequence[SuspendWrite]) -> Answers:
        """Per item None (suspended), the newer results, or STALE."""
        reply = await self._calls.run("suspend_runs", lease, *chain.from_iterable(writes))
        return await self._answers(reply, writes, _suspended)

    async def _answers(self, reply: Any, writes: Sequence[Any], read: Callable[[Any], Any]) -> Answers:
        now_ms, replies, *apart = reply
        answers = [read(item) for item in replies]
        return Answers(now_ms, await self._whole(answers, writes) if apart else answers)

    async def _whole(self, answers: list[Any], writes: Sequence[Any]) -> list[Any]:
        return await with_news(self._calls, answers, [write.run_id for write in writes])

    async def retry_runs(self, lease: str, writes: Sequence[RetryWrite]) -> Answers:
        """Per item None or STALE."""
        return _done(await self._calls.run("retry_runs", lease, *chain.from_iterable(writes)))

    async def finish_runs(
        self, lease: str, writes: Sequence[FinishWrite], keep_completed: int, keep_failed: int
    ) -> Answers:
        """Per item None or STALE. The last two say how many finished runs a function keeps."""
        return _done(
            await self._calls.run("finish_runs", lease, keep_completed, keep_failed, *chain.from_iterable(writes))
        )

    async def release_runs(self, lease: str, writes: Sequence[ReleaseWrite]) -> Answers:
        """Per item None or STALE."""
        return _done(await self._calls.run("release_runs", lease, *chain.from_iterable(writes)))

    async def leave_slots(self, lease: str, writes: Sequence[LeaveWrite]) -> Answers:
        """Leave as many slots as each run has with the lease, until `free_slots` names them. Per item None or STALE."""
        return _done(await self._calls.run("leave_slots", lease, *chain.from_iterable(writes)))

    async def release_strangers(self, lease: str, number: int, in_hand: Sequence[str]) -> tuple[list[str], list[str]]:
        """Give back runs that the lease holds and this list lacks. Returns them, and those that the lease does not hold.

        `number` is drawn from the same counter as those of the claims, so that a late copy is known as one.
        """
        _, released, lost = await self._calls.run("release_strangers", lease, 100, number, *in_hand)
        return [run.decode() for run in released], [run.decode() for run in lost]

    def note_doing(self, lease: str, step: str) -> Any:
        """Name the step that a run executed alone begins. Not awaited: it need only leave this process before the step."""
        return self._calls.run("note_doing", lease, step)

    async def read_memos(self, run_id: str, page: int = 500) -> dict[str, Memo]:
        """All memos of a run, in pages. Only its holder may rely on them."""
        found: dict[str, Memo] = {}
        cursor = b"0"
        while True:
            cursor, flat = await self._calls.read("HSCAN", self._calls.key("steps", run_id), cursor, "COUNT", page)
            found.update(records.memos(flat))
            if cursor in (b"0", 0):
                return found

    async def why_cancelled(self, run_id: str) -> str | None:
        """What this run was cancelled by; None if it is not cancelled."""
        state = self._calls.read("HGET", self._calls.key("run", run_id), "s")
        out = self._calls.read("GET", self._calls.key("output", run_id))
        return Failure.decode(await out).message if await state == b"x" else None

    async def begun_without_event(self, run_id: str) -> bool:
        """Whether no event started this run, so that it says itself from where in the stream on it sees events."""
        return bool(await self._calls.read("HEXISTS", self._calls.key("run", run_id), "p"))

    async def read_input(self, run_id: str) -> bytes:
        """What a run was given, encoded: an event or a batch. In pages, so that the writes of others travel between two."""
        pages = [await self._input_page(run_id, 0)]
        while len(pages[-1]) == INPUT_PAGE_BYTES:
            pages.append(await self._input_page(run_id, len(pages)))
        return pages[0] if len(pages) == 1 else b"".join(pages)

    async def read_first_given(self, run_id: str) -> bytes:
        """As `read_input`, but of a batch no more than is needed for its first event."""
        beginning = await self._input_page(run_id, 0)
        if not is_batch(beginning):
            return beginning if len(beginning) < INPUT_PAGE_BYTES else await self.read_input(run_id)
        size, number = first_size(beginning), 1
        while len(beginning) < size and number * INPUT_PAGE_BYTES <= len(beginning):
            beginning += await self._input_page(run_id, number)
            number += 1
        return beginning[:size]

    async def _input_page(self, run_id: str, number: int) -> bytes:
        start, key = number * INPUT_PAGE_BYTES, self._calls.key("input", run_id)
        page: bytes = await self._calls.read("GETRANGE", key, start, start + INPUT_PAGE_BYTES - 1)
        return page


def _recorded(reply: Any, now_ms: int) -> Any:
    if isinstance(reply, int):
        return Recorded(reply, now_ms, [])
    if isinstance(reply, bytes):
        return STALE
    number, at_ms, newer = reply
    return Recorded(number, at_ms, records.news(newer) if newer else [])


def _began(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return STALE
    return Recorded(reply[0], 0, records.news(reply[1]))


def _fired(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return STALE
    number, at_or_remaining_ms, newer = reply
    if number == 0:
        return NotYet(at_or_remaining_ms, records.news(newer))
    return Recorded(number, at_or_remaining_ms, records.news(newer))


def _suspended(reply: Any) -> Any:
    if reply == b"":
        return None
    if isinstance(reply, bytes):
        return STALE
    return records.news(reply)


def _done(reply: Any) -> Answers:
    now_ms, replies = reply
    return Answers(now_ms, [STALE if item else None for item in replies])
