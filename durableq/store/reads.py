"""What screens and command lines read: runs, functions, leases. Nothing here decides anything.

Lists are read index by index: a run is in exactly one of ready, suspects, a held set, waiting or done (run.py's invariants
2 to 5), so these are the index of runs by function, state and time, without another copy.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from durableq.model.memo import Memo
from durableq.model.run import FINAL, State
from durableq.store import records
from durableq.store.calls import Calls
from durableq.store.records import HistoryEntry
from durableq.words.ids import run_created_at_ms

BEGINNING_BYTES = 2048
"""Of an input: more than the name and the id of an event take, 256 characters each."""

_FIELDS = ("s", "f", "c", "b", "e", "n", "a", "d", "x", "l", "q", "m", "u", "v", "r")


class RunRow(NamedTuple):
    """A run as lists show it. Times in ms; 0: not yet."""

    id: str
    state: State
    function: str
    created_at_ms: int
    begun_at_ms: int
    ended_at_ms: int
    epoch: int
    attempt: int
    due_at_ms: int
    deaths: int
    lease: str
    results: int
    size_bytes: int
    """What it is counted with, from its first claim on."""
    parent: str = ""
    """The run that invoked it; "" for none."""
    rerun_of: str = ""
    """The run whose work it does again; "" for none."""
    rerun_as: str = ""
    """The newest run that does its work again; "" for none."""


class RunDetails(NamedTuple):
    """Everything that is kept of a run. `output` is encoded: a result if completed, a failure if failed."""

    row: RunRow
    input: bytes
    memos: dict[str, Memo]
    history: list[HistoryEntry]
    output: bytes
    notes: dict[str, bytes]
    """Per recorded step what it says to screens."""


class LeaseRow(NamedTuple):
    """A child at work."""

    lease: str
    worker: str
    apps: tuple[str, ...]
    release: str
    functions: tuple[str, ...]
    in_hand: int
    expires_at_ms: int


class QueueRow(NamedTuple):
    """How many runs of a function are in each place."""

    ready: int
    waiting: int
    completed: int
    failed: int
    cancelled: int


class Reads:
    """Reading verbs of one shard."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def row(self, run_id: str) -> RunRow | None:
        return _row(run_id, await self._calls.read("HMGET", self._calls.key("run", run_id), *_FIELDS))

    async def output(self, run_id: str) -> bytes:
        """What a run came to, encoded: a result or a failure; b"" for nothing."""
        found: bytes | None = await self._calls.read("GET", self._calls.key("output", run_id))
        return found or b""

    async def details(self, run_id: str) -> RunDetails | None:
        key, read = self._calls.key, self._calls.read
        fields, given, steps, history, output = await asyncio.gather(
            read("HMGET", key("run", run_id), *_FIELDS),
            read("GET", key("input", run_id)),
            read("HGETALL", key("steps", run_id)),
            read("LRANGE", key("history", run_id), 0, -1),
            read("GET", key("output", run_id)),
        )
        row = _row(run_id, fields)
        if row is None:
            return None
        entries = [records.history_entry(raw) for raw in history]
        notes = {step.decode(): note for step, raw in records.pairs(steps) if (note := records.note(raw))}
        return RunDetails(row, given or b"", records.memos(steps), entries, output or b"", notes)

    async def states(self, run_ids: Sequence[str]) -> dict[str, State]:
        """The states of those that are there."""
        read, key = self._calls.read, self._calls.key
        found = await asyncio.gather(*(read("HGET", key("run", run_id), "s") for run_id in run_ids))
        return {run_id: State(raw.decode()) for run_id, raw in zip(run_ids, found, strict=True) if raw is not None}

    async def newest(self, functions: Sequence[str], states: Iterable[State], limit: int) -> list[RunRow]:
        """The newest runs of these functions in these states, at most `limit`."""
        wanted = set(states)
        ids = await self._ids(functions, wanted, limit)
        if len(wanted) > 1 and not wanted <= FINAL:
            # Between two of these reads a run may have moved from an index that was yet to be read to one that had been.
            ids |= await self._ids(functions, wanted, limit)
        newest = sorted(ids, reverse=True)
        known = set(functions)
        rows: list[RunRow] = []
        for start in range(0, len(newest), 100):
            if len(rows) >= limit:
                break
            page = await asyncio.gather(*(self.row(run_id) for run_id in newest[start : start + 100]))
            rows += [row for row in page if row is not None and row.function in known and row.state in wanted]
        return rows[:limit]

    async def begun_after(self, function: str, from_ms: int, limit: int) -> list[tuple[str, bytes]]:
        """The first runs of a function that were created from then on, and the beginning of what each was given.

        Those in hand are left out. Name and id of an event are within it.
        """
        key, read = self._calls.key, self._calls.read
        indexes = [key(name, argument) for name, argument in _indexes(function, set(State))]
        found = await asyncio.gather(
            *(read("ZRANGEBYSCORE", index, from_ms, "+inf", "LIMIT", 0, limit) for index in indexes)
        )
        ids = sorted({raw.decode() for members in found for raw in members}.union(await self._in_lanes(function)))
        after = [run_id for run_id in ids if run_created_at_ms(run_id) >= from_ms][:limit]
        inputs = await asyncio.gather(
            *(read("GETRANGE", key("input", run_id), 0, BEGINNING_BYTES - 1) for run_id in after)
        )
        return list(zip(after, inputs, strict=True))

    async def _ids(self, functions: Sequence[str], wanted: set[State], limit: int) -> set[str]:
        """What is in the indexes of these states, read in the order in which runs pass through them."""
        ids: set[str] = set()
        if State.QUEUED in wanted:
            for app in {function.partition("/")[0] for function in functions}:
                ids.update(await self._index("suspects", app, limit))
        for function in functions:
            for name in _indexes(function, wanted & {State.QUEUED}):
                ids.update(await self._index(*name, limit))
            if State.QUEUED in wanted:
                ids.update(heapq.nlargest(limit, await self._in_lanes(function)))
        if State.RUNNING in wanted:
            ids.update(await self._in_hand())
        for function in functions:
            for name in _indexes(function, wanted - {State.QUEUED}):
                ids.update(await self._index(*name, limit))
        return ids

    async def _index(self, name: str, argument: str, limit: int) -> list[str]:
        found = await self._calls.read("ZREVRANGE", self._calls.key(name, argument), 0, limit - 1)
        return [run_id.decode() for run_id in found]

    async def _in_lanes(self, function: str) -> set[str]:
        """The queued runs of a function that need something to be claimed. In no order, but ids sort by time."""
        found: set[str] = set()
        cursor = b"0"
        while True:
            cursor, members = await self._calls.read("SSCAN", self._calls.key("gated", function), cursor, "COUNT", 1000)
            found.update(run_id.decode() for run_id in members)
            if cursor in (b"0", 0):
                return found

    async def _in_hand(self) -> list[str]:
        key, read = self._calls.key, self._calls.read
        leases = [*await read("ZRANGE", key("leases"), 0, -1), *await read("ZRANGE", key("dead"), 0, -1)]
        held = await asyncio.gather(*(read("SMEMBERS", key("held", lease.decode())) for lease in leases))
        return [run_id.decode() for members in held for run_id in members]

    async def functions_with_runs(self) -> list[str]:
        """Full ids of functions that have ready or finished runs, registered or not: a retired one may still have some."""
        key, read = self._calls.key, self._calls.read
        apps = [app.decode() for app in await read("SMEMBERS", key("apps"))]
        ready = await asyncio.gather(*(read("ZRANGE", key("work", app), 0, -1) for app in apps))
        finished = await read("SMEMBERS", key("kept"))
        found = {name.decode().rstrip("*") for names in ready for name in names}  # a star: with open lanes
        found.update(name.decode().rpartition(":")[0] for name in finished)
        return sorted(found)

    async def queue(self, function: str) -> QueueRow:
        key, read = self._calls.key, self._calls.read
        counts = await asyncio.gather(
            read("ZCARD", key("ready", function)),
            read("ZCARD", key("waiting", function)),
            read("ZCARD", key("done", f"{function}:{State.COMPLETED.value}")),
            read("ZCARD", key("done", f"{function}:{State.FAILED.value}")),
            read("ZCARD", key("done", f"{function}:{State.CANCELLED.value}")),
        )
        gated = await read("SCARD", key("gated", function))
        return QueueRow(counts[0] + gated, *counts[1:])

    async def leases(self) -> list[LeaseRow]:
        """Every living child."""
        key, read = self._calls.key, self._calls.read
        expiries = {
            raw.decode(): int(float(expiry))
            for raw, expiry in records.pairs(await read("ZRANGE", key("leases"), 0, -1, "WITHSCORES"))
        }
        # All at once: one after the other is a round trip for each of a hundred children.
        read_leases = await asyncio.gather(
            *(
                asyncio.gather(read("HGETALL", key("lease", lease)), read("SCARD", key("held", lease)))
                for lease in expiries
            )
        )
        return [
            _lease(lease, dict(records.pairs(fields)), in_hand, expiry)
            for (lease, expiry), (fields, in_hand) in zip(expiries.items(), read_leases, strict=True)
        ]

    async def aside(self) -> Sequence[tuple[int, str, str]]:
        """Events that could not be routed: (at ms, entry, reason), newest last."""
        found = []
        for raw in await self._calls.read("LRANGE", self._calls.key("aside"), 0, -1):
            at_ms, entry, reason = raw.decode("utf-8", "replace").split(" ", 2)
            found.append((int(at_ms), entry, reason))
        return found

    async def namespace(self) -> dict[str, str]:
        """The namespace's own fields."""
        flat = await self._calls.read("HGETALL", self._calls.key("meta"))
        return {name.decode(): value.decode() for name, value in records.pairs(flat)}


