"""The blobs that the engine writes into memos, and how it reads them. The store never looks inside.

A new field is added under a new name and read with a default: blobs of the release before must load.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
