"""Concurrency: never more bodies at once than the limit, per pool; and singletons, which are a pool of one.

A pool is what shares a limit: a function's, by key, or an app's or the namespace's value. With hold="turn" a run is in it
while one of its bodies goes on; with hold="run", and as a singleton, from its first body to the end of its last one. What
counts is each moment at which a run comes in: those in it, and itself, are no more than the limit. A limit that was lowered
binds from when it stood: who came in before may go on. When a body was claimed, if that is not known, is up to CLAIMED_MS
before its beginning, and before any standstill of its process in front of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.ledger.flow.bodies import together
from tests.ledger.flow.facts import Body, Facts, Ran
from tests.ledger.flow.names import Limit, Program, program_of

CLAIMED_MS = 1000.0
SINGLE = Limit((1, 1, 1), "event.data.key", hold="run")
Pool = tuple[str, ...]


def limits_of(program: Program) -> tuple[Limit, ...]:
    return (*program.limits, SINGLE) if program.single else program.limits


def over_the_limit(facts: Facts) -> Iterator[str]:
    """A line for each moment at which a pool had more in it than it may."""
    for pool, (limit, members) in pools_of(facts).items():
        spans = [(began, ended, run) for run in members for began, ended in presences(facts, run, limit.hold)]
        changes = [(began, 1, run) for began, _, run in spans] + [(ended, 0, run) for _, ended, run in spans]
        inside: dict[str, int] = defaultdict(int)
        for at_ms, comes, run in sorted(changes, key=lambda change: (change[0], change[1])):
            if not comes:
                inside[run.id] -= 1
                if not inside[run.id]:
                    del inside[run.id]
                continue
            already = run.id in inside
            inside[run.id] += 1
            if already:
                continue
            allowed = most_allowed(facts, limit, run, at_ms)
            if len(inside) > allowed:
                until_ms = min(ended for began, ended, other in spans if other.id in inside and began <= at_ms <= ended)
                yield (
                    f"{' '.join(pool)}: {len(inside)} at once for {until_ms - at_ms:.1f} ms from {at_ms:.1f} on, "
                    f"and {allowed} may: {run.function} {run.id} and {sorted(set(inside) - {run.id})}"
                )


def most_allowed(facts: Facts, limit: Limit, run: Ran, at_ms: float) -> int:
    """The limit by which a run that came in then was let in: the highest of those that may have stood."""
    first = min(body.began_ms for body in facts.bodies_by_run[run.id])
    body = next(body for body in facts.bodies_by_run[run.id] if body.began_ms == at_ms)
    claimed_ms = run.begun_ms if at_ms == first and not run.crashes else at_ms - CLAIMED_MS - body.delayed_ms
    return max(limit.numbers[generation] for generation in facts.in_force(min(claimed_ms, at_ms), at_ms))


def pools_of(facts: Facts) -> Mapping[Pool, tuple[Limit, list[Ran]]]:
    """Every pool, its limit, and the runs that had bodies in it."""
    found: dict[Pool, tuple[Limit, list[Ran]]] = {}
    for run in facts.runs.values():
        if run.id not in facts.bodies_by_run:
            continue
        for limit in limits_of(program_of(run.function)):
            pool = limit.pool(run.function, facts.data_of(run))
            found.setdefault(pool, (limit, []))[1].append(run)
    return found


def presences(facts: Facts, run: Ran, hold: str) -> list[tuple[float, float]]:
    """When a run is in its pools."""
    bodies: list[Body] = facts.bodies_by_run[run.id]
    spans = together(bodies)
    if hold == "run" and spans:
        return [(spans[0][0], max(ended for _, ended in spans))]
    return spans
