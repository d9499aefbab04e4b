"""What screens read of flow control: gates with parked lanes, holders of slots, what is held back. Nothing here decides.

Every read is bounded, and what is left out is counted: a function may have ten thousand keys. Reads that belong together travel
together; only the walk through the gates of a function is one call after the other, of `PAGE` gates each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from durableq.store.calls import Calls
from durableq.store.records import pairs

PAGE: Final = 100
"""Some 2 ms of Redis."""
GATES_MAX: Final = 20_000
"""Of one function: two hundred calls. What is beyond is counted, and not looked at."""
IN_HAND_MAX: Final = 1_000
"""Runs of which is read what they hold, over all leases."""
WAITING_MAX: Final = 200
"""The same of a function's waiting runs, which may keep slots until their end."""
SHARERS_MAX: Final = 50


class GateRow(NamedTuple):
    """A gate at which lanes of a function are parked. Times in ms, 0: none."""

    name: str
    letter: str
    """c, r: concurrency; t: throttle; z: singleton."""
    ordinal: str
    lanes: int
    runs: int
    """In `looked` of the lanes: all of them, up to ten."""
    looked: int
    oldest_ms: int
    oldest_run: str
    taken: int
    number: int | None
    """How many may have a slot; None where the limit was removed, and of a throttle."""
    stands_ms: float
    """Of a throttle: the time at which the next start would be due if all were evenly spaced."""
    timer_ms: int
    hopeful: bool
    """Whether an open lane or a timer is going to open it, if it has room."""


class Gates(NamedTuple):
    """Gates of a function, and how many more there are that were not looked at."""

    now_ms: int
    rows: list[GateRow]
    unseen: int


class Holder(NamedTuple):
    """A run that has a slot, and when it began."""

    run: str
    begun_ms: int


class Holding(NamedTuple):
    """What a run holds: its function, state, and the pools with their letters."""

    run: str
    function: str
    held: list[tuple[str, str, str]]
    """Letter, ordinal, pool."""
    leaving: bool = False
    """It was cancelled, and its body has not ended."""


class Standing(NamedTuple):
    """The gate at which a queued run's lane is parked, and how many runs of the lane go before it."""

    letter: str
    ordinal: str
    name: str
    ahead: int


class Held(NamedTuple):
    """An event, or a batch of them, that is held back. Times in ms."""

    letter: str
    """D: debounce, B: batch."""
    key: str
    since_ms: int
    fires_ms: int
    """0: it has no timer."""
    run: str
    """The run that it is going to be, unless it is skipped then."""
    place: str
    """The event that is kept, or came last."""
    events: int


