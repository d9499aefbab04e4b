"""History notes: what a screen shows of one attempt or wait, packed small."""

from __future__ import annotations

from typing import NamedTuple

from durableq.engine.port import StepNote
from durableq.words.codec import decode, encode
from durableq.words.errors import CodecError


class Note(NamedTuple):
    """As `StepNote`, read back."""

    op: str
    step_id: str
    attempt: int
    asked_at_ms: int
    started_at_ms: int
    ended_at_ms: int
    error: str


def note_of(note: StepNote) -> bytes:
    return encode(list(note))


def read_note(blob: bytes) -> Note | None:
    """The note in these bytes; None where there is none (what Lua writes by itself)."""
    try:
        fields = decode(blob) if blob else None
    except CodecError:
        return None
    return Note(*fields) if isinstance(fields, list) and len(fields) == 7 else None
