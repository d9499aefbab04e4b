"""What a new run is created with, as the script reads it."""

import re
from typing import Any

from durableq.model.dressing import Dressing, extras_of
from durableq.model.filing import ANYHOW, bucket_of, read_tail

EVENT: dict[str, Any] = {
    "name": "order/created",
    "data": {"id": 7, "plan": "pro"},
    "id": "e",
    "ts": 1,
    "user": None,
    "v": None,
}


def read(extras: bytes) -> tuple[str, int, list[tuple[str, str, str, int, str, bytes]]]:
    """As lib/dress_run.lua takes it apart."""
    head = re.match(rb"^(\S+) (\d+) ", extras)
    assert head is not None
    at, found = head.end(), []
    while at < len(extras):
        sized = re.match(rb"^(\d+) ", extras[at:])
        assert sized is not None
        at += sized.end()
        one = extras[at : at + int(sized[1])]
        at += int(sized[1])
        parts = re.match(rb"^(\S+) (\S+) (\S+) (\d+) (\d+) ", one)
        assert parts is not None
        rest = one[parts.end() :]
        size = int(parts[5])
        path, bucket, anyhow = (part.decode() for part in parts.groups()[:3])
        found.append((path, bucket, anyhow, int(parts[4]), rest[:size].decode(), rest[size:]))
    return head[1].decode(), int(head[2]), found


def cancel_on(*listeners: dict[str, Any]) -> dict[str, Any]:
    return {"cancel_on": list(listeners)}


def test_a_plain_declaration_asks_for_nothing() -> None:
    assert extras_of({"id": "f", "triggers": []}, EVENT) == b""
    assert extras_of({"id": "f", "cancel_on": [], "timeouts": {"finish_ms": 5000}}, EVENT) == b""


def test_a_silent_run_says_so_and_nothing_else() -> None:
    assert read(extras_of({}, EVENT, silent=True)) == ("s", 0, [])


def test_a_time_by_which_to_begin() -> None:
    declared = {"timeouts": {"start_ms": 300_000, "finish_ms": 0}}
    assert read(extras_of(declared, EVENT)) == ("-", 300_000, [])
    assert read(extras_of(declared, EVENT, silent=True)) == ("s", 300_000, [])


def test_listeners_are_filed_where_an_arriving_event_looks() -> None:
    if_ = "event.data.id == async.data.id"
    declared = cancel_on({"event": "order/cancelled", "if": if_, "timeout_ms": 60_000}, {"event": "étage/fermé"})
    flags, start_ms, (first, second) = read(extras_of(declared, EVENT))
    assert (flags, start_ms) == ("-", 0)
    anyhow = bucket_of("order/cancelled", ANYHOW, "")
    assert first[:5] == (
        "data.id",
        bucket_of("order/cancelled", "data.id", "number:7"),
        anyhow,
        60_000,
        "order/cancelled",
    )
    stored = read_tail(first[5])
    assert stored.holds(None, {"data": {"id": 7}})
    assert not stored.holds(None, {"data": {"id": 8}})
    assert second == (
        ANYHOW,
        bucket_of("étage/fermé", ANYHOW, ""),
        bucket_of("étage/fermé", ANYHOW, ""),
        0,
        "étage/fermé",
        b"",
    )


def test_what_the_runs_own_event_rules_out_makes_no_listener() -> None:
    for if_, there in [
        ("event.data.plan == 'free' && event.data.id == async.data.id", False),
        ("event.data.plan == 'pro' && event.data.id == async.data.id", True),
        ("event.data.id == async.data.id && (event.data.missing > 3 && async.data.x)", False),
        ("event.data.plan == 'free' || async.data.force", True),
        ("event.data.plan == 'free'", False),
        ("false", False),
        ("async.data.id == 8", True),
        ("event.data.plan > 3 && async.data.x", False),
        ("date(event.data.at) < now() && async.data.x", True),
    ]:
        assert bool(extras_of(cancel_on({"event": "x", "if": if_}), EVENT)) is there, if_


def test_a_field_that_is_no_word_is_filed_under_the_name_and_still_decided_by_the_condition() -> None:
    for if_, arriving in [
        ("event.data.id == async.data['a b']", {"data": {"a b": 7}}),
        ("event.data.id == async.data['a.b']", {"data": {"a.b": 7}}),
        ("event.data.id == async.data['\\n']", {"data": {"\n": 7}}),
    ]:
        _, _, [(path, _, _, _, name, tail)] = read(extras_of(cancel_on({"event": "x", "if": if_}), EVENT))
        assert (path, name) == (ANYHOW, "x")
        assert read_tail(tail).holds(None, arriving), if_


def test_what_another_release_declared_and_cannot_be_read_is_left_out_and_named() -> None:
    declared = cancel_on({"event": "x", "if": "event.data.id ~~ 1"}, {"ev": "y"}, {"event": "z"}) | {"timeouts": ["?"]}
    dressing = Dressing.of(declared)
    assert [listener.event for listener in dressing.listeners] == ["z"]
    assert len(dressing.faults) == 3
    assert len(Dressing.of({"cancel_on": 7}).faults) == 1
    _, start_ms, [listener] = read(dressing.extras(EVENT))
    assert (start_ms, listener[4]) == (0, "z")
