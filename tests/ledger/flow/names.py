"""What the programs, their driver and the judges agree on: which program has which flow control, and its numbers.

A deployment is a *generation*: the same functions with other numbers. When adding a program: its row in PROGRAMS, the
numbers in NUMBERS, and how often it is sent in traffic.py. Judges go by what is declared here, so a combination of
limiters is judged by all of their judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

APP_ID, OTHER_APP_ID = "flow", "flow-too"
VARIABLE = "LEDGER_GENERATION"
"""The environment variable that tells a process which generation it is."""
GENERATIONS = 3
KEY = "event.data.key"
PLAIN = "-def"
"""Ends the id of a program that is a `def` function."""


@dataclass(frozen=True)
class Limit:
    """A Concurrency of a program."""

    numbers: tuple[int, int, int]
    """By generation."""
    key: str | None = None
    scope: str = "function"
    hold: str = "turn"

    def pool(self, function: str, data: Mapping[str, Any]) -> tuple[str, ...]:
        """What shares this limit with a run that was given this."""
        place = {"function": function, "app": function.partition("/")[0], "namespace": ""}[self.scope]
        value = data["key"] if self.key == KEY else self.key or ""
        return (self.scope, place, self.hold, str(self.key if self.scope == "function" else ""), str(value))


@dataclass(frozen=True)
class Program:
    """What a function of the ledger asks for. Each number by generation; periods and timeouts in ms."""

    limits: tuple[Limit, ...] = ()
    throttle: tuple[tuple[int, int, int], ...] = ()
    """(limit, period, burst)."""
    throttle_by: str | None = KEY
    rate: tuple[tuple[int, int], ...] = ()
    """(limit, period), by key."""
    debounce: tuple[tuple[int, int], ...] = ()
    """(period, timeout), by key."""
    batch: tuple[tuple[int, int], ...] = ()
    """(size, timeout), by key."""
    single: str = ""
    idempotency: str = ""
    """The field of the event's data that is the key."""
    priority: str = ""
    apps: tuple[str, ...] = (APP_ID,)

    @property
    def in_lanes(self) -> bool:
        """Whether the runs of one key are a queue of their own, in the order of their events."""
        queued = self.limits or self.throttle
        return bool(queued) and not (self.debounce or self.batch or self.single or self.priority)


PROGRAMS: dict[str, Program] = {
    "one": Program((Limit((1, 1, 1), KEY),)),
    "tenants": Program((Limit((1, 1, 1), KEY),)),
    "few": Program((Limit((6, 2, 9)), Limit((2, 1, 3), KEY))),
    "wide-a": Program((Limit((3, 1, 5), "'wide'", "app"),)),
    "wide-b": Program((Limit((3, 1, 5), "'wide'", "app"), Limit((2, 1, 2), KEY))),
    "everywhere": Program((Limit((2, 4, 1), "'everywhere'", "namespace"),), apps=(APP_ID, OTHER_APP_ID)),
    "held": Program((Limit((2, 1, 3), KEY, hold="run"),)),
    "held-all": Program((Limit((8, 5, 12), hold="run"), Limit((1, 1, 2), KEY))),
    "throttled": Program(throttle=((5, 1000, 1), (5, 1000, 1), (10, 1000, 1))),
    "bursty": Program(throttle=((4, 1000, 3), (8, 1000, 2), (4, 1000, 3))),
    "tempered": Program((Limit((2, 1, 3), KEY),), throttle=((10, 1000, 1),) * 3, idempotency="id"),
    "paced": Program((Limit((1, 1, 1), KEY),), throttle=((5, 1000, 1),) * 3, throttle_by=None),
    "limited": Program(rate=((5, 2000), (3, 2000), (8, 2000)), idempotency="id"),
    "metered": Program((Limit((1, 1, 1), KEY),), rate=((3, 1000),) * 3, idempotency="id"),
    "debounced": Program(debounce=((1000, 2500), (2000, 4000), (1000, 2500))),
    "settled": Program((Limit((1, 1, 1), KEY),), debounce=((1000, 2000),) * 3),
    "batched": Program(batch=((10, 1000), (4, 1000), (25, 1000))),
    "gathered": Program((Limit((1, 1, 1), KEY),), batch=((5, 1000), (5, 1000), (3, 1000))),
    "skipping": Program(single="skip", idempotency="id"),
    "replacing": Program(single="cancel"),
    "replacing-late": Program(single="cancel", debounce=((1000, 1500),) * 3),
    "once": Program(idempotency="key"),
    "ranked": Program((Limit((2, 1, 3)),), priority="event.data.rank"),
}


def program_of(function: str) -> Program:
    """Of a full function id."""
    return PROGRAMS[function.partition("/")[2].removesuffix(PLAIN)]


def event_name(program: str, app: str = APP_ID) -> str:
    """The event that starts a program (with its `-def`)."""
    return f"flow/{program}" if app == APP_ID else f"flow/{app}/{program}"


def functions() -> list[str]:
    """The full ids of all, `def` ones too."""
    return [f"{app}/{name}{end}" for name, program in PROGRAMS.items() for app in program.apps for end in ("", PLAIN)]
