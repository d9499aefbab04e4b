"""Debounce and batch: each event is in exactly one run, or was replaced by a newer one; and nothing fires too early or late.

When something was routed is between its acceptance and what came of it; so what fires is held against the earliest time
that its events allow, and, with some patience, against the latest. The time of firing is that of the first claim at the
latest, since nothing else says it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.ledger.entries import place_of
from tests.ledger.flow.facts import Facts, Place, Ran, Sent, named
from tests.ledger.flow.names import program_of
from tests.ledger.flow.order import CALM_AFTER_MS

LATE_CALM_MS, LATE_MS = 3000.0, 60_000.0


def ill_debounced(facts: Facts, names: dict[str, str]) -> Iterator[str]:
    """A line for each event that is nowhere or twice, and for each firing at a wrong time or with a wrong event."""
    for function, name in names.items():
        numbers = program_of(function).debounce
        if not numbers:
            continue
        places = {event.place: event for event in facts.sent.values() if event.name == name}
        for key, events in facts.triggers(function, name):
            groups: dict[str, list[Sent]] = {}
            for event in events:
                kept, problem = _fired_with(facts, function, event, places)
                if problem:
                    yield f"{function} {key}: event {event.id} {problem}"
                elif kept:
                    groups.setdefault(kept, []).append(event)
            for kept_id, members in groups.items():
                yield from _ill_fired(facts, function, key, kept_id, members)


def _fired_with(facts: Facts, function: str, event: Sent, places: dict[Place, Sent]) -> tuple[str, str]:
    """The event that was fired for this one ("": it never came so far), and what is wrong: each was replaced by another."""
    seen, at = set[str](), event
    while True:
        run, left = facts.run_of.get((function, at.id)), facts.left_of.get((function, at.id))
        if run is not None and left is not None:
            return "", f"has a run and was left out: {at.id} {left}"
        if run is not None:
            return at.id, ""
        if left is None:
            return "", f"is in no run, and no record says why: {at.id}"
        if left.reason != "debounce":
            return "" if left.reason in ("idempotency", "rate_limit") else at.id, ""
        place = place_of(left.other)
        if at.id in seen or place not in places:
            return "", f"was replaced by {left.other}, which was replaced by it or is not there"
        seen.add(at.id)
        at = places[place]


def _ill_fired(facts: Facts, function: str, key: str, kept_id: str, members: list[Sent]) -> Iterator[str]:
    """`members`: the events that came to this one firing, in order."""
    kept = facts.sent[kept_id]
    newest = max(members, key=lambda event: (event.ts_ms or event.at_ms, event.place))
    if newest.id != kept.id:
        yield f"{function} {key}: fired with {kept.id}, and {newest.id} was newer"
    run, left = facts.run_of.get((function, kept.id)), facts.left_of.get((function, kept.id))
    fired_ms = run.begun_ms if run else left.at_ms if left else 0
    if not fired_ms:
        return  # cancelled before it began
    first_ms, last_ms = members[0].at_ms, members[-1].at_ms
    standing = [program_of(function).debounce[g] for g in facts.in_force(last_ms, fired_ms)]
    earliest = min(min(last_ms + period, first_ms + timeout) for period, timeout in standing)
    if fired_ms < earliest:
        yield f"{function} {key}: {kept.id} fired {earliest - fired_ms} ms too early, with {len(members)} events"


def late_firings(facts: Facts, names: dict[str, str]) -> Iterator[str]:
    """A line for each gap between two events of one firing that is longer than the period and some patience: it had to fire."""
    for function, name in names.items():
        numbers = program_of(function).debounce
        if not numbers:
            continue
        slowest = max(period for period, _ in numbers)
        longest = max(timeout for _, timeout in numbers)
        places = {event.place: event for event in facts.sent.values() if event.name == name}
        for key, events in facts.triggers(function, name):
            open_since: dict[str, Sent] = {}
            before: dict[str, Sent] = {}
            for event in events:
                group, _ = _fired_with(facts, function, event, places)
                first = open_since.setdefault(group, event)
                last = before.get(group, event)
                for what, span_ms, bound_ms in (
                    ("quiet period", event.at_ms - last.at_ms, slowest),
                    ("timeout", event.at_ms - first.at_ms, longest),
                ):
                    calm = facts.calm(first.at_ms, event.at_ms, CALM_AFTER_MS)
                    if span_ms > bound_ms + (LATE_CALM_MS if calm else LATE_MS):
                        yield f"{function} {key}: did not fire in a {what} of {span_ms} ms before {event.id}"
                before[group] = event


def ill_batched(facts: Facts, names: dict[str, str]) -> Iterator[str]:
    """A line for each event that is in no batch or in two, and for each batch that is too large, too early, or out of order."""
    for function, name in names.items():
        numbers = program_of(function).batch
        if not numbers:
            continue
        runs = [run for run in facts.runs.values() if run.function == function]
        counted: dict[str, list[str]] = {}
        for run in runs:
            for event_id in run.events:
                counted.setdefault(event_id, []).append(run.id)
        for key, events in facts.triggers(function, name):
            for event in events:
                found = counted.pop(event.id, [])
                if len(found) != 1:
                    yield f"{function} {key}: event {event.id} is in {len(found)} batches {found}"
        for event_id, found in counted.items():
            yield f"{function}: {event_id} is in {found}, and is none of its events"
        for run in runs:
            yield from _ill_closed(facts, run, numbers)
            for body in facts.bodies_by_run[run.id]:
                if body.what == "turn" and body.events != run.events:
                    yield f"{named(run)}: a body saw {len(body.events)} events of {len(run.events)}"


def _ill_closed(facts: Facts, run: Ran, numbers: tuple[tuple[int, int], ...]) -> Iterator[str]:
    events = [facts.sent[event] for event in run.events if event in facts.sent]
    if len({event.key for event in events}) > 1:
        yield f"{named(run)} has events of several keys"
    if [event.place for event in events] != sorted(event.place for event in events):
        yield f"{named(run)} has its events in another order than they came in"
    if not run.begun_ms or not events:
        return
    first_ms, last_ms = events[0].at_ms, events[-1].at_ms
    # Numbers are read when an event joins: behind the last one they may have been lowered.
    standing = [numbers[generation] for generation in facts.in_force(first_ms, max(last_ms + 1000, run.begun_ms))]
    if len(events) > max(size for size, _ in standing):
        yield f"{named(run)} has {len(events)} events, and {max(size for size, _ in standing)} are a batch"
    if len(events) < min(size for size, _ in standing):
        early_ms = first_ms + min(wait for _, wait in standing) - run.begun_ms
        if early_ms > 0:
            yield f"{named(run)} has {len(events)} events, not a full batch, and began {early_ms} ms before its timeout"
    calm = facts.calm(first_ms, last_ms, CALM_AFTER_MS)
    late_ms = last_ms - first_ms - max(wait for _, wait in standing)
    if late_ms > (LATE_CALM_MS if calm else LATE_MS):
        yield f"{named(run)} took events for {late_ms} ms after its timeout"
