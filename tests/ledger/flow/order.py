"""Order and patience: the oldest of a key begins first, and nobody waits while there is room.

Both go by when Redis says that a run was first claimed. *Oldest first* is exact: the runs of one key and function are one
queue, so the first claims have the order of the events. *Patience*: a run that was claimed at last, although for longer than
a bound its pools had room, its throttle too, and no other of its pools was let in, had been forgotten. The bound is short in
calm times. Otherwise it is what it takes to notice that a process is gone, several times over: slots of dead and frozen
processes do not show among bodies.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from tests.ledger.flow.bodies import full_times, last_before
from tests.ledger.flow.concurrency import Pool, limits_of, pools_of, presences
from tests.ledger.flow.facts import Facts, Place, Ran, named
from tests.ledger.flow.names import program_of

CALM_AFTER_MS = 25_000.0
IDLE_CALM_MS, IDLE_MS = 3000.0, 60_000.0
TURN_MS = 500.0
"""For so long an older run must have been able to begin, before it counts that a younger one did."""


def out_of_order(facts: Facts) -> Iterator[str]:
    """A line for each run that began before an older one of its key."""
    for (function, key), runs in facts.runs_by_key.items():
        if not program_of(function).in_lanes:
            continue
        before: Ran | None = None
        for run in (run for run in runs if run.begun_ms):
            if before is not None and run.begun_ms < before.begun_ms:
                yield f"{named(run)} of key {key} began {before.begun_ms - run.begun_ms} ms before {before.id}, an older one"
            else:
                before = run


def out_of_turn(facts: Facts) -> Iterator[str]:
    """A line for each run that had its turn at a throttle although an older one of another key could have had it, in calm."""
    full: dict[Pool, list[tuple[float, float]]] = {}
    for pool, (limit, members) in pools_of(facts).items():
        spans = [span for run in members for span in presences(facts, run, limit.hold)]
        full[pool] = full_times(spans, min(limit.numbers))
    for (function, _), runs in facts.throttled.items():
        program = program_of(function)
        if program.throttle_by is not None:
            continue
        for place, run in enumerate(runs):
            for other in runs[place + 1 :]:
                came, began_ms = facts.sent[other.events[0]], run.begun_ms
                if came.place > facts.sent[run.events[0]].place or not facts.calm(came.at_ms, began_ms, CALM_AFTER_MS):
                    continue
                pools = [limit.pool(function, facts.data_of(other)) for limit in program.limits]
                since_ms = max([came.at_ms, *(last_before(full.get(pool, []), began_ms) for pool in pools)])
                behind = any(
                    facts.data_of(each)["key"] == came.key and came.place > facts.sent[each.events[0]].place
                    for each in runs[place:]
                )
                if began_ms - since_ms > TURN_MS and not behind:
                    yield f"{named(run)} began at {began_ms}, {other.id}, an older one, could have since {since_ms:.0f}"
                    break


def out_of_rank(facts: Facts) -> Iterator[str]:
    """The same for functions with a priority: who comes later may go first, if it is worth as many seconds."""
    routed = _Routed(facts)
    for function in {run.function for run in facts.runs.values() if program_of(run.function).priority}:
        runs = sorted(
            (r for r in facts.runs.values() if r.function == function and r.begun_ms), key=lambda r: r.begun_ms
        )
        waiting = sorted(runs, key=lambda run: _rank(facts, run))
        for run in runs:
            for other in waiting:
                if _rank(facts, other) >= _rank(facts, run):
                    break
                # It was in the queue, if something that came later than it had been claimed already.
                if other.begun_ms > run.begun_ms and facts.sent[other.events[0]].place < routed.upto(run.begun_ms):
                    yield f"{named(run)} began at {run.begun_ms}, {other.id}, which was to go before it, at {other.begun_ms}"
                    break


def _rank(facts: Facts, run: Ran) -> float:
    event = facts.sent[run.events[0]]
    return event.at_ms + event.place[1] / 1000 - 1000 * float(event.data["rank"])


class _Routed:
    """What had been routed by when: what came in the stream before something that was claimed already."""

    def __init__(self, facts: Facts) -> None:
        begun = sorted((run.begun_ms, facts.sent[run.events[0]].place) for run in facts.runs.values() if run.begun_ms)
        self._times = [at_ms for at_ms, _ in begun]
        self._places = list(accumulate((place for _, place in begun), max))

    def upto(self, at_ms: float) -> Place:
        found = bisect_left(self._times, at_ms)
        return self._places[found - 1] if found else (0, 0)


def idle_times(facts: Facts) -> dict[str, float]:
    """Per run for how long it was left although nothing that shows was in its way, in ms."""
    pools = pools_of(facts)
    full: dict[Pool, list[tuple[float, float]]] = {}
    comes: dict[Pool, list[tuple[float, float]]] = {}
    for pool, (limit, members) in pools.items():
        spans = [span for run in members for span in presences(facts, run, limit.hold)]
        full[pool] = full_times(spans, min(limit.numbers))
        comes[pool] = sorted((run.begun_ms, run.begun_ms) for run in members)
    starts: dict[tuple[str, str], list[tuple[float, float]]] = {
        key: [(run.begun_ms, run.begun_ms) for run in runs] for key, runs in facts.throttled.items()
    }
    found = {}
    for (function, key), runs in facts.runs_by_key.items():
        program = program_of(function)
        for run in runs:
            if not run.begun_ms:
                continue
            since = [float(max(facts.sent[event].at_ms for event in run.events)), float(run.admitted_ms)]
            for limit in limits_of(program):
                pool = limit.pool(function, facts.data_of(run))
                before_ms = run.begun_ms - 1
                since.append(last_before(full.get(pool, []), before_ms))
                since.append(last_before(comes.get(pool, []), before_ms))
            if program.throttle:
                slowest_ms = max(period / most for most, period, _ in program.throttle)
                turns = starts[function, key if program.throttle_by else ""]
                since.append(last_before(turns, run.begun_ms - 1) + slowest_ms)
            if program.debounce:
                since.append(since[0] + max(period for period, _ in program.debounce))
            if program.batch:
                first_ms = facts.sent[run.events[0]].at_ms
                since.append(float(first_ms + max(wait for _, wait in program.batch)))
            since += [deploy.stood_ms for deploy in facts.deploys if deploy.stood_ms < run.begun_ms]
            found[run.id] = run.begun_ms - max(since)
    return found


def forgotten(facts: Facts) -> Iterator[str]:
    """A line for each run that waited for too long for nothing."""
    for run_id, idle_ms in idle_times(facts).items():
        run = facts.runs[run_id]
        calm = facts.calm(run.begun_ms - idle_ms, run.begun_ms, CALM_AFTER_MS)
        if idle_ms > (IDLE_CALM_MS if calm else IDLE_MS):
            yield f"{named(run)} began {idle_ms:.0f} ms after nothing stood in its way any more{', in calm' * calm}"
