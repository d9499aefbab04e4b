"""Verbs of waits for events: begin them, tell routers what is waited for, deliver what was routed, forget names.

The protocol is decision 008. What is filed is `kind run key place until tail`; the tail is the caller's and opaque here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from durableq.store import records
from durableq.store.apart import with_news
from durableq.store.calls import BATCH, Calls
from durableq.store.events import Entry
from durableq.store.records import STALE, Recorded
from durableq.store.runs import Answers

PAGE_BYTES: Final = 256 * 1024
"""A page of entries to be looked through, or of what is filed, ends behind the one that passes this."""

WAKES: Final = 50
"""How many waits one call answers: at 40 us each 2 ms of Redis."""

WAKE_BYTES: Final = 1024 * 1024
"""How much one call writes into memos, each of which has the event."""


class AwaitWrite(NamedTuple):
    """A wait for an event. `behind` is the entry that the run's last wait of that name had, or that started the run ("": none
    did), `looked` the entry up to which the holder has looked by now ("": nowhere)."""

    run_id: str
    epoch: int
    seen: int
    key: str
    blob: bytes
    due_at_ms: int
    note: bytes
    event_name: str
    behind: str
    looked: str
    path: str
    bucket: str
    anyhow: str
    tail: bytes


class ToLookAt(NamedTuple):
    """Entries that must be looked at before the wait may begin. Those up to `since` may be of any name.

    An empty blob: the event was large, and is not kept any more.
    """

    entries: list[Entry]
    since: str


class Names(NamedTuple):
    """Names that something waits for, as far as they have changed: per name the paths by which waits are filed."""

    version: int
    paths: dict[str, list[str]]


class Filed(NamedTuple):
    """Something filed: kind 'v' (a wait) or 'x' (a listener that cancels), the run, its place in the stream, until when."""

    ticket: int
    kind: str
    run_id: str
    key: str
    place: str
    until_ms: int
    tail: bytes


class Page(NamedTuple):
    """A page of an entry's delivery. `number` and `above` say where the next page begins; number 0: there is none."""

    event_name: str
    entry: str
    blob: bytes
    bucket: str
    filed: list[Filed]
    number: int
    above: int


class InHands(NamedTuple):
    """All that is posted is being delivered by somebody, unless nothing more is heard of it in this time."""

    for_ms: int


class Delivered(NamedTuple):
    """Runs that an event reached, and how many entries of its name are still to be delivered."""

    now_ms: int
    reached: int
    left: int


class Retired(NamedTuple):
    """Names forgotten, whether there are more, and above which the next call is to trim buffers (0: all were)."""

    forgotten: int
    more: bool
    above: int


class Waits:
    """The waits for events of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def await_events(self, lease: str, writes: Sequence[AwaitWrite]) -> Answers:
        """Per item Recorded (at_ms 0: the wait is there, or its result is among the news), ToLookAt, or STALE."""
        reply = await self._calls.run("await_events", lease, BATCH, PAGE_BYTES, *chain.from_iterable(writes))
        return await begun_all(self._calls, reply, writes, _begun)

    async def read_names(self, version: int) -> Names:
        """What has changed since this version of the names; 0 for everything."""
        found: dict[str, list[str]] = {}
        while True:
            upto, told = await self._calls.run("read_names", version, BATCH)
            found.update({name.decode(): [path.decode() for path in paths] for name, paths in told})
            if len(told) < BATCH:
                return Names(upto, found)
            version = upto

    async def hears(self, event_name: str) -> bool:
        """Whether something waits for events of this name, or did lately."""
        return await self._calls.read("ZSCORE", self._calls.key("names"), event_name) is not None

    async def read_posts(self, after: Page | None = None) -> Page | None:
        """The first page of what is to be delivered next, or the one behind another. None: nothing, or somebody else's."""
        page = await self.next_post(after)
        return None if isinstance(page, InHands) else page

    async def next_post(self, after: Page | None = None) -> Page | InHands | None:
        """The same, telling nothing at all from what is somebody else's."""
        where = ("", "", 1, 0) if after is None else (after.event_name, after.entry, after.number, after.above)
        reply = await self._calls.run("read_posts", *where, BATCH, PAGE_BYTES)
        if not reply:
            return None
        if len(reply) == 1:
            return InHands(reply[0])
        name, entry, blob, bucket, flat, number, above = reply
        filed = [_filed(ticket, raw) for ticket, raw in zip(flat[::2], flat[1::2], strict=True)]
        return Page(name.decode(), entry.decode(), blob, bucket.decode(), filed, number, above)

    async def deliver_event(
        self, event_name: str, entry: str, tickets: Sequence[tuple[str, int]], *, done: bool, keep_failed: int
    ) -> Delivered:
        """Answer at most 100 (bucket, ticket) whose conditions hold. `done` after the last page. Raises PostMoved."""
        return Delivered(
            *await self._calls.run(
                "deliver_event", event_name, entry, int(done), keep_failed, *chain.from_iterable(tickets)
            )
        )

    async def answer(self, page: Page, tickets: Sequence[int], size: int, keep_failed: int) -> int:
        """Answer those of a page whose conditions hold with the event, of so many bytes, in as many calls as that is worth.

        Returns how many runs it reached. Raises PostMoved.
        """
        reached, step = 0, max(1, min(WAKES, WAKE_BYTES // max(1, size)))
        for start in range(0, max(1, len(tickets)), step):
            some = [(page.bucket, ticket) for ticket in tickets[start : start + step]]
            done = page.number == 0 and start + step >= len(tickets)
            answered = await self.deliver_event(page.event_name, page.entry, some, done=done, keep_failed=keep_failed)
            reached += answered.reached
        return reached

    async def retire_names(self, after_ms: int, above: int = 0) -> Retired:
        """Forget names that nothing has waited for in this time; trim the buffers of those behind `above`."""
        count, more, trimmed = await self._calls.run("retire_names", after_ms, BATCH, above)
        return Retired(count, more == 1, trimmed)


async def begun_all(
    calls: Calls, reply: Any, writes: Sequence[Any], read: Callable[[Any], Any] | None = None
) -> Answers:
    """The answers of a call that begins waits, with what the reply has left out."""
    now_ms, replies, *apart = reply
    answers = [(read or begun)(item) for item in replies]
    if apart:
        answers = await with_news(calls, answers, [write.run_id for write in writes])
    return Answers(now_ms, answers)


def begun(reply: Any) -> Any:
    """The answer of one item that begins a wait: Recorded or STALE."""
    if isinstance(reply, bytes):
        return STALE
    return Recorded(reply[0], 0, records.news(reply[1]))


def _begun(reply: Any) -> Any:
    if isinstance(reply, bytes) or reply[0] != -1:
        return begun(reply)
    _, entries, since = reply
    return ToLookAt([Entry(entry.decode(), fields[1]) for entry, fields in entries], since.decode())


def _filed(ticket: int, raw: bytes) -> Filed:
    kind, run_id, key, place, until_ms, tail = raw.split(b" ", 5)
    return Filed(ticket, kind.decode(), run_id.decode(), key.decode(), place.decode(), int(until_ms), tail)
