"""One run at a time: `Singleton`. What comes meanwhile is skipped, or takes its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from durableq.model.flow_rules import key_expression, one_of

MODES: Final = ("skip", "cancel")


@dataclass(frozen=True, slots=True)
class Singleton:
    """One run at a time, from its creation until it has ended: `Singleton("skip", key="event.data.account_id")`.

    Args:
        mode: "skip" drops what comes while there is one, visibly; "cancel" cancels that one, and the new one takes its
            place when its code has ended.
        key: An expression over the event: one run for each value. Events for which it comes to nothing, or to `false`, are
            not held to it.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        ExpressionError: `key` does not compile; the message points at the character.
    """

    mode: Literal["skip", "cancel"] = "skip"
    key: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", one_of("Singleton mode", self.mode, MODES))
        object.__setattr__(self, "key", key_expression("Singleton key", self.key))

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        return {"mode": self.mode, "key": self.key}
