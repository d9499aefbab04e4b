"""What a check-up reads of flow control: lanes that nothing will open, slots and keys of ended runs, timers that are missing.

Each of these would be a fault of ours. What is looked at changes meanwhile, so a suspicion is looked at again before it is
told: lanes by the script that reads them, a slot, lock or timer by reading it once more. Reads only, and bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from durableq.store.calls import Calls
from durableq.store.checkup import REFUSALS
from durableq.store.flow import Flow
from durableq.store.flow_reads import FlowReads, GateRow
from durableq.store.registry import Noted, Registry
from durableq.words.errors import StateLost

FUNCTIONS_MAX: Final = 100
GATES_MAX: Final = 1_000
"""Of one function."""
POOLS_MAX: Final = 50
SLOTS_MAX: Final = 20
"""Of one pool."""
HELD_BACK_MAX: Final = 200
LOCKS_MAX: Final = 50
FINAL: Final = (None, b"c", b"f", b"x")


class Stuck(NamedTuple):
    """A gate that has room, or no timer, at which lanes are parked; and no open lane or timer that would open it."""

    function: str
    letter: str
    name: str
    lanes: int


class Leftover(NamedTuple):
    """A slot or a key of a run that has ended, or is not there."""

    name: str
    letter: str
    run: str
    key: str
    """The Redis key."""


class Untimed(NamedTuple):
    """A debounce or batch (D, B) without a timer."""

    function: str
    letter: str
    key: str


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What was found, and how much was looked at."""

    stuck: tuple[Stuck, ...] = ()
    slots: tuple[Leftover, ...] = ()
    locks: tuple[Leftover, ...] = ()
    untimed: tuple[Untimed, ...] = ()
    paused: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Full ids of paused functions: how, and since when."""
    key_faults: Mapping[str, Mapping[str, Noted]] = field(default_factory=dict)
    """Per function, by option, how often its key came to nothing, and why the last time."""
    gates: int = 0
    parked: int = 0
    held_back: int = 0
    unseen: int = 0
    """Gates that were not looked at."""


class FlowCheckup:
    """The reads of a check-up that concern flow control. `identity` is what `meta` says."""

    def __init__(self, calls: Calls, identity: str) -> None:
        self._calls = Calls(calls.link, calls.scripts, calls.keys)
        self._calls.identity, self._calls.now_ms = identity, calls.now_ms
        self._reads = FlowReads(self._calls)

    async def look(self, functions: Sequence[str]) -> FlowFacts | None:
        """At most a hundred of these functions; None where the server will not let us look."""
        try:
            return await self._look(functions)
        except (*REFUSALS, StateLost):
            return None

    async def _look(self, functions: Sequence[str]) -> FlowFacts:
        blocked = (await self._reads.blocked(functions))[:FUNCTIONS_MAX]
        pages = await asyncio.gather(*(self._reads.gates(function, GATES_MAX) for function in blocked))
        rows = [(function, row) for function, page in zip(blocked, pages, strict=True) for row in page.rows]
        limited = list(await self._reads.numbers(sorted({function.partition("/")[0] for function in functions})))
        paused, slots, locks, held_back = await asyncio.gather(
            self._paused(functions), self._slots(rows), self._locks(rows, limited), self._untimed(functions)
        )
        return FlowFacts(
            tuple(Stuck(function, row.letter, row.name, row.lanes) for function, row in rows if not row.hopeful),
            slots,
            locks,
            held_back[1],
            paused,
            await Registry(self._calls).key_faults(),
            gates=len(rows),
            parked=sum(row.runs for _, row in rows),
            held_back=held_back[0],
            unseen=sum(page.unseen for page in pages),
        )

    async def _paused(self, functions: Sequence[str]) -> dict[str, tuple[str, int]]:
        apps = sorted({function.partition("/")[0] for function in functions})
        found = await asyncio.gather(*(Flow(self._calls).paused(app) for app in apps))
        return {f"{app}/{name}": how for app, names in zip(apps, found, strict=True) for name, how in names.items()}

    async def _slots(self, rows: Sequence[tuple[str, GateRow]]) -> tuple[Leftover, ...]:
        """Slots that hold somebody up and whose run has ended, unless a lease says that its body has not."""
        read, key = self._calls.read, self._calls.key
        pools = {row.name: row.letter for _, row in rows if row.letter != "t" and row.taken}
        names = list(pools)[:POOLS_MAX]
        members = await asyncio.gather(*(read("SRANDMEMBER", key("slots", name), SLOTS_MAX) for name in names))
        slots = [(name, run.decode()) for name, runs in zip(names, members, strict=True) for run in runs]
        states = await asyncio.gather(*(read("HGET", key("run", run), "s") for _, run in slots))
        ended = [slot for slot, state in zip(slots, states, strict=True) if state in FINAL]
        leases = (
            [*await read("ZRANGE", key("leases"), 0, -1), *await read("ZRANGE", key("dead"), 0, -1)] if ended else []
        )
        found = []
        for name, run in ended:
            leaving = await asyncio.gather(*(read("HEXISTS", key("leaving", lease.decode()), run) for lease in leases))
            if not any(leaving) and await read("SISMEMBER", key("slots", name), run):
                found.append(Leftover(name, pools[name], run, key("slots", name)))
        return tuple(found)

    async def _locks(self, rows: Sequence[tuple[str, GateRow]], functions: Sequence[str]) -> tuple[Leftover, ...]:
        """Keys of singletons that name a run which has ended: of those where runs wait, and that were last refused."""
        read, key = self._calls.read, self._calls.key
        skips = await asyncio.gather(
            *(Flow(self._calls).skips(function, LOCKS_MAX) for function in functions[:FUNCTIONS_MAX])
        )
        named = [row.name for _, row in rows if row.letter == "z"]
        named += [skip.key for some in skips for skip in some if skip.reason == "singleton"]
        locks = await self._reads.locks(list(dict.fromkeys(named))[:LOCKS_MAX])
        states = await asyncio.gather(*(read("HGET", key("run", run), "s") for run in locks.values()))
        ended = {name: run for (name, run), state in zip(locks.items(), states, strict=True) if state in FINAL}
        still = await self._reads.locks(list(ended))
        return tuple(
            Leftover(name, "z", run, key("lock", name)) for name, run in ended.items() if still.get(name) == run
        )

    async def _untimed(self, functions: Sequence[str]) -> tuple[int, tuple[Untimed, ...]]:
        found = await asyncio.gather(*(self._reads.held_back(one, HELD_BACK_MAX) for one in functions[:FUNCTIONS_MAX]))
        missing = [
            Untimed(function, held.letter, held.key)
            for function, (_, some) in zip(functions, found, strict=False)
            for held in some
            if not held.fires_ms
        ]
        again = await asyncio.gather(*(self._still_untimed(one) for one in missing))
        return sum(count for count, _ in found), tuple(one for one, true in zip(missing, again, strict=True) if true)

    async def _still_untimed(self, one: Untimed) -> bool:
        """It is read whole once more, timer last: one that has fired meanwhile is not pending any more."""
        read, key = self._calls.read, self._calls.key
        timer = await read("ZSCORE", key("timers"), f"{one.letter} {one.key}")
        family = "debounce" if one.letter == "D" else "batching"
        return timer is None and bool(await read("EXISTS", key(family, one.key)))
