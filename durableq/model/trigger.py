"""Triggers: what starts a run. Event names, wildcards, and an optional condition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from durableq.model.expressions import Expression, compile_expression
from durableq.words.errors import ConfigError

NAME_MAX = 256
SYSTEM_PREFIXES = ("durableq/", "inngest/")


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Starts a run for each event of this name, if `if_` holds.

    Args:
        event: An event name, or a pattern that ends in `/*` or `.*`: `app/*`, `app/user.*`.
        if_: An expression over `event`, such as `event.data.total > 100`. Where it cannot be evaluated this trigger is
            skipped for that event, which is counted and shown by `durableq functions`.

    Raises:
        ConfigError: The name or pattern breaks a rule.
        ExpressionError: `if_` does not compile; the message points at the character.
    """

    event: str
    if_: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_pattern(self.event)
        if self.if_ is not None:
            if not isinstance(self.if_, str):
                raise ConfigError(
                    f"EventTrigger if_ must be an expression in a string, not {type(self.if_).__name__}: {self.if_!r}"
                )
            compile_expression(self.if_)

    def condition(self) -> Expression | None:
        """The compiled condition, or None if every event of the name starts a run."""
        return None if self.if_ is None else compile_expression(self.if_)

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        return {"event": self.event} if self.if_ is None else {"event": self.event, "if": self.if_}

    @classmethod
    def from_map(cls, stored: dict[str, Any]) -> EventTrigger:
        return cls(stored["event"], if_=stored.get("if"))

    def __str__(self) -> str:
        return self.event if self.if_ is None else f"{self.event} if {self.if_}"


def check_pattern(name: object) -> None:
    """Raise ConfigError unless this can be an event name or pattern of a trigger."""
    if not isinstance(name, str):
        raise ConfigError(f"EventTrigger event must be a string, not {type(name).__name__}: {name!r}")
    if not 1 <= len(name) <= NAME_MAX or name != name.strip():
        raise ConfigError(
            f"EventTrigger event must have 1 to {NAME_MAX} characters, no space at its ends: {name[:80]!r}"
        )
    if not name.isprintable():
        raise ConfigError(f"EventTrigger event must be printable text: {name[:80]!r}")
    if name.startswith(SYSTEM_PREFIXES):
        raise ConfigError(
            f"EventTrigger event {name!r}: system events ({' and '.join(prefix + '…' for prefix in SYSTEM_PREFIXES)}) "
            "are not supported yet"
        )
    if "*" in name and (name.count("*") > 1 or not name.endswith(("/*", ".*")) or len(name) < 3):
        raise ConfigError(
            f"EventTrigger event {name!r}: a wildcard stands for whole words at the end, as in 'app/*' or 'app/user.*'"
        )


def patterns_of(name: str) -> list[str]:
    """Every trigger name that this event name meets: itself, and each `/` or `.` prefix with a wildcard."""
    found = [name]
    for position, letter in enumerate(name):
        if letter in "/." and position:
            found.append(name[: position + 1] + "*")
    return found
