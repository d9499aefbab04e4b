"""What a system event says: made of a run's function, input and output, since scripts write a reference only (lib/echo.lua).

A reference is `S<sort> <run>`. Which events there are, and their names, is in system.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from durableq.model.event import Event, decode_given, encode_event, trusted_event
from durableq.model.failure import Failure
from durableq.model.run import State
from durableq.model.system import INVOKED, NAME_OF, TICK
from durableq.words import codec
from durableq.words.errors import CodecError, EventError

MARK: Final = b"S"
"""How a reference begins. Everything else in the stream begins with the codec's format byte."""

_CANCELLED: Final = "function cancelled"


class Reference(NamedTuple):
    """A system event as scripts write it: the name of its sort, and the run that it is about."""

    name: str
    run_id: str


class Facts(NamedTuple):
    """What is known of a run. `given` and `out` are encoded."""

    function: str
    state: State
    created_at_ms: int
    ended_at_ms: int
    given: bytes
    out: bytes


def read_reference(blob: bytes) -> Reference:
    """The reference in these bytes. Raises CodecError for what is none, or of a sort that this release does not know."""
    sort, _, run_id = blob[len(MARK) :].decode("ascii", "replace").partition(" ")
    if sort not in NAME_OF or not run_id:
        raise CodecError(f"{blob[:40]!r} refers to no system event that this release knows")
    return Reference(NAME_OF[sort], run_id)


def encode_system_event(reference: Reference, facts: Facts) -> bytes:
    """The event, as it is stored and routed. Its id is the run's.

    `event` is what started the run, the first of a batch; `events` are all. An event or result that is nested too deeply to
    stand inside another event is left out, and `omitted` says so.

    Raises:
        CodecError: The run's input or output cannot be read here.
    """
    data = _data(reference, facts)
    at_ms = facts.created_at_ms if reference.name in (INVOKED, TICK) else facts.ended_at_ms
    try:
        return encode_event(_event(reference, data, at_ms))
    except EventError:
        bare = [{**event, "data": {}} for event in data["events"]]
        data |= {"event": bare[0], "events": bare, "omitted": "event.data and result: nested too deeply"}
        if "result" in data:
            data["result"] = None
        return encode_event(_event(reference, data, at_ms))


def _event(reference: Reference, data: dict[str, Any], at_ms: int) -> Event[dict[str, Any]]:
    return trusted_event(reference.name, data, reference.run_id, at_ms, None, None)


def _data(reference: Reference, facts: Facts) -> dict[str, Any]:
    app_id, _, function_id = facts.function.partition("/")
    given = decode_given(facts.given, facts.created_at_ms)
    events = [
        {"name": one.name, "data": one.data, "id": one.id, "ts": one.ts, "user": one.user, "v": one.v} for one in given
    ]
    data: dict[str, Any] = {
        "function_id": function_id,
        "app_id": app_id,
        "run_id": reference.run_id,
        "event": events[0],
        "events": events,
    }
    if reference.name == TICK:
        return {**given[0].data, **data}
    if reference.name == INVOKED:
        return data
    if facts.state is State.COMPLETED:
        return {**data, "result": codec.decode(facts.out) if facts.out else None}
    return {**data, "error": _error(facts)}


def _error(facts: Facts) -> Mapping[str, str]:
    """Name, message and stack of what a run ended with."""
    if not facts.out:
        name, message, stack = "Error", "", ""
    else:
        failure = Failure.decode(facts.out)
        name, message, stack = failure.name, failure.message, failure.stack
    if facts.state is State.CANCELLED:
        message = f"{_CANCELLED}: {message}" if message else _CANCELLED
    return {"name": name, "message": message, "stack": stack}
