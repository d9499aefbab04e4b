"""What a run was given: one event, or a batch of them.

A batch is the letter B and, for each event, `<size> <ms> <event>`: how long it is, when it was accepted, and the event as
it is stored. A script appends them and never reads them (lib/hold_back.lua). An event by itself begins with the codec's format
byte, so the two are told apart by their first byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from durableq.model.event.fact import Event
from durableq.model.event.wire import EventHead, EventScope, decode_event, read_head
from durableq.words.errors import CodecError
from durableq.words.shown import shown

BATCH_MARK: Final = b"B"
FRAME_MAX: Final = 32
"""No frame's head is longer: two decimal numbers with a space behind each."""

_FRAME: Final = re.compile(rb"(\d{1,9}) (\d{1,15}) ")


class Given(NamedTuple):
    """One event of what a run was given, encoded, and the entry of the stream whose time is the event's if it has none."""

    blob: bytes
    entry: str

    def head(self) -> EventHead:
        """With the data undecoded. Raises CodecError."""
        return read_head(self.blob)

    def scope(self) -> EventScope:
        """As expressions see it. Raises CodecError."""
        return self.head().scope(self.entry)

    def event(self) -> Event[dict[str, Any]]:
        """The whole event. Raises CodecError."""
        return decode_event(self.blob, self.entry)


def is_batch(blob: bytes) -> bool:
    """Whether this input of a run is a batch of events."""
    return blob[:1] == BATCH_MARK


def each_given(blob: bytes, created_at_ms: int) -> Iterator[Given]:
    """The events of a run's input, in order, none of them decoded. `created_at_ms` is when the run was created.

    Raises CodecError at the first that is cut or damaged, and for a batch of none.
    """
    if not is_batch(blob):
        yield Given(blob, f"{created_at_ms}-0")
        return
    at = len(BATCH_MARK)
    while True:
        frame = _FRAME.match(blob, at)
        if frame is None:
            raise CodecError(
                f"stored batch is damaged at byte {at} of {len(blob)}: {shown(bytes(blob[at : at + FRAME_MAX]))}"
            )
        size, accepted_at_ms = int(frame[1]), int(frame[2])
        if frame.end() + size > len(blob):
            raise CodecError(f"stored batch is cut: an event of {size} bytes at byte {at} of {len(blob)}")
        at = frame.end() + size
        yield Given(blob[frame.end() : at], f"{accepted_at_ms}-0")
        if at == len(blob):
            return


def first_given(blob: bytes, created_at_ms: int) -> Given:
    """The first event of a run's input: the only one, unless it is a batch. Raises CodecError for a damaged batch."""
    return next(each_given(blob, created_at_ms))


def decode_given(blob: bytes, created_at_ms: int) -> list[Event[dict[str, Any]]]:
    """All events of a run's input. Raises CodecError when any of them is damaged."""
    return [given.event() for given in each_given(blob, created_at_ms)]


def first_size(beginning: bytes) -> int:
    """How many bytes of a batch its first event takes, from the batch's beginning; FRAME_MAX of it are enough.

    Raises CodecError when it does not begin as a batch does.
    """
    frame = _FRAME.match(beginning, len(BATCH_MARK))
    if not is_batch(beginning) or frame is None:
        raise CodecError(f"stored batch is damaged at its beginning: {shown(bytes(beginning[:FRAME_MAX]))}")
    return frame.end() + int(frame[1])
