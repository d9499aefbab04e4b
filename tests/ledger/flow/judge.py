"""All judges, and which of them says what."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.ledger.flow import concurrency, holding, leases, once, order, pacing
from tests.ledger.flow.facts import Facts

Judge = Callable[[Facts, dict[str, str]], Iterable[str]]

JUDGES: dict[str, Judge] = {
    "concurrency, singleton": lambda facts, _: concurrency.over_the_limit(facts),
    "oldest first": lambda facts, _: [*order.out_of_order(facts), *order.out_of_turn(facts)],
    "priority": lambda facts, _: order.out_of_rank(facts),
    "nobody is forgotten": lambda facts, _: order.forgotten(facts),
    "throttle": lambda facts, _: [*pacing.too_near(facts), *pacing.off_pace(facts)],
    "rate limit": pacing.wrongly_admitted,
    "debounce": lambda facts, names: [*holding.ill_debounced(facts, names), *holding.late_firings(facts, names)],
    "batch": holding.ill_batched,
    "idempotency": once.not_once,
    "singleton": once.ill_held,
    "everything is accounted for": once.unaccounted,
    "leases": lambda facts, _: leases.robbed(facts),
}
"""By what they judge. Each takes the facts, and the name of the event that starts each function."""


def violations(facts: Facts, names: dict[str, str]) -> list[str]:
    """A line for each thing that must not be."""
    return [f"{what}: {problem}" for what, judge in JUDGES.items() for problem in judge(facts, names)]
