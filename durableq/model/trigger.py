"""Triggers: what starts a run. Event names, wildcards, and an optional condition; or a cron expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final, Literal

from durableq.model.cron import Schedule, read_expression, read_zone, split_zone
from durableq.model.expressions import Expression, compile_expression
from durableq.model.system import listened_name
from durableq.words import codec
from durableq.words.errors import CodecError, ConfigError
from durableq.words.familiar import familiar
from durableq.words.periods import Duration, format_ms, to_ms
from durableq.words.shown import shown


@familiar
@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Starts a run for each event of this name, if `if_` holds.

    Args:
        event: An event name, or a pattern that ends in `/*` or `.*`: `app/*`, `app/user.*`. Of the system's own events
            `durableq/function.finished`, `.failed`, `.cancelled`, `.invoked` and `durableq/cron.tick`; the names that
            Inngest has for them mean the same.
        if_: An expression over `event`, such as `event.data.total > 100`. Where it cannot be evaluated this trigger is
            skipped for that event, which is counted and shown by `durableq functions`.

    Raises:
        ConfigError: The name or pattern breaks a rule.
        ExpressionError: `if_` does not compile; the message points at the character.
    """

    event: str
    if_: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "event", check_pattern(self.event))
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


CATCH_UPS: Final = ("none", "latest", "all")
OVERLAPS: Final = ("allow", "skip")


@dataclass(frozen=True, slots=True)
class CronTrigger:
    """Starts a run at each time that fits a cron expression: `CronTrigger("0 9 * * 1-5", timezone="Europe/Paris")`.

    Args:
        cron: Five fields (minute, hour, day of month, month, day of week; `L` is the month's last day), or @hourly,
            @daily, @weekly, @monthly, @yearly. `TZ=Europe/Paris ` before them says the zone too.
        timezone: A zone such as "Europe/Paris", UTC by default.
        jitter: Each run starts later by up to this much, always the same for the same tick. It must be shorter than the
            time between two ticks.
        catch_up: What becomes of ticks that nobody could perform in time: "latest" performs the newest of them, "all"
            the newest 1,000, "none" only one that is less than a minute late.
        overlap: "skip" leaves a tick out while a run that this trigger has started is not finished.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
    """

    cron: str
    timezone: str = field(default="", kw_only=True)
    jitter: Duration = field(default=0, kw_only=True)
    catch_up: Literal["none", "latest", "all"] = field(default="latest", kw_only=True)
    overlap: Literal["allow", "skip"] = field(default="allow", kw_only=True)
    key: str = field(init=False, repr=False, compare=False)
    """What identifies it within its function: expression and zone, whatever way they are written, and no option."""
    _schedule: Schedule = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given: object = self.cron
        prefix, cron = split_zone(given) if isinstance(given, str) else (None, given)
        if prefix is not None and self.timezone:
            raise ConfigError(
                f"CronTrigger timezone {shown(self.timezone)}: the expression begins with TZ={shown(prefix)} already; "
                "say it once"
            )
        zone = prefix if prefix is not None else self.timezone
        expression = read_expression(cron)
        # An empty prefix is a mistake; timezone="" is the default.
        known = read_zone(zone if prefix is not None or zone != "" else "UTC")
        _check_choice("catch_up", self.catch_up, CATCH_UPS)
        _check_choice("overlap", self.overlap, OVERLAPS)
        if self.catch_up == "all" and self.overlap == "skip":
            raise ConfigError(
                "CronTrigger catch_up 'all' and overlap 'skip' do not go together: of the ticks caught up with, every "
                "one after the first would be skipped; write catch_up='latest'"
            )
        jitter_ms = to_ms("CronTrigger jitter", self.jitter)
        gap_ms = expression.shortest_gap_min() * 60_000
        if jitter_ms >= gap_ms:
            raise ConfigError(
                f"CronTrigger jitter must be less than the {format_ms(gap_ms)} between two ticks of {shown(cron)}, "
                f"not {shown(self.jitter)}"
            )
        object.__setattr__(self, "cron", " ".join(str(cron).split()))
        object.__setattr__(self, "timezone", known.key)
        object.__setattr__(self, "jitter", timedelta(milliseconds=jitter_ms))
        meaning = f"{expression.plain}\0{known.key}"
        object.__setattr__(self, "key", blake2b(meaning.encode(), digest_size=6).hexdigest())
        object.__setattr__(self, "_schedule", Schedule(expression, known))

    @property
    def jitter_ms(self) -> int:
        """The jitter in ms."""
        return to_ms("CronTrigger jitter", self.jitter)

    def schedule(self) -> Schedule:
        """When it ticks."""
        return self._schedule

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        return {
            "cron": self.cron,
            "key": self.key,
            "timezone": self.timezone,
            "jitter_ms": self.jitter_ms,
            "catch_up": self.catch_up,
            "overlap": self.overlap,
        }

    @classmethod
    def from_map(cls, stored: dict[str, Any]) -> CronTrigger:
        return cls(
            stored["cron"],
            timezone=stored["timezone"],
            jitter=timedelta(milliseconds=stored["jitter_ms"]),
            catch_up=stored["catch_up"],
            overlap=stored["overlap"],
        )

    @classmethod
    def from_spec(cls, spec: bytes) -> CronTrigger:
        """A trigger as the schedule has it. Raises ConfigError for another release's, or a zone that is unknown here."""
        try:
            stored = codec.decode(spec)
            return cls.from_map(stored)
        except (CodecError, LookupError, TypeError) as error:
            raise ConfigError(f"cron trigger {shown(spec)} was declared by another release: {error}") from None

    def __str__(self) -> str:
        return f"cron {self.cron} {self.timezone}"


Trigger = EventTrigger | CronTrigger


def _check_choice(option: str, value: object, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ConfigError(f"CronTrigger {option} must be one of {', '.join(map(repr, allowed))}, not {shown(value)}")


def check_pattern(name: object) -> str:
    """The event name or pattern of a trigger, system events under our names. Raises ConfigError for anything else."""
    found = listened_name("EventTrigger event", name, pattern=True)
    if "*" in found and (found.count("*") > 1 or not found.endswith(("/*", ".*")) or len(found) < 3):
        raise ConfigError(
            f"EventTrigger event {name!r}: a wildcard stands for whole words at the end, as in 'app/*' or 'app/user.*'"
        )
    return found


def patterns_of(name: str) -> list[str]:
    """Every trigger name that this event name meets: itself, and each `/` or `.` prefix with a wildcard."""
    found = [name]
    for position, letter in enumerate(name):
        if letter in "/." and position:
            found.append(name[: position + 1] + "*")
    return found
