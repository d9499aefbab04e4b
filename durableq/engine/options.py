"""A step's own options, as `ctx.step.options(…)` sets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from durableq.model.retry import Backoff, check_retries
from durableq.words.errors import ConfigError
from durableq.words.periods import Duration, to_ms

_OWN_TIMEOUT = ("wait_for_event", "wait_for_signal", "invoke")


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What a step does not take from its function. None: as the function says."""

    retries: int | None = None
    timeout_ms: int | None = None
    backoff: Backoff | None = None
    output_type: Any = None

    @classmethod
    def of(
        cls, retries: int | None, timeout: Duration | None, backoff: Backoff | None, output_type: Any
    ) -> StepOptions:
        """Checked options. ConfigError names the option, the rule and the value."""
        if backoff is not None and not isinstance(backoff, Backoff):
            raise ConfigError(
                f"step options: backoff must be Backoff.exponential(…), .fixed(…) or .table(…), not {backoff!r:.80}"
            )
        return cls(
            None if retries is None else check_retries(retries, "step options"),
            None if timeout is None else to_ms("step options: timeout", timeout, minimum_ms=1),
            backoff,
            output_type,
        )

    def refuse(self, op: str, *, allowed: tuple[str, ...] = ()) -> None:
        """Raise ConfigError if an option is set that this operation has no use for."""
        if self is PLAIN:
            return
        unused = [name for name in self.__slots__ if getattr(self, name) is not None and name not in allowed]
        if unused:
            names = ", ".join(unused).replace("timeout_ms", "timeout")
            own = op in _OWN_TIMEOUT and "timeout_ms" in unused
            remedy = f"give {op} its own timeout=" if own else f"call ctx.step.{op}(…) without it"
            raise ConfigError(f"step.{op} has no use for the option {names}: {remedy}")


PLAIN = StepOptions()
