"""Flow control as people and programs read it: keys by pressure, what is held back, what was left out and why.

Plain values; the command line, the client and test environments share them. Times in ms, 0: none or not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

CONCURRENCY: Final = "concurrency"
THROTTLE: Final = "throttle"
RATE_LIMIT: Final = "rate_limit"
SINGLETON: Final = "singleton"


class HolderView(NamedTuple):
    """A run that has a slot, and when it began. `leaving`: it was cancelled, and its body has not ended yet."""

    run: str
    begun_at_ms: int
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class LimitView:
    """One key of one limit, and what happens there."""

    kind: str
    """concurrency, throttle, rate_limit or singleton."""
    key: str | None
    """What the key's expression came to. None: the limit has no key, all runs share it."""
    scope: str
    """Who counts together: function, app or namespace."""
    functions: tuple[str, ...]
    """The function; of a shared limit those that have runs parked there or executing, as far as they were looked at."""
    limit: int | None
    """The number in force; of a shared limit the smallest of its functions'. None: it was removed, and binds nobody."""
    taken: int = 0
    """Slots taken; of a rate limit, starts within its period."""
    holders: tuple[HolderView, ...] = ()
    """The first of the runs that have a slot."""
    parked: int = 0
    """Queued runs that wait here."""
    at_least: bool = False
    """There may be more than `parked`: only the first ten lanes of a gate are counted run by run."""
    oldest_ms: int = 0
    """Since when the oldest of them might have begun."""
    oldest_run: str = ""
    opens_at_ms: int = 0
    """Of a throttle, or a full rate limit: when the next one passes. 0: now, or when a slot is given back."""
    hold: str = ""
    """Of concurrency: `turn`, or `run` where a slot is kept until the run's end."""
    period_ms: int = 0
    name: str = ""
    """The gate's name in Redis (docs/keys.md)."""

    @property
    def pressure(self) -> float:
        """Parked runs for each that may execute at a time."""
        return self.parked / max(1, self.limit or 1)


@dataclass(frozen=True, slots=True)
class LimitsView:
    """Keys of limits, those under most pressure first. Keys of idempotency are not listed: they expire unseen, at most 24 h
    after the event, and what they left out is among the skips of their function."""

    keys: tuple[LimitView, ...]
    more: int = 0
    """Keys that were looked at and are not shown."""
    unseen: int = 0
    """Gates, and runs that may hold slots, that were not looked at: there were too many."""
    parked: int = 0
    """Queued runs that wait at all of these keys, those not shown among them."""
    at_least: bool = False
    """There may be more than `parked`."""
    now_ms: int = 0


@dataclass(frozen=True, slots=True)
class HeldBackView:
    """An event that is debounced, or a batch that is filling."""

    function: str
    kind: str
    """debounce or batch."""
    key: str | None
    since_ms: int
    fires_at_ms: int
    events: int
    """How many it is now; of a debounce 1, the newest."""
    run: str
    """The run that it is going to be, unless it is skipped then."""
    place: str
    """Where the event that is kept, or that came last, stands in the stream."""


@dataclass(frozen=True, slots=True)
class SkipView:
    """A trigger that started nothing, and why."""

    function: str
    at_ms: int
    reason: str
    """idempotency, rate_limit, debounce, singleton or paused."""
    key: str | None
    why: str
    """The reason in words, with the key and what it was left out for."""
    event_name: str = ""
    """"" where it is not known any more, or no event came: a run was asked for."""
    event_id: str = ""
    place: str = ""
    """Where the event stands in the stream; of a run that was asked for, its id."""
    other: str = ""
    """The run that it was left out for, or the place of the event that replaced it; "" for none."""


class KeyFault(NamedTuple):
    """An option whose key came to nothing: how often, when last, and why."""

    option: str
    times: int
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class OptionView:
    """A limit as it is declared, with the number in force."""

    option: str
    now: str
    """In words: `10`, `100 per 1m, burst 5`; "" where the newest deployment has no such number."""
    key: str | None
    """The expression; None for none."""
    about: str = ""
    """What else it says: scope, hold, condition."""


@dataclass(frozen=True, slots=True)
class HeldUp:
    """Why a queued run is not claimed."""

    reason: str
    """concurrency, throttle, singleton or paused."""
    key: str | None = None
    limit: int | None = None
    taken: int | None = None
    """None where it is not looked at: of runs in a list, as `holders` and `opens_at_ms`; and where nothing is taken."""
    holders: tuple[HolderView, ...] = ()
    opens_at_ms: int = 0
    """Of a throttle: when the next start is due."""
    ahead: int = 0
    """Runs that need the same and go before it."""
    since_ms: int = 0
    """Of a pause: since when."""
    scope: str = ""
