"""What is sent: which programs, which keys, what their runs do. Drawn from a seed.

Bursts and lulls, few keys and many runs of each, so that something is always waiting at a limit; but by the mean each limit
can keep up. When adding a program: its row in MIX.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import durableq as dq
from tests.ledger.flow.names import PLAIN, PROGRAMS, event_name

Act = tuple[str, float]
TWICE = 0.1
"""How often an event has the idempotency key of the one before it."""
AGED = 0.2
"""How often an event that is debounced happened before it was sent."""
RANKS = (-300, -10, 0, 0, 0, 10, 60, 600)


@dataclass(frozen=True)
class Sort:
    """How a program is sent: how often, to how many keys, how many at once, and what its runs do."""

    weight: float
    keys: int
    counts: tuple[int, ...] = (1,)
    long: bool = False


MIX = {
    "one": Sort(10, 4, (1, 1, 1, 5)),
    "tenants": Sort(5, 3, (1, 1, 3)),
    "few": Sort(8, 3, (1, 1, 1, 8)),
    "wide-a": Sort(2, 3, (1, 1, 4)),
    "wide-b": Sort(2, 3, (1, 1, 4)),
    "everywhere": Sort(1.5, 2, (1, 1, 3)),
    "held": Sort(3, 3, (1, 1, 4)),
    "held-all": Sort(3, 3, (1, 1, 4)),
    "throttled": Sort(0.5, 3, (1, 1, 25)),
    "bursty": Sort(0.6, 3, (1, 1, 20)),
    "tempered": Sort(2, 4, (1, 1, 6)),
    "paced": Sort(0.8, 4, (1, 20)),
    "limited": Sort(3, 3, (1, 1, 7)),
    "metered": Sort(3, 3, (1, 1, 5)),
    "debounced": Sort(5, 3),
    "settled": Sort(4, 3),
    "batched": Sort(4, 3, (1, 1, 12)),
    "gathered": Sort(4, 3, (1, 1, 6)),
    "skipping": Sort(6, 2, long=True),
    "replacing": Sort(8, 2, long=True),
    "replacing-late": Sort(5, 2, long=True),
    "once": Sort(3, 10**9),
    "ranked": Sort(4, 3, (1, 1, 6)),
}


class Traffic:
    """Draws what is sent next."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._sent = 0
        self._before: dict[str, str] = {}

    def events(self) -> list[dq.Event]:
        """A few events of one program."""
        (name,) = self._chance.choices(list(MIX), [sort.weight for sort in MIX.values()])
        sort = MIX[name]
        app = self._chance.choice(PROGRAMS[name].apps)
        to = event_name(name + self._chance.choice(("", PLAIN)), app)
        count = self._chance.choice(sort.counts)
        keys = [f"k{self._chance.randrange(sort.keys)}" for _ in range(count)]
        if PROGRAMS[name].throttle_by is not None:
            keys = keys[:1] * count
        return [self._event(to, name, key, self._acts(sort)) for key in keys]

    def blocked(self, count: int, seconds: float) -> tuple[list[dq.Event], Iterator[dq.Event]]:
        """A run that has its key for so long, with so many behind it; and runs of other keys, one by one."""
        first = self._event(event_name("tenants"), "tenants", "blocked", [("work", seconds)])
        crowd = [self._event(event_name("tenants"), "tenants", "blocked", []) for _ in range(count)]

        def free() -> Iterator[dq.Event]:
            while True:
                yield self._event(event_name("tenants"), "tenants", f"free-{self._sent % 7}", [("work", 0.01)])

        return [first, *crowd], free()

    def steady(self) -> dq.Event:
        """One of those that come so often that a debounce ends by its timeout only."""
        return self._event(event_name("debounced"), "debounced", "steady", [("work", 0.01)])

    def _event(self, to: str, name: str, key: str, acts: list[Act]) -> dq.Event:
        self._sent += 1
        event_id = f"{name}-{self._sent}"
        data: dict[str, Any] = {"key": key, "id": event_id, "acts": acts, "rank": self._chance.choice(RANKS)}
        ts = None
        if PROGRAMS[name].idempotency:
            field = PROGRAMS[name].idempotency
            if self._chance.random() < TWICE and to in self._before:
                data[field] = self._before[to]
            self._before[to] = data[field]
        if PROGRAMS[name].debounce and self._chance.random() < AGED:
            ts = int(time.time() * 1000 - self._chance.uniform(0, 2000))
        return dq.Event(to, data, id=event_id, ts=ts)

    def _acts(self, sort: Sort) -> list[Act]:
        chance = self._chance
        short = chance.choice((0.005, 0.02, 0.05, 0.1, 0.3, 0.8))
        if sort.long:
            return chance.choice(
                (
                    [("work", short)],
                    [("work", chance.choice((1.5, 4.0)))],
                    [("toil", short), ("sleep", chance.uniform(0.1, 1)), ("work", short)],
                    [("stubborn", chance.uniform(0.2, 1))],
                    [("stubborn", chance.uniform(1, 2))],
                    [("fail", short), ("work", short)],
                )
            )
        return chance.choice(
            (
                [],
                [("work", short)],
                [("toil", short)],
                [("work", short), ("work", short)],
                [("work", short), ("sleep", chance.uniform(0.05, 0.6)), ("work", short)],
                [("sleep", 0.1), ("toil", short)],
                [("fail", short), ("work", short)],
            )
        )
