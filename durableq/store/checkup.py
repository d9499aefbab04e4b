"""What a check-up reads: the server about itself, round trips, and a few figures of a namespace. Nothing here writes.

Authority: none. Every read is bounded, and each may be forbidden or unknown to a server (a managed service, an ACL, a
fake): it is then None, or left out, and never an error. Only a server that does not answer is one (Unavailable).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from redis.exceptions import ResponseError

from durableq.model.filing import ANYHOW, bucket_of
from durableq.store import records
from durableq.store.calls import Calls
from durableq.store.events import Events
from durableq.store.failures import StoreError, Unavailable
from durableq.words.clock import Clock
from durableq.words.errors import QueueFull, RedisRefused, StateLost

REFUSALS: Final = (ResponseError, StoreError, RedisRefused, QueueFull)
"""What a server says that will not let us look."""

SCRIPT_PATIENCE_S: Final = 2.0
MEMOS_READ_MAX: Final = 65_536
"""Of a run that is counted with more bytes than this the memos are not read."""
ASIDE_MARK: Final = ("apps", "events", "leases", "timers")
"""Keys that a namespace in use has beside `meta`, in the order in which they come to be."""

T = TypeVar("T")


class Due(NamedTuple):
    """What waits for its time: how much of it, how much is due, and when the first of all is (ms; 0: there is none)."""

    pending: int
    due: int
    first_at_ms: int


class Progress(NamedTuple):
    """A run in hand, and when it last came in hand for the first time, recorded or waited (ms)."""

    run: str
    function: str
    at_ms: int


class Awaited(NamedTuple):
    """Waits for events: of how many each name's condition is looked for without an index, what is to be delivered since when
    (ms; 0: nothing is), and how many ended runs still have something hanging on them."""

    unindexed: Mapping[str, int]
    posts: int
    first_post_ms: int
    void: int


class ScriptTrips(NamedTuple):
    """How long scripts took, in ms; or why none was run, and whether that is for now only (no writes) or for good."""

    taken_ms: tuple[float, ...] = ()
    refusal: str = ""
    put_off: bool = False


class Checkup:
    """The reads of a check-up, over one shard."""

    __slots__ = ("_calls", "_clock")

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock

    # the server

    async def greet(self, within_s: float) -> None:
        """Hear one reply. Raises Unavailable, or RedisRefused."""
        await self._calls.link.within(within_s, self._calls.read("TIME"))

    async def info(self) -> dict[str, str] | None:
        """What INFO says; None where it is cut."""
        raw = await permitted(self._calls.read("INFO"))
        if raw is None:
            return None
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line) or None

    async def settings(self, names: Sequence[str]) -> dict[str, str]:
        """Those of these settings that CONFIG GET tells."""
        found: dict[str, str] = {}
        for reply in await asyncio.gather(*(permitted(self._calls.read("CONFIG", "GET", name)) for name in names)):
            found.update({_text(name): _text(value) for name, value in records.pairs(reply or ())})
        return found

    async def server_ms(self) -> int:
        """The server's time, or what tests have made of it."""
        if self._calls.now_ms is not None:
            return self._calls.now_ms
        seconds, micros = await self._calls.read("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def round_trips(self, count: int, within_ms: float) -> list[float]:
        """How long a call takes that asks for next to nothing, one after the other, in ms; at most so many, for so long.

        Not PING: while Redis cannot write its files, it refuses that with the writes.
        """
        taken: list[float] = []
        while len(taken) < count and sum(taken) < within_ms:
            begun_ms = self._clock.monotonic_ms()
            await permitted(self._calls.read("TIME"))
            taken.append(self._clock.monotonic_ms() - begun_ms)
        return taken

    async def script_trips(self, count: int, within_ms: float, identity: str) -> ScriptTrips:
        """How long a script takes that reads a few fields; at most so many, for so long.

        It is not timed before Redis knows it. StateLost is what it answers in a namespace that does not exist: it was run.
        """
        calls = Calls(self._calls.link, self._calls.scripts, self._calls.keys)
        calls.identity, calls.now_ms = identity, self._calls.now_ms
        events = Events(calls)
        taken: list[float] = []
        known = False
        while len(taken) < count and sum(taken) < within_ms:
            begun_ms = self._clock.monotonic_ms()
            try:
                await events.unrouted(0, SCRIPT_PATIENCE_S)
            except StateLost:
                pass
            except (*REFUSALS, Unavailable) as error:
                return ScriptTrips((), str(error), isinstance(error, Unavailable))
            if known:
                taken.append(self._clock.monotonic_ms() - begun_ms)
            known = True
        return ScriptTrips(tuple(taken))

    # the namespace

    async def meta(self) -> dict[str, str] | None:
        """The namespace's own fields; empty where it has none."""
        flat = await permitted(self._calls.read("HGETALL", self._calls.key("meta")))
        return None if flat is None else {_text(name): _text(value) for name, value in records.pairs(flat)}

    async def traces(self) -> bool:
        """Whether a namespace without `meta` has other keys, so that it is not new."""
        there = await asyncio.gather(
            *(permitted(self._calls.read("EXISTS", self._calls.key(name))) for name in ASIDE_MARK)
        )
        return any(there)

    async def due(self, name: str, now_ms: int) -> Due | None:
        """What is due in `timers` or `crons`."""
        key, read = self._calls.key(name), self._calls.read
        pending, due, head = await asyncio.gather(
            permitted(read("ZCARD", key)),
            permitted(read("ZCOUNT", key, "-inf", now_ms)),
            permitted(read("ZRANGE", key, 0, 0, "WITHSCORES")),
        )
        if pending is None or due is None or head is None:
            return None
        first = next((int(float(at_ms)) for _, at_ms in records.pairs(head)), 0)
        return Due(pending, due, first)

    async def suspects(self, apps: Sequence[str]) -> dict[str, int]:
        """Per app how many runs wait that must be executed alone, where there are any."""
        counts = await asyncio.gather(
            *(permitted(self._calls.read("ZCARD", self._calls.key("suspects", app))) for app in apps)
        )
        return {app: count for app, count in zip(apps, counts, strict=True) if count}

    async def set_aside(self) -> tuple[int, str] | None:
        """How many events could not be routed, and the latest reason."""
        key = self._calls.key("aside")
        count, last = await asyncio.gather(
            permitted(self._calls.read("LLEN", key)), permitted(self._calls.read("LINDEX", key, -1))
        )
        if count is None:
            return None
        return count, _text(last).split(" ", 2)[-1] if last else ""

    async def first_unrouted_ms(self, cursor: str) -> int:
        """When the oldest event that nobody has routed was accepted; 0 when there is none."""
        entries = await permitted(self._calls.read("XRANGE", self._calls.key("events"), f"({cursor}", "+", "COUNT", 1))
        return int(_text(entries[0][0]).partition("-")[0]) if entries else 0

    async def awaited(self, names_max: int) -> Awaited | None:
        """Waits for events, of at most so many names."""
        key, read = self._calls.key, self._calls.read
        names, posts, void = await asyncio.gather(
            permitted(read("ZREVRANGE", key("names"), 0, names_max - 1)),
            permitted(read("ZRANGE", key("posts"), 0, names_max - 1)),
            permitted(read("SCARD", key("void"))),
        )
        if names is None or posts is None or void is None:
            return None
        known = [_text(name) for name in names]
        buckets = [bucket_of(name, ANYHOW, "") for name in known]
        counts, heads, waiting = await asyncio.gather(
            asyncio.gather(*(permitted(read("ZCARD", key("waits", bucket))) for bucket in buckets)),
            asyncio.gather(*(permitted(read("LINDEX", key("post", _text(name)), 0)) for name in posts)),
            permitted(read("HGET", key("meta"), "posts")),
        )
        times = [int(_text(head[: head.index(b"-")])) for head in heads if head and b"-" in head[:20]]
        unindexed = {name: count for name, count in zip(known, counts, strict=True) if count}
        return Awaited(unindexed, int(waiting or 0), min(times, default=0), void)

    async def releases(self, app: str) -> dict[str, int]:
        """The app's releases by name, with their numbers; the newest number under ''."""
        flat = await permitted(self._calls.read("HGETALL", self._calls.key("deployments", app)))
        return {_text(name): int(number) for name, number in records.pairs(flat or ())}

    async def progress(self, lease: str, limit: int) -> list[Progress]:
        """Of at most `limit` runs that this lease has in hand, when each last got on.

        Left out: a run of which that cannot be told cheaply (many memos), or at all (its last note is a failed attempt,
        and how long the delay after it was is not kept).
        """
        held = await permitted(self._calls.read("SRANDMEMBER", self._calls.key("held", lease), limit))
        found = await asyncio.gather(*(self._progress_of(_text(run)) for run in held or ()))
        return [progress for progress in found if progress is not None]

    async def _progress_of(self, run: str) -> Progress | None:
        key, read = self._calls.key, self._calls.read
        fields, noted = await asyncio.gather(
            permitted(read("HMGET", key("run", run), "s", "f", "b", "m")),
            permitted(read("LINDEX", key("history", run), -1)),
        )
        if not fields or fields[0] != b"r" or int(fields[3] or 0) > MEMOS_READ_MAX:
            return None
        entry = records.history_entry(noted) if noted else None
        if entry is not None and entry.verb == "retry":
            return None
        memos = records.memos(await permitted(read("HGETALL", key("steps", run))) or ())
        times = [int(fields[2] or 0), *(memo.at_ms for memo in memos.values())]
        return Progress(run, _text(fields[1]), max(*times, entry.at_ms if entry else 0))


async def permitted(reply: Awaitable[T]) -> T | None:
    """The reply, or None where the server will not let us look."""
    try:
        return await reply
    except REFUSALS:
        return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def replicas_in(info: Mapping[str, str]) -> list[dict[str, str]]:
    """The replicas that INFO lists: slave0:ip=…,port=…,state=online,offset=…,lag=…"""
    lines = [value for name, value in info.items() if name.startswith("slave") and name[5:].isdecimal()]
    return [dict(part.split("=", 1) for part in line.split(",") if "=" in part) for line in lines]
