"""Limits: every figure that durableq refuses to pass, in one place. Nothing is clamped: what is over is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from durableq.words.errors import ConfigError, LimitExceeded
from durableq.words.shown import shown

KB = 1024
MB = 1024 * KB
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one app or client. The four fields may be set; the rest is the same everywhere.

    Args:
        steps_per_run: Steps that one run may record. 1,000, at most 10,000.
        step_result_bytes: One step's encoded result. 4 MB, at most 32 MB.
        run_bytes: All that a run has recorded, its events included. 32 MB, at most 256 MB: a replay reads it all.
        event_bytes: One encoded event. 512 KB, at most 3 MB.

    Raises:
        ConfigError: A figure is out of its range. The message names the option, the rule and the value.
    """

    steps_per_run: int = 1_000
    step_result_bytes: int = 4 * MB
    run_bytes: int = 32 * MB
    event_bytes: int = 512 * KB

    events_per_send: ClassVar[int] = 5_000
    triggers: ClassVar[int] = 10
    cancel_on: ClassVar[int] = 5
    concurrency_keys: ClassVar[int] = 2
    retries: ClassVar[int] = 20
    wait_ms: ClassVar[int] = 366 * _DAY_MS  # a sleep, a wait, an invoke, a delay between attempts

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Raise ConfigError unless each figure is within its range, and the parts fit into a run."""
        for option in fields(self):
            value, ceiling = getattr(self, option.name), _CEILINGS[option.name]
            if not isinstance(value, int) or isinstance(value, bool):
                raise ConfigError(f"limits: {option.name} must be a whole number, not {shown(value)}")
            if not 1 <= value <= ceiling:
                raise ConfigError(f"limits: {option.name} must be 1 to {ceiling:,}, not {shown(value)}")
        for part in ("step_result_bytes", "event_bytes"):
            if getattr(self, part) > self.run_bytes:
                raise ConfigError(
                    f"limits: {part} must be at most run_bytes ({self.run_bytes:,}), not {getattr(self, part):,}"
                )

    def check_steps(self, count: int) -> None:
        """Raise LimitExceeded when a run would have so many steps."""
        if count > self.steps_per_run:
            raise LimitExceeded(
                f"the run has {count:,} steps and may have {self.steps_per_run:,}: give the rest to another run, "
                f"or raise limits.steps_per_run (at most {_CEILINGS['steps_per_run']:,})"
            )

    def check_bytes(self, option: str, what: str, size: int) -> None:
        """Raise LimitExceeded when `what` has more bytes than the option of this name allows."""
        allowed: int = getattr(self, option)
        if size > allowed:
            raise LimitExceeded(
                f"{what} has {size:,} bytes and may have {allowed:,}: store the data elsewhere and pass a reference, "
                f"or raise limits.{option} (at most {_CEILINGS[option]:,})"
            )

    def check_send(self, count: int) -> None:
        """Raise LimitExceeded when one send would carry so many events."""
        if count > self.events_per_send:
            raise LimitExceeded(
                f"{count:,} events are too many for one send, which takes {self.events_per_send:,}: send them in parts"
            )


_CEILINGS = {
    "steps_per_run": 10_000,
    "step_result_bytes": 32 * MB,
    "run_bytes": 256 * MB,
    "event_bytes": 3 * MB,
}
