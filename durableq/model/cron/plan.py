"""What a scheduler does about a cron trigger at a point in time: which ticks start runs, and when to look again.

Pure: from (trigger, how far its ticks are settled, the server's time) to a Plan. The script that applies it compares
where the trigger stands with where the plan began, so of two schedulers with the same plan one is refused.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from durableq.model.cron.schedule import Schedule

CATCH_UP_MAX: Final = 1_000
"""The most ticks that are performed after an outage, the newest ones."""

COUNTED_MAX: Final = 100
"""Of the ticks that are missed in one outage so many are counted, since each costs some 40 µs to find."""

LATE_MS: Final = 60_000
"""With catch_up "none", a tick later than this is not performed. A scheduler's restart takes less."""


class Spread(Protocol):
    """What of a cron trigger a plan depends on."""

    @property
    def key(self) -> str: ...
    @property
    def jitter_ms(self) -> int: ...
    @property
    def catch_up(self) -> str: ...
    def schedule(self) -> Schedule: ...


class Due(NamedTuple):
    """A tick: its scheduled time, and when it is performed, later by its jitter."""

    tick_ms: int
    due_at_ms: int


class Plan(NamedTuple):
    """What to do now."""

    ticks: list[Due]
    """To be performed, oldest first."""
    upto_ms: int
    """Every tick up to here is settled then: performed, or missed."""
    missed: int
    """How many are not performed; beyond COUNTED_MAX they are not counted."""
    upcoming: Due
    """The tick after those."""


def planned(trigger: Spread, function: str, upto_ms: int, now_ms: int) -> Plan:
    """What to do about the ticks after `upto_ms`.

    Raises:
        ConfigError: The expression has no tick any more.
    """
    schedule = trigger.schedule()
    wanted = CATCH_UP_MAX if trigger.catch_up == "all" else 1
    ticks = schedule.ticks_after(upto_ms)
    passed: list[int] = []
    following = next(ticks)
    while following <= now_ms and len(passed) < max(wanted, COUNTED_MAX):
        passed.append(following)
        following = next(ticks)
    counted = len(passed)
    if following <= now_ms:
        # One more than are wanted: the newest may not be due yet.
        passed = schedule.newest(upto_ms, now_ms, wanted + 1)
        counted = max(counted, len(passed))
        ticks = schedule.ticks_after(passed[-1])
        following = next(ticks)

    def due(tick_ms: int, following_ms: int) -> Due:
        return Due(tick_ms, tick_ms + jitter_of(trigger, function, tick_ms, following_ms))

    # Jitter is shorter than the gap to the following tick, so of those that have passed only the last may not be due yet.
    newest = due(passed[-1], following) if passed else None
    if newest is not None and newest.due_at_ms > now_ms:
        passed.pop()
        counted -= 1
        upcoming = newest
        newest = due(passed[-1], upcoming.tick_ms) if passed else None
    else:
        upcoming = due(following, next(ticks)) if trigger.jitter_ms else Due(following, following)
    if newest is None:
        return Plan([], upto_ms, 0, upcoming)
    performed = _performed(trigger, function, passed, newest, now_ms)
    return Plan(performed, newest.tick_ms, max(0, counted - len(performed)), upcoming)


def _performed(trigger: Spread, function: str, passed: list[int], newest: Due, now_ms: int) -> list[Due]:
    if trigger.catch_up == "none":
        return [newest] if now_ms - newest.due_at_ms <= LATE_MS else []
    if trigger.catch_up == "latest":
        return [newest]
    kept = passed[-CATCH_UP_MAX:]
    return [
        *(Due(tick, tick + jitter_of(trigger, function, tick, following)) for tick, following in pairwise(kept)),
        newest,
    ]


def jitter_of(trigger: Spread, function: str, tick_ms: int, following_ms: int) -> int:
    """By how much a tick is delayed: the same whoever asks, and less than the time to the tick that follows."""
    window_ms = min(trigger.jitter_ms, following_ms - tick_ms)
    if window_ms <= 0:
        return 0
    digest = blake2b(f"{function}\0{trigger.key}\0{tick_ms}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % window_ms
