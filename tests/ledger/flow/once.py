"""Idempotency and singletons: one run per key, one holder per key; and that nothing is missing or doubled in all.

How many bodies of a singleton's key there are at each instant is judged by concurrency.py. Here is who was let in and who
was left out for whom.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.account import DEATHS
from tests.ledger.flow.facts import Facts, Ran, named
from tests.ledger.flow.names import program_of
from tests.ledger.flow.order import CALM_AFTER_MS

REPLACED_CALM_MS, REPLACED_MS = 2000.0, 60_000.0
"""By when a run that a newer one displaces has ended as cancelled, at the latest."""


def unaccounted(facts: Facts, names: dict[str, str]) -> Iterator[str]:
    """A line for each trigger that came to nothing without a record, or to several things; and for each run that is stuck."""
    for function, name in names.items():
        program = program_of(function)
        for _, events in facts.triggers(function, name):
            for event in events:
                run, left = facts.run_of.get((function, event.id)), facts.left_of.get((function, event.id))
                if run is None and left is None:
                    yield f"{function}: event {event.id} has no run, and no record says why"
                elif run is not None and left is not None:
                    yield f"{function}: event {event.id} has the run {run.id}, and was left out: {left.reason}"
                elif left is not None and left.reason not in _reasons(function):
                    yield f"{function}: event {event.id} was left out because of {left.reason}, which is not its option"
        if not program.batch:
            known = {event.id for event in facts.sent.values() if event.name == name}
            for run in facts.runs.values():
                if run.function == function and not known.issuperset(run.events):
                    yield f"{named(run)} was started by {run.events}, none of its events"
    for run in facts.runs.values():
        if run.state == "failed" and run.why.startswith("TWorkerCrashed") and len(run.crashes) >= DEATHS:
            continue  # killed three times, and told so
        if run.state not in ("completed", "cancelled"):
            yield f"{named(run)} is {run.state}: {run.why}"
        elif run.state == "cancelled" and program_of(run.function).single != "cancel":
            yield f"{named(run)} was cancelled, and nobody did so: {run.why}"


def _reasons(function: str) -> set[str]:
    program = program_of(function)
    options = {
        "idempotency": program.idempotency,
        "rate_limit": program.rate,
        "debounce": program.debounce,
        "singleton": program.single == "skip",
    }
    return {reason for reason, option in options.items() if option}


def not_once(facts: Facts, names: dict[str, str]) -> Iterator[str]:
    """A line for each idempotency key with several runs, or whose run is not the first that could have it."""
    for function, name in names.items():
        field = program_of(function).idempotency
        if not field:
            continue
        accepted: dict[str, Ran] = {}
        events = sorted((event for event in facts.sent.values() if event.name == name), key=lambda event: event.place)
        for event in events:
            value = str(event.data[field])
            run, left = facts.run_of.get((function, event.id)), facts.left_of.get((function, event.id))
            if run is not None and value in accepted:
                yield f"{function}: {value} has the runs {accepted[value].id} and {run.id}"
            elif run is not None:
                accepted[value] = run
            elif left is not None and left.reason == "idempotency":
                before = accepted.get(value)
                if before is None or left.other != before.id:
                    yield f"{function}: {event.id} was left out for {left.other}, and {value} has {before and before.id}"


def ill_held(facts: Facts, names: dict[str, str]) -> Iterator[str]:
    """A line for each singleton that was let in beside another, skipped for nobody, or displaced by nobody."""
    for function in names:
        mode = program_of(function).single
        if not mode:
            continue
        for (of, key), runs in facts.runs_by_key.items():
            if of == function:
                yield from (_ill_skipped if mode == "skip" else _ill_displaced)(facts, function, key, runs)


def _ill_skipped(facts: Facts, function: str, key: str, runs: list[Ran]) -> Iterator[str]:
    for before, run in pairwise(runs):
        if run.admitted_ms < before.ended_ms:
            yield f"{function} {key}: {run.id} was let in {before.ended_ms - run.admitted_ms} ms before the end of {before.id}"
    by_id = {run.id: run for run in runs}
    for left in facts.left:
        if (left.function, left.reason) != (function, "singleton") or facts.sent[left.event].key != key:
            continue
        holder = by_id.get(left.other)
        if holder is None or not holder.admitted_ms <= left.at_ms <= holder.ended_ms:
            yield f"{function} {key}: {left.event} was skipped at {left.at_ms} for {left.other}, which was not living: {holder}"


def _ill_displaced(facts: Facts, function: str, key: str, runs: list[Ran]) -> Iterator[str]:
    for place, run in enumerate(runs):
        newer = runs[place + 1] if place + 1 < len(runs) else None
        if run.state == "cancelled" and newer is None:
            yield f"{function} {key}: {run.id} was cancelled, and no newer one took its place: {run.why}"
        elif run.state == "cancelled" and newer is not None and run.ended_ms < facts.sent[newer.events[0]].at_ms:
            yield f"{function} {key}: {run.id} was cancelled before {newer.id} came"
        elif newer is not None:
            came_ms = facts.sent[newer.events[0]].at_ms
            if program_of(function).debounce:
                came_ms += max(timeout for _, timeout in program_of(function).debounce)
            calm = facts.calm(came_ms, run.ended_ms, CALM_AFTER_MS)
            if run.ended_ms - came_ms > (REPLACED_CALM_MS if calm else REPLACED_MS):
                yield f"{function} {key}: {run.id} went on for {run.ended_ms - came_ms} ms after {newer.id} came"