class FlowReads:
    """Flow control of one shard, as it is looked at."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def now_ms(self) -> int:
        """The server's time, or what tests have made of it."""
        if self._calls.now_ms is not None:
            return self._calls.now_ms
        seconds, micros = await self._calls.read("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def numbers(self, apps: Sequence[str]) -> dict[str, str]:
        """The numbers of flow control in force, by full id of the function."""
        found = await asyncio.gather(*(self._calls.read("HGETALL", self._calls.key("flow", app)) for app in apps))
        return {
            f"{app}/{name.decode()}": text.decode()
            for app, flat in zip(apps, found, strict=True)
            for name, text in pairs(flat)
        }

    async def gates(self, function: str, at_most: int = GATES_MAX) -> Gates:
        """The gates at which lanes of a function are parked."""
        cursor, now_ms = "0", 0
        rows: dict[str, GateRow] = {}
        for _ in range(max(1, at_most // PAGE)):
            now_ms, beyond, page = await self._calls.run("read_gates", function, cursor, PAGE)
            rows.update({row.name: row for row in map(_gate, page)})
            cursor = beyond.decode() if isinstance(beyond, bytes) else str(beyond)
            if cursor == "0":
                return Gates(now_ms, list(rows.values()), 0)
        total = await self._calls.read("SCARD", self._calls.key("blocked", function))
        return Gates(now_ms, list(rows.values()), max(0, total - len(rows)))

    async def blocked(self, functions: Sequence[str]) -> list[str]:
        """Those of these functions that have lanes parked anywhere."""
        there = await asyncio.gather(
            *(self._calls.read("EXISTS", self._calls.key("blocked", function)) for function in functions)
        )
        return [function for function, exists in zip(functions, there, strict=True) if exists]

    async def sharers(self, pool: str) -> list[str]:
        """Functions that have lanes parked at a shared pool, at most 50; not those of which one was opened just now."""
        found = await self._calls.read("ZRANGE", self._calls.key("sharers", pool), 0, SHARERS_MAX - 1)
        return sorted(raw.decode() for raw in found)

    async def holders(self, pool: str, limit: int) -> tuple[int, list[Holder]]:
        """How many runs have a slot of a pool, and some of them, those first that began first."""
        key, read = self._calls.key, self._calls.read
        count, runs = await asyncio.gather(
            read("SCARD", key("slots", pool)), read("SRANDMEMBER", key("slots", pool), limit)
        )
        begun = await asyncio.gather(*(read("HGET", key("run", run.decode()), "b") for run in runs))
        found = [Holder(run.decode(), int(at_ms or 0)) for run, at_ms in zip(runs, begun, strict=True)]
        return count, sorted(found, key=lambda holder: (holder.begun_ms, holder.run))

    async def in_hand(self, at_most: int = IN_HAND_MAX) -> tuple[list[Holding], int]:
        """What runs in hand hold, and those whose bodies are to end; and how many runs were not looked at."""
        key, read = self._calls.key, self._calls.read
        leases = [
            raw.decode()
            for raw in (await read("ZRANGE", key("leases"), 0, -1)) + (await read("ZRANGE", key("dead"), 0, -1))
        ]
        counts = await asyncio.gather(*(read("SCARD", key("held", lease)) for lease in leases))
        share = max(1, at_most // max(1, sum(count > 0 for count in counts)))
        taken = await asyncio.gather(
            *(read("SRANDMEMBER", key("held", lease), share) for lease, n in zip(leases, counts, strict=True) if n)
        )
        left = await asyncio.gather(*(read("HSCAN", key("leaving", lease), 0, "COUNT", share) for lease in leases))
        runs = [raw.decode() for members in taken for raw in members][:at_most]
        leaving = []
        for _, flat in left:
            for run, text in pairs(flat):
                function, _, held = text.decode().partition(" ")
                leaving.append(Holding(run.decode(), function, _pools(held), leaving=True))
        return await self._holdings(runs, "r") + leaving[:at_most], max(0, sum(counts) - len(runs))

    async def waiting(self, function: str, at_most: int = WAITING_MAX) -> tuple[list[Holding], int]:
        """What the oldest waiting runs of a function hold; and how many runs were not looked at."""
        read, key = self._calls.read, self._calls.key("waiting", function)
        count, found = await asyncio.gather(read("ZCARD", key), read("ZRANGE", key, 0, at_most - 1))
        return await self._holdings([raw.decode() for raw in found], "w"), max(0, count - len(found))

    async def _holdings(self, runs: Sequence[str], state: str) -> list[Holding]:
        read, key = self._calls.read, self._calls.key
        fields = await asyncio.gather(*(read("HMGET", key("run", run), "s", "f", "j", "b") for run in runs))
        return [
            Holding(run, function.decode(), _pools(place.decode(), "crz" if state == "r" else "rz"))
            for run, (letter, function, place, begun) in zip(runs, fields, strict=True)
            if place and begun and letter == state.encode()
        ]

    async def standings(self, runs: Sequence[tuple[str, str]]) -> dict[str, Standing]:
        """Of queued runs (id, function) those whose lane is parked: where, and how many of the lane go before them."""
        read, key = self._calls.read, self._calls.key
        places = await asyncio.gather(*(read("HMGET", key("run", run), "s", "j", "b") for run, _ in runs))
        lanes = {
            run: (function, f"{function}{_needs(place.decode(), begun is not None)}")
            for (run, function), (state, place, begun) in zip(runs, places, strict=True)
            if place and state == b"q"
        }
        parked = await asyncio.gather(*(self._parked_at(*lane) for lane in dict.fromkeys(lanes.values())))
        at = dict(zip(dict.fromkeys(lanes.values()), parked, strict=True))
        waits = [(run, lane) for run, lane in lanes.items() if at[lane] is not None]
        ranks = await asyncio.gather(*(self._calls.read("ZRANK", key("lane", lane[1]), run) for run, lane in waits))
        # Without a rank it is among those that are executed alone, which are in no lane.
        return {
            run: Standing(*gate, rank)
            for (run, lane), rank in zip(waits, ranks, strict=True)
            if rank is not None and (gate := at[lane]) is not None
        }

    async def _parked_at(self, function: str, lane: str) -> tuple[str, str, str] | None:
        gates = _pools(lane.removeprefix(function), "tcrz")
        read, key = self._calls.read, self._calls.key
        scores = await asyncio.gather(
            *(read("ZSCORE", key("parked", f"{name} {function}"), lane) for _, _, name in gates)
        )
        return next((gate for gate, score in zip(gates, scores, strict=True) if score is not None), None)

    async def opening(self, throttle: str) -> float:
        """Where a throttle stands: when the next start would be due if all were evenly spaced; 0 for one that is idle."""
        return float(await self._calls.read("GET", self._calls.key("tat", throttle)) or 0)

    async def queued(self, function: str) -> tuple[int, int]:
        """Runs of a function that need nothing to be claimed, and its open lanes, which a claim is going to visit."""
        read, key = self._calls.read, self._calls.key
        ready, lanes = await asyncio.gather(
            read("ZCARD", key("ready", function)), read("ZCARD", key("lanes", function))
        )
        return ready, lanes

    async def held_back(self, function: str, limit: int) -> tuple[int, list[Held]]:
        """How many debounces and batches of a function are pending, and those that began first."""
        key, read = self._calls.key("holding", function), self._calls.read
        count, found = await asyncio.gather(read("ZCARD", key), read("ZRANGE", key, 0, limit - 1, "WITHSCORES"))
        rows = await asyncio.gather(
            *(self._held_back(member.decode(), int(float(since))) for member, since in pairs(found))
        )
        return count, [row for row in rows if row is not None]

    async def _held_back(self, member: str, since_ms: int) -> Held | None:
        """None: it has fired meanwhile."""
        key, read = self._calls.key, self._calls.read
        letter, _, name = member.partition(" ")
        family, fields = ("debounce", ("id", "place")) if letter == "D" else ("batching", ("id", "place", "count"))
        due, values = await asyncio.gather(
            read("ZSCORE", key("timers"), member), read("HMGET", key(family, name), *fields)
        )
        if values[0] is None:
            return None
        run, place = values[0].decode(), (values[1] or b"").decode()
        events = int(values[2] or 0) if letter == "B" else 1
        return Held(letter, name, since_ms, int(float(due)) if due is not None else 0, run, place, events)

    async def window(self, key: str, limit: int, period_ms: int, now_ms: int) -> tuple[int, int]:
        """How many of a rate limit's key were admitted within the last period, and when there is room again (0: now).

        The list is as long as the limit: so its tail is looked for by halves.
        """
        name, read = self._calls.key("rate", key), self._calls.read
        low, high = 0, min(limit, await read("LLEN", name))
        while low < high:
            middle = (low + high) // 2
            at = await read("LINDEX", name, middle)
            low, high = (middle + 1, high) if at is not None and int(at) > now_ms - period_ms else (low, middle)
        last = await read("LINDEX", name, limit - 1) if low >= limit else None
        return low, int(last) + period_ms if last is not None else 0

    async def entries(self, places: Sequence[str]) -> dict[str, bytes]:
        """The events at these places of the stream, those that it still has."""
        name, read = self._calls.key("events"), self._calls.read
        found = await asyncio.gather(*(read("XRANGE", name, place, place) for place in places))
        return {place: entries[0][1][1] for place, entries in zip(places, found, strict=True) if entries}

    async def locks(self, keys: Sequence[str]) -> dict[str, str]:
        """The runs that these keys of singletons name, where they name any."""
        found = await asyncio.gather(*(self._calls.read("GET", self._calls.key("lock", key)) for key in keys))
        return {key: run.decode() for key, run in zip(keys, found, strict=True) if run is not None}


def _pools(text: str, letters: str = "crz") -> list[tuple[str, str, str]]:
    """Letter, ordinal and pool of each gate in ` t=… c0=pool r1=pool`."""
    found = []
    for part in text.split():
        head, equals, pool = part.partition("=")
        if equals and head[0] in letters:
            found.append((head[0], head[1:], pool))
    return found


def _needs(place: str, begun: bool) -> str:
    """What the lane of a run is named by, behind its function. One that has begun needs slots for a turn only."""
    gates = [part for part in place.split(" ") if "=" in part]
    return "".join(f" {gate}" for gate in gates if not begun or gate[0] in "pc")


def _gate(raw: Sequence[bytes | int]) -> GateRow:
    name, letter, ordinal, lanes, runs, looked, oldest, run, taken, number, stands, timer, hopeful = map(_text, raw)
    return GateRow(
        name,
        letter,
        ordinal,
        int(lanes),
        int(runs),
        int(looked),
        int(oldest),
        run,
        int(taken),
        int(number) if number else None,
        float(stands or 0),
        int(float(timer)) if timer else 0,
        hopeful == "1",
    )


def _text(raw: bytes | int) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)
