"""Looking back: before a wait for an event begins, its holder looks at the events of that name that are there already.

Authority: await_events. It begins the wait only when the holder has looked at all that there is, and brings it the rest, a
page at a time; so the reply that came before the function reached its wait is found, and none is lost in between
(decision 008). The first match by place in the stream is recorded as the wait's result, and no wait begins.

One page is a round trip, and at most 100 entries and 256 KB, so that this process turns between two and the writes of other
runs travel on. Ten waits of a child at most are asked for at once: a hundred with a page each would take Redis 40 ms.

Failures. The holder dies: nothing has begun, and the replay asks again. Stale: whoever asked gets it. An event that cannot
be read here (a newer release's, or damaged) does not match, and is said once. One that Redis has not kept does not match,
nor does a system event whose run is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from durableq.engine.port import EventWait
from durableq.model.event import read_head
from durableq.model.filing import condition, file_under
from durableq.model.memo import Memo, MemoKind
from durableq.services.committer import Committer
from durableq.services.notes import note_of_wait
from durableq.services.system_events import Made, SystemEvents, is_reference, name_of
from durableq.store.events import Entry
from durableq.store.records import Recorded
from durableq.store.runs import Runs, StepWrite
from durableq.store.waits import AwaitWrite, ToLookAt
from durableq.words.ids import entry_of_run
from durableq.words.telemetry import Log

if TYPE_CHECKING:
    from durableq.services.executor import RunInHand

SYSTEM_PREFIX: Final = "durableq/"
UNREADABLE_MAX: Final = 1000
AT_ONCE: Final = 10


class LookingBack:
    """Begins waits for events, for the runs in hand of one child."""

    def __init__(self, committer: Committer, runs: Runs, log: Log) -> None:
        self._committer = committer
        self._runs = runs
        self._log = log
        self._system = SystemEvents(runs.facts)
        self._unreadable: set[str] = set()
        self._asking = asyncio.Semaphore(AT_ONCE)

    async def begin(self, run: RunInHand, wait: EventWait) -> int:
        """Begin this wait, or record what has ended it already. Returns the run's last number.

        What is newer than the run has seen, the match among it, is delivered first. Raises Stale.
        """
        own = run.event_scope()
        write = AwaitWrite(
            run.run_id,
            run.claimed.epoch,
            run.seen,
            wait.key,
            wait.blob,
            wait.due_at_ms,
            note_of_wait(wait),
            wait.event_name,
            wait.behind or await self._beginning(run, own),
            "",
            *file_under(wait.event_name, wait.if_, own),
        )
        holds = _condition(wait.if_, own)
        while True:
            async with self._asking:
                answer = await self._committer.add(write)
            if not isinstance(answer, ToLookAt):
                return run.began(answer)
            match = await self._first(answer.entries, wait.event_name, holds)
            if match is not None:
                return await self._matched(run, write, match)
            write = write._replace(seen=run.seen, looked=answer.entries[-1].id)

    async def _beginning(self, run: RunInHand, own: Mapping[str, Any]) -> str:
        """The entry that started the run; "" when none did, or several: the store knows from where on it sees events."""
        if run.begun_by_batch:
            return ""
        # A system event may have started it. But most such runs were invoked or are a tick's: then there is no entry, and
        # trying 20,000 would take 20 ms.
        if own["name"].startswith(SYSTEM_PREFIX) and await self._runs.begun_without_event(run.run_id):
            return ""
        return entry_of_run(run.run_id, run.claimed.function, run.claimed.created_at_ms)

    async def _first(self, entries: Sequence[Entry], name: str, holds: Callable[[Any], bool]) -> Entry | None:
        made: dict[str, Made] = {}
        for number, entry in enumerate(entries):
            if is_reference(entry):
                if name_of(entry) != name:
                    continue
                if entry.id not in made:
                    ahead = [one for one in entries[number:] if is_reference(one) and name_of(one) == name]
                    made = await self._system.made(ahead)
                entry = Entry(entry.id, made[entry.id].blob)
            if not entry.blob:
                continue  # it was large, and Redis has not kept it; or the run that it is about
            try:
                head = read_head(entry.blob)
                if head.name == name and holds(head.scope(entry.id)):
                    return entry
            except Exception as error:  # whatever is wrong with an event, it is not this run's fault
                self._note_unreadable(entry.id, name, error)
        return None

    async def _matched(self, run: RunInHand, write: AwaitWrite, match: Entry) -> int:
        blob = b"%b %b" % (match.id.encode(), match.blob)
        recorded: Recorded = await self._committer.add(
            StepWrite(run.run_id, run.claimed.epoch, run.seen, write.key, str(MemoKind.MATCHED), blob, write.note)
        )
        memo = Memo(recorded.number, recorded.at_ms, MemoKind.MATCHED, blob)
        run.deliver(sorted([*recorded.news, (write.key, memo)], key=lambda told: told[1].number))
        return recorded.number

    def _note_unreadable(self, entry: str, name: str, error: Exception) -> None:
        if entry not in self._unreadable and len(self._unreadable) < UNREADABLE_MAX:
            self._unreadable.add(entry)
            self._log.warning("event.unreadable", entry=entry, name=name, error=f"{type(error).__name__}: {error}")


def _condition(if_: str | None, own: Mapping[str, Any]) -> Callable[[Any], bool]:
    if if_ is None:
        return lambda _arriving: True
    expression = condition(if_)
    return lambda arriving: expression.test({"event": own, "async": arriving})
