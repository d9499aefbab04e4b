"""History notes: what a screen shows of one attempt or wait, packed small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from durableq.engine.port import EventWait, Invocation, SignalWait, StepNote
from durableq.words.codec import decode, encode
from durableq.words.errors import CodecError

_FIELDS = 7
_NONE: Mapping[str, str] = {}


class Note(NamedTuple):
    """As `StepNote`, read back; and of a wait what it was for, which its memo no longer says once it was answered."""

    op: str
    step_id: str
    attempt: int
    asked_at_ms: int
    started_at_ms: int
    ended_at_ms: int
    error: str
    awaited: Mapping[str, str] = _NONE
    """`event` and `if`; `signal`; or `function` and `run`."""


def note_of(note: StepNote) -> bytes:
    return encode(list(note))


def note_of_wait(wait: EventWait | SignalWait | Invocation) -> bytes:
    """The same, with what the wait is for."""
    match wait:
        case EventWait():
            awaited = {"event": wait.event_name} | ({"if": wait.if_} if wait.if_ is not None else {})
        case SignalWait():
            awaited = {"signal": wait.signal}
        case Invocation():
            awaited = {"function": wait.function, "run": wait.child}
    return encode([*wait.note, awaited])


def read_note(blob: bytes) -> Note | None:
    """The note in these bytes; None where there is none (what Lua writes by itself)."""
    try:
        fields = decode(blob) if blob else None
    except CodecError:
        return None
    if not isinstance(fields, list) or len(fields) < _FIELDS:
        return None
    awaited = fields[_FIELDS] if len(fields) > _FIELDS else None
    return Note._make([*fields[:_FIELDS], awaited if isinstance(awaited, dict) else _NONE])
