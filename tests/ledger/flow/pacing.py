"""Throttle and rate limit: how starts are spaced, and how many are admitted.

A throttle of `limit` a period spaces the first claims of a key by T = period / limit: no two are nearer than 0.95 T, and of
any n behind a burst none comes before (n - burst) T, but for that one twentieth. While work waits and nobody dies, the mean
is T within 5 %. Rate limits are recomputed: each event that came to the window, in the order of the stream, with the time
at which it was decided, against a list of the admissions before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.ledger.flow.facts import Facts, Ran, Sent
from tests.ledger.flow.names import program_of
from tests.ledger.flow.order import CALM_AFTER_MS

NEAREST = 0.95
ROUNDING_MS = 1.0
"""Redis stamps whole milliseconds, cut off."""
MEAN_WITHIN = 0.05
MEAN_OF = 10
"""Of fewer starts in a row no mean is taken."""


def too_near(facts: Facts) -> Iterator[str]:
    """A line for each start of a throttled function that came too early."""
    for (function, key), runs in facts.throttled.items():
        numbers = program_of(function).throttle
        starts = [run.begun_ms for run in runs]
        for first in range(len(starts)):
            # From a start on, whatever follows: so a burst that is too large shows, and so does a drift.
            for count in range(1, min(12, len(starts) - first)):
                last = starts[first + count]
                standing = {numbers[generation] for generation in facts.in_force(starts[first], last)}
                each_ms = min(period / limit for limit, period, _ in standing)
                # Around a deploy each of the two numbers may have had its burst: what the first left is a time, not a count.
                burst = sum(burst for _, _, burst in standing)
                least_ms = (count - burst + NEAREST) * each_ms - ROUNDING_MS
                if last - starts[first] < least_ms:
                    yield (
                        f"{function} {key}: {count + 1} starts in {last - starts[first]} ms, "
                        f"of which {burst} at once and the others every {each_ms:g} ms"
                    )
                    break


@dataclass(frozen=True)
class Pace:
    """Starts in a row while work was waiting."""

    function: str
    key: str
    count: int
    mean_ms: float
    wanted_ms: float


def paces(facts: Facts) -> list[Pace]:
    """Of each throttled key the calm stretches in which something was always waiting, by one set of numbers."""
    found = []
    for (function, key), runs in facts.throttled.items():
        program = program_of(function)
        if program.limits:  # one may be what it waits for
            continue
        row: list[Ran] = []
        for run in [*runs, None]:
            if run is not None and row and _goes_on(facts, row[-1], run):
                row.append(run)
                continue
            if len(row) > MEAN_OF + 3:
                row = row[3:]  # behind the burst
                (generation,) = facts.in_force(row[0].begun_ms, row[-1].begun_ms)
                limit, period_ms, _ = program.throttle[generation]
                mean_ms = (row[-1].begun_ms - row[0].begun_ms) / (len(row) - 1)
                found.append(Pace(function, key, len(row), mean_ms, period_ms / limit))
            row = [run] if run is not None else []
    return found


def _goes_on(facts: Facts, before: Ran, run: Ran) -> bool:
    """Whether a run had been there for a while when the one before it began, and all was calm, under the same numbers."""
    waited = facts.sent[run.events[0]].at_ms < before.begun_ms - 500
    calm = facts.calm(before.begun_ms, run.begun_ms, CALM_AFTER_MS)
    numbers = facts.in_force(before.begun_ms - 5000, run.begun_ms + 1)
    return waited and calm and len(numbers) == 1


def off_pace(facts: Facts) -> Iterator[str]:
    """A line for each stretch whose mean is off."""
    for pace in paces(facts):
        if abs(pace.mean_ms - pace.wanted_ms) > MEAN_WITHIN * pace.wanted_ms:
            yield (
                f"{pace.function} {pace.key}: {pace.count} starts every {pace.mean_ms:.1f} ms in calm, "
                f"not every {pace.wanted_ms:g} ms"
            )


def wrongly_admitted(facts: Facts, names: dict[str, str]) -> Iterator[str]:
    """A line for each event that a rate limit decided otherwise than the model. `names`: the event of each function."""
    for function, name in names.items():
        numbers = program_of(function).rate
        if not numbers:
            continue
        for key, events in facts.triggers(function, name):
            admissions: list[int] = []
            for event in events:
                at_ms, was_admitted = _decided(facts, function, event)
                if not at_ms:
                    continue
                standing = [numbers[generation] for generation in facts.in_force(at_ms, at_ms)]
                verdicts = {
                    sum(at_ms - before < period_ms for before in admissions) < limit for limit, period_ms in standing
                }
                if was_admitted not in verdicts:
                    yield (
                        f"{function} {key}: event {event.id} was {'admitted' if was_admitted else 'left out'} at {at_ms} "
                        f"({standing}), admitted before it at {admissions[-10:]}"
                    )
                if was_admitted:
                    admissions.append(at_ms)


def _decided(facts: Facts, function: str, event: Sent) -> tuple[int, bool]:
    """When the window was asked about an event, and what it said; 0: it was not asked."""
    run = facts.run_of.get((function, event.id))
    if run is not None:
        return run.admitted_ms, True
    left = facts.left_of.get((function, event.id))
    return (left.at_ms, False) if left is not None and left.reason == "rate_limit" else (0, False)


def counts(facts: Facts) -> dict[str, int]:
    """How many were left out, by reason."""
    found: dict[str, int] = defaultdict(int)
    for left in facts.left:
        found[left.reason] += 1
    return dict(found)
