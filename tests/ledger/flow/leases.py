"""Whether a run was taken away only from those who could not keep it.

The judge of concurrency stops counting a body when Redis took its run away. So a rescuer that is too eager would pass there:
here each lease that ran out must have a reason, a fault not longer ago than a lease lasts, and some seconds for a machine
that is busy.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.ledger.flow.facts import Facts, named

LEASE_MS = 10_000.0
SLACK_MS = 8_000.0


def robbed(facts: Facts) -> Iterator[str]:
    """A line for each run that was taken from a process although nothing had been done to anybody."""
    for run in facts.runs.values():
        for at_ms, why in run.crashes:
            if not any(began <= at_ms and ended >= at_ms - LEASE_MS - SLACK_MS for began, ended, _ in facts.blows):
                yield f"{named(run)} was taken from its holder at {at_ms} ({why}), and nothing had been done to anybody"
