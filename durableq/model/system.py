"""System events: what durableq itself says about runs. Their names, the letters of their sorts, and what else they are called.

They are written only where somebody listens (decision 010), and nobody else may send under their prefixes. Where a function, a
wait or a `cancel_on` names one as Inngest does, ours is meant.
"""

from __future__ import annotations

from typing import Final

from durableq.model.event.rules import NAME_MAX, RESERVED_PREFIXES, UNPRINTABLE
from durableq.words.errors import ConfigError
from durableq.words.shown import shown

FINISHED: Final = "durableq/function.finished"
FAILED: Final = "durableq/function.failed"
CANCELLED: Final = "durableq/function.cancelled"
INVOKED: Final = "durableq/function.invoked"
TICK: Final = "durableq/cron.tick"

SORT_OF: Final = {FINISHED: "f", FAILED: "e", CANCELLED: "x", INVOKED: "i", TICK: "t"}
"""The letter by which scripts know each (lib/echo.lua)."""

NAME_OF: Final = {sort: name for name, sort in SORT_OF.items()}

ENDS: Final = frozenset({FINISHED, FAILED, CANCELLED})
"""A run that one of these has started is silent: its own end is no event."""

ALIASES: Final = {
    "inngest/function.finished": FINISHED,
    "inngest/function.failed": FAILED,
    "inngest/function.cancelled": CANCELLED,
    "inngest/function.invoked": INVOKED,
    "inngest/scheduled.timer": TICK,
}


def canonical_name(name: str) -> str:
    """Our name of a system event that is called as Inngest calls it; any other name as it is."""
    return ALIASES.get(name, name)


def listened_name(what: str, name: object, *, pattern: bool = False) -> str:
    """The name of the event that something may listen to, system events under our names. `what` names the option in errors.

    Raises:
        ConfigError: It is no event's name, a system event that there is not, or (without `pattern`) a wildcard.
    """
    if not isinstance(name, str):
        raise ConfigError(f"{what} must be a string, not {type(name).__name__}: {shown(name)}")
    if not 1 <= len(name) <= NAME_MAX or name != name.strip():
        raise ConfigError(f"{what} must have 1 to {NAME_MAX} characters, no space at its ends: {shown(name)}")
    if not name.isprintable() and UNPRINTABLE.search(name):
        raise ConfigError(f"{what} must be printable text: {shown(name)}")
    found = canonical_name(str.__str__(name))  # an enum's member becomes its text
    if found.startswith(RESERVED_PREFIXES) and found not in SORT_OF:
        raise ConfigError(f"{what} {shown(name)}: there is no such system event; there are {', '.join(SORT_OF)}")
    if "*" in found and not pattern:
        raise ConfigError(f"{what} {shown(name)} has a wildcard, which only triggers may have: name one event")
    return found
