"""What tests of waits share: a run that waits for an event, entries of a name, routing and delivering as services do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from durableq.store.events import Decision
from durableq.store.failures import PostMoved
from durableq.store.waits import AwaitWrite, Page, ToLookAt
from durableq.words.ids import entry_of_run, is_run_id, run_created_at_ms, run_id
from tests.store.shard import Held, Shard

NAME = "order/paid"
BUCKET, ANYHOW = "b" * 24, "0" * 24


def wait_for(held: Held, key: str = "wait", function: str = "a/f", **changed: Any) -> AwaitWrite:
    """A wait by value, with a minute to go; every part may be another."""

    behind = entry_of_run(held.run, function, run_created_at_ms(held.run)) if is_run_id(held.run) else ""
    write = AwaitWrite(
        held.run, held.epoch, 0, key, b"waiting", 0, b"note", NAME, behind, "", "data.id", BUCKET, ANYHOW, b"tail"
    )
    return write._replace(**changed)


async def begin(shard: Shard, held: Held, key: str = "wait", **changed: Any) -> Any:
    """Begin a wait; looks through everything that is there already and finds that nothing of it matches."""
    write = wait_for(held, key, **({"due_at_ms": shard.now_ms + 60_000} | changed))
    while True:
        (answer,) = (await shard.waits.await_events(held.lease, [write])).items
        if not isinstance(answer, ToLookAt):
            return answer
        write = write._replace(looked=answer.entries[-1].id)


async def ask(shard: Shard, held: Held, **changed: Any) -> Any:
    """Ask once to begin a wait."""
    write = wait_for(held, **({"due_at_ms": shard.now_ms + 60_000} | changed))
    return (await shard.waits.await_events(held.lease, [write])).items[0]


async def awaiting(shard: Shard, key: str = "wait", **changed: Any) -> Held:
    """A run in hand that waits for an event."""
    held = await shard.claimed()
    await begin(shard, held, key, **changed)
    return held


async def asleep(shard: Shard, key: str = "wait", **changed: Any) -> Held:
    """A suspended run that waits for an event."""
    held = await awaiting(shard, key, **changed)
    assert await shard.suspend(held) is None
    return held


async def names(shard: Shard) -> int:
    return int((await shard.stored()).of("meta").get("names", 0))


async def accept(shard: Shard, blob: bytes = b"paid") -> str:
    (entry,) = await shard.sent(blob=blob)
    return entry


async def route(
    shard: Shard,
    entries: Sequence[str],
    buckets: Sequence[str] = (BUCKET,),
    starts: Sequence[str] = (),
    name: str = NAME,
) -> Any:
    """Route entries of one name; each also starts a run of these functions."""
    backlog = await shard.events.unrouted(1)
    decisions = []
    for entry in entries:
        decisions += [Decision("run", entry, run_id(entry, function, 0), function) for function in starts]
        decisions.append(Decision("heard", entry, function=name, detail=" ".join(buckets).encode()))
    return await shard.events.route_events(
        backlog.cursor, entries[-1], backlog.registry, len(entries), decisions, 100_000, await names(shard)
    )


async def happened(shard: Shard, blob: bytes = b"paid", **options: Any) -> str:
    """An event of the name, accepted and routed. Returns its entry."""
    entry = await accept(shard, blob)
    await route(shard, [entry], **options)
    return entry


async def deliver(shard: Shard, matches: Any = lambda filed: True) -> int:
    """Deliver everything that is posted, as a worker does. Returns the runs reached."""
    reached = 0
    while (page := await shard.waits.read_posts()) is not None:
        reached += await deliver_entry(shard, page, matches)
    return reached


async def deliver_entry(shard: Shard, page: Page | None, matches: Any = lambda filed: True) -> int:
    reached = 0
    while page is not None:
        tickets = [(page.bucket, filed.ticket) for filed in page.filed if matches(filed)]
        try:
            done = await shard.waits.deliver_event(
                page.event_name, page.entry, tickets, done=page.number == 0, keep_failed=100
            )
        except PostMoved:
            break
        reached += done.reached
        page = await shard.waits.read_posts(page) if page.number else None
    return reached


async def memo(shard: Shard, run: str, key: str = "wait") -> str:
    found = (await shard.stored()).of("steps", run)[key]
    return found if isinstance(found, str) else found.decode("latin-1")


def listener(
    until_ms: int = 0, bucket: str = BUCKET, tail: bytes = b"tail", flags: str = "-", start_ms: int = 0
) -> bytes:
    """What dress_run reads: one listener."""
    one = f"data.id {bucket} {ANYHOW} {until_ms} {len(NAME)} {NAME}".encode() + tail
    return f"{flags} {start_ms} {len(one)} ".encode() + one
