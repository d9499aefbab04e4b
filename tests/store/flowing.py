"""The invariants of flow control (24 to 30 of model/run.py), checked over everything that a namespace holds."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator

from tests.store.stored import Stored

GATE = re.compile(r"(?:^| )([a-z])(\d*)=(\S+)")
FINALS = "cfx"


def gates_of(v: dict[str, str]) -> list[tuple[str, str, str]]:
    """What a run needs to be claimed: all its gates at first, those of a turn once it has begun."""
    gates = GATE.findall(v.get("j", "").partition(" ")[2])
    return [gate for gate in gates if gate[0] in "pc" or "b" not in v]


def lane_of(v: dict[str, str]) -> str:
    """The lane that a run belongs in; its function where it needs nothing."""
    return v.get("f", "") + "".join(f" {kind}{ordinal}={name}" for kind, ordinal, name in gates_of(v))


def held_by(v: dict[str, str]) -> list[str]:
    """The pools of which a living run has a slot: in hand of all, else of those for the whole run once it has begun."""
    kinds = "crz" if v["s"] == "r" else "rz" if "b" in v and v["s"] in "qw" else ""
    return [pool for kind, _, pool in GATE.findall(v.get("j", "").partition(" ")[2]) if kind in kinds]


def flow_violations(stored: Stored) -> list[str]:
    return [
        *_slots_are_of_who_holds_them(stored),
        *_lanes_are_listed(stored),
        *_parked_lanes_will_be_opened(stored),
        *_what_is_held_back_has_a_timer(stored),
        *_locks_name_the_living(stored),
    ]


def limit_of(stored: Stored, function: str, kind: str, ordinal: str) -> float:
    """The number of a gate of a function, as the newest deployment has it."""
    if kind == "z":
        return 1
    app, _, name = function.partition("/")
    numbers = stored.of("flow", app).get(name, " ")
    # Of a limit whose key was changed since, that of its kind.
    found = re.search(rf" {ordinal}=(\d+) ", numbers) or re.search(rf" {ordinal[:1]}=(\d+) ", numbers)
    return int(found[1]) if found else math.inf


def _slots_are_of_who_holds_them(stored: Stored) -> Iterator[str]:
    due = defaultdict(set)
    for run, v in stored.family("run"):
        for pool in held_by(v):
            due[pool].add(run)
    for _, left in stored.family("leaving"):
        for run, text in left.items():
            for kind, _, pool in GATE.findall(text.partition(" ")[2]):
                if kind in "crz":
                    due[pool].add(run)
    for pool, runs in stored.family("slots"):
        holders = due.pop(pool, set())
        if runs != holders:
            yield f"24 slots of {pool}: {sorted(runs)}, held by {sorted(holders)}"
    for pool, runs in due.items():
        if runs:
            yield f"24 {sorted(runs)} say that they hold {pool}, which nobody does"


def _lanes_are_listed(stored: Stored) -> Iterator[str]:
    parked = defaultdict(set)
    for gate, lanes in stored.family("parked"):
        pool, function = gate.split(" ")
        if pool not in stored.of("blocked", function):
            yield f"26 {function} has lanes at {pool}, which is not among its blocked gates"
        if pool.startswith("+") and function not in stored.of("sharers", pool) and not _opened(stored, pool, function):
            yield f"26 {function} has lanes at {pool}, is not among its sharers, and none was opened"
        for lane in lanes:
            parked[lane].add(pool)
    for function, pools in stored.family("blocked"):
        for pool in pools:
            if not stored.of("parked", f"{pool} {function}"):
                yield f"26 {function} is blocked at {pool}, where none of its lanes is"
    for pool, functions in stored.family("sharers"):
        for function in functions:
            if not stored.of("parked", f"{pool} {function}"):
                yield f"26 {pool} is shared by {function}, which has no lane there"
    for lane, runs in stored.family("lane"):
        function = lane.partition(" ")[0]
        if lane not in stored.of("lanes", function) and not parked[lane]:
            yield f"26 lane {lane} is neither open nor parked"
        for run in runs:
            v = stored.of("run", run)
            if v and (v["s"] != "q" or lane_of(v) != lane):
                yield f"3 lane {lane} has {run}: {v}"
    for function, runs in stored.family("gated"):
        for run in runs:
            v = stored.of("run", run)
            if v and (v["s"], v["f"]) != ("q", function):
                yield f"3 gated({function}) has {run}: {v}"
    for function, _ in stored.family("lanes"):
        app, _, name = function.partition("/")
        if f"{function}*" not in stored.of("work", app) and name not in stored.of("paused", app):
            yield f"27 {function} has open lanes and is not in work"


def _opened(stored: Stored, pool: str, function: str) -> bool:
    """Whether an open lane of a function has this gate."""
    return any(pool == name for lane in stored.of("lanes", function) for _, _, name in GATE.findall(lane))


def _parked_lanes_will_be_opened(stored: Stored) -> Iterator[str]:
    timers = stored.of("timers")
    for gate, lanes in stored.family("parked"):
        pool, function = gate.split(" ")
        kinds = {(kind, ordinal) for lane in lanes for kind, ordinal, name in GATE.findall(lane) if name == pool}
        if not kinds:
            yield f"26 {sorted(lanes)} are parked at {pool}, which is none of their gates"
        if _opened(stored, pool, function) or any(re.match(rf"G {function}( |$)", timer) for timer in timers):
            continue
        if any(re.match(rf"S {re.escape(pool)}( |$)", timer) for timer in timers):
            continue
        for kind, ordinal in kinds:
            if kind == "t":
                if f"T {pool} {function}" not in timers:
                    yield f"26 lanes of {function} are parked at the throttle {pool}, and no timer will open it"
            elif len(stored.of("slots", pool)) < limit_of(stored, function, kind, ordinal):
                yield f"26 {pool} has room, {sorted(lanes)} are parked at it, and nothing will open one"


def _what_is_held_back_has_a_timer(stored: Stored) -> Iterator[str]:
    timers = stored.of("timers")
    for kind, family in (("D", "debounce"), ("B", "batching")):
        for key, _ in stored.family(family):
            if f"{kind} {key}" not in timers:
                yield f"29 {family} {key} has no timer"
    due = {timer[2:] for timer in timers if timer[0] in "DB"}
    there = {key for family in ("debounce", "batching") for key, _ in stored.family(family)}
    for key in due - there:
        yield f"29 a timer is for {key}, of which nothing is held back"
    listed = {(function, member) for function, members in stored.family("holding") for member in members}
    held = {(v["fn"], f"D {key}") for key, v in stored.family("debounce")}
    held |= {(v["fn"], f"B {key}") for key, v in stored.family("batching")}
    for function, member in listed ^ held:
        yield f"29 holding({function}) and what is held back disagree about {member}"
    for key, _ in stored.family("batch"):
        if not stored.of("batching", key):
            yield f"29 batch {key} has events, and nothing says what it will be"


def _locks_name_the_living(stored: Stored) -> Iterator[str]:
    for key, raw in stored.family("lock"):
        v = stored.of("run", raw.decode())
        if not v or v["s"] in FINALS or f" z={key}" not in v.get("j", ""):
            yield f"30 lock {key} names {raw!r}: {v}"
