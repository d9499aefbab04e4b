"""The phases of one call of the function."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """RUNNING, with detours through SUSPENDING, then LEAVING, then OVER."""

    RUNNING = "running"
    SUSPENDING = "suspending"
    """The suspension was decided and is on its way. Nothing new starts; if there is news, back to RUNNING."""
    LEAVING = "leaving"
    """User code is being left: its tasks are cancelled, its threads interrupted, its steps refused quietly."""
    OVER = "over"
    """User code has been left, or given up on. A step asked for now is never answered."""


RUNNING = Phase.RUNNING

LEFT = (Phase.LEAVING, Phase.OVER)
"""The phases in which user code goes on without us."""