def _indexes(function: str, states: set[State]) -> list[tuple[str, str]]:
    found = []
    if State.QUEUED in states:
        found.append(("ready", function))
    if State.WAITING in states:
        found.append(("waiting", function))
    found += [("done", f"{function}:{state.value}") for state in FINAL if state in states]
    return found


def _row(run_id: str, fields: Sequence[Any]) -> RunRow | None:
    if fields[0] is None:
        return None
    state, function, created, begun, ended, epoch, attempt, due, deaths, lease, results, size, parent, *again = (
        "" if value is None else value.decode() for value in fields
    )
    return RunRow(
        run_id,
        State(state),
        function,
        int(created or 0),
        int(begun or 0),
        int(ended or 0),
        int(epoch or 0),
        int(attempt or 0),
        int(due or 0),
        int(deaths or 0),
        lease,
        int(results or 0),
        int(size or 0),
        parent.partition(" ")[0],
        *again,
    )


def _lease(lease: str, fields: dict[bytes, bytes], in_hand: int, expires_at_ms: int) -> LeaseRow:
    functions = tuple(sorted(name[2:].decode() for name in fields if name.startswith(b"f:")))
    return LeaseRow(
        lease,
        fields.get(b"worker", b"").decode(),
        tuple(fields.get(b"apps", b"").decode().split()),
        fields.get(b"release", b"").decode(),
        functions,
        in_hand,
        expires_at_ms,
    )
