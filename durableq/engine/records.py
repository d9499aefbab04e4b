"""The blobs that the engine writes into memos, and how it reads them. The store never looks inside.

A new field is added under a new name and read with a default: blobs of the release before must load.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from durableq.model.event import Event, decode_event
from durableq.model.failure import Failure
from durableq.words import codec


class Sleep(NamedTuple):
    """A sleep: SLEEPING and WOKEN."""

    op: str
    step_id: str
    due_at_ms: int

    def encode(self) -> bytes:
        """As a memo's blob."""
        return codec.encode({"op": self.op, "id": self.step_id, "due": self.due_at_ms})

    @classmethod
    def decode(cls, blob: bytes) -> Sleep:
        """What `encode` wrote."""
        stored = _map(blob)
        return cls(stored["op"], stored["id"], stored["due"])


class Delay(NamedTuple):
    """The delay before a step's next attempt: RETRYING."""

    step_id: str
    attempt: int
    """The next one, from 0."""
    due_at_ms: int
    failure: Failure
    """How the last attempt failed."""

    def encode(self) -> bytes:
        """As a memo's blob."""
        return codec.encode(
            {"id": self.step_id, "attempt": self.attempt, "due": self.due_at_ms, "failure": self.failure.to_map()}
        )

    @classmethod
    def decode(cls, blob: bytes) -> Delay:
        """What `encode` wrote."""
        stored = _map(blob)
        return cls(stored["id"], stored["attempt"], stored["due"], Failure.from_map(stored["failure"]))


class EventAwaited(NamedTuple):
    """A wait for an event: AWAITING and TIMED_OUT."""

    op: str
    step_id: str
    due_at_ms: int
    event_name: str
    if_: str | None

    def encode(self) -> bytes:
        """As a memo's blob."""
        return codec.encode(
            {"op": self.op, "id": self.step_id, "due": self.due_at_ms, "event": self.event_name, "if": self.if_}
        )


class SignalAwaited(NamedTuple):
    """A wait for a signal: SIGNALLING and TIMED_OUT."""

    op: str
    step_id: str
    due_at_ms: int
    signal: str

    def encode(self) -> bytes:
        """As a memo's blob."""
        return codec.encode({"op": self.op, "id": self.step_id, "due": self.due_at_ms, "signal": self.signal})


class ChildAwaited(NamedTuple):
    """A wait for a child run: INVOKING and TIMED_OUT."""

    op: str
    step_id: str
    due_at_ms: int
    function: str
    child: str

    def encode(self) -> bytes:
        """As a memo's blob."""
        return codec.encode(
            {
                "op": self.op,
                "id": self.step_id,
                "due": self.due_at_ms,
                "function": self.function,
                "run": self.child,
            }
        )

    @classmethod
    def decode(cls, blob: bytes) -> ChildAwaited:
        """What `encode` wrote."""
        stored = _map(blob)
        return cls(stored["op"], stored["id"], stored["due"], stored["function"], stored["run"])


def op_of(blob: bytes) -> str:
    """Which verb a pending or timed out wait, of whichever sort, was begun by."""
    return str(_map(blob)["op"])


def due_at_ms_of(blob: bytes) -> int:
    """When a pending wait, of whichever sort, is over."""
    due_at_ms: int = _map(blob)["due"]
    return due_at_ms


class Match(NamedTuple):
    """The event that answered a wait: MATCHED."""

    entry: str
    """Where it stands in the stream."""
    event: Event[dict[str, Any]]

    @classmethod
    def decode(cls, blob: bytes) -> Match:
        """What the store, or the port, wrote: `entry`, a space, the encoded event."""
        entry, _, encoded = blob.partition(b" ")
        place = entry.decode()
        return cls(place, decode_event(encoded, place))


class Abandonment(NamedTuple):
    """A step that user code cancelled: ABANDONED."""

    step_id: str
    after_ms: int
    """How long it had been asked for."""

    def encode(self) -> bytes:
        """As a memo's blob."""
        return codec.encode({"id": self.step_id, "after": self.after_ms})

    @classmethod
    def decode(cls, blob: bytes) -> Abandonment:
        """What `encode` wrote."""
        stored = _map(blob)
        return cls(stored["id"], stored["after"])


def _map(blob: bytes) -> dict[str, Any]:
    stored: dict[str, Any] = codec.decode(blob)
    return stored
