"""How many runs of a function execute at the same time: `Concurrency`, and the option that takes several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal

from durableq.model.flow_rules import MOST, key_expression, of_inngest, one_of, whole
from durableq.words.errors import ConfigError
from durableq.words.familiar import refuse_value
from durableq.words.shown import shown

SCOPES: Final = ("namespace", "app", "function")
"""Widest first, as they are declared and looked at."""

HOLDS: Final = ("run", "turn")
KEYED_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most so many runs execute at once: `Concurrency(1, key="event.data.customer_id")`. The others wait, oldest first.

    A run that sleeps or waits holds nothing, unless `hold="run"`.

    Args:
        limit: At most so many; a deploy that changes it reaches what is queued at once.
        key: An expression over the event: each value has a limit of its own. Runs for which it comes to nothing share
            one; those for which it is `false` are not limited.
        scope: Who counts together: the runs of this "function", those of the "app", or of the whole "namespace", in all
            functions that declare the same scope and whose key comes to the same value. The two wider ones need a key,
            which may be a text: `key="'openai'"`. Each function compares what is counted with its own limit.
        hold: "turn" counts a run while it is executed; "run" from its first start until it has ended, with all of its
            sleeps, waits and retries.

    Raises:
        ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        ExpressionError: `key` does not compile; the message points at the character.
    """

    limit: int
    key: str | None = field(default=None, kw_only=True)
    scope: Literal["function", "app", "namespace"] = field(default="function", kw_only=True)
    hold: Literal["turn", "run"] = field(default="turn", kw_only=True)

    def __post_init__(self) -> None:
        limit = whole("Concurrency limit", self.limit, 1, MOST, "; for no limit, leave it out")
        object.__setattr__(self, "limit", limit)
        refuse_value("Concurrency scope", self.scope)
        object.__setattr__(self, "scope", one_of("Concurrency scope", self.scope, SCOPES[::-1]))
        object.__setattr__(self, "hold", one_of("Concurrency hold", self.hold, HOLDS[::-1]))
        object.__setattr__(self, "key", key_expression("Concurrency key", self.key))
        if self.key is None and self.scope != "function":
            raise ConfigError(
                f"Concurrency scope {self.scope!r} needs a key, since what has the same value counts together: write "
                f"""Concurrency({self.limit}, key="'openai'", scope={self.scope!r})"""
            )

    @property
    def sorting(self) -> tuple[int, bool, int, str]:
        """The order in which limits are declared and looked at: the widest first."""
        return SCOPES.index(self.scope), self.key is not None, HOLDS.index(self.hold), self.key or ""

    def to_map(self) -> dict[str, Any]:
        """As stored in the registry."""
        return {"limit": self.limit, "key": self.key, "scope": self.scope, "hold": self.hold}


def check_concurrency(where: str, given: object) -> tuple[Concurrency, ...]:
    """The option `concurrency`: a number, one Concurrency, or several; widest first, whatever order they were written in.

    Raises ConfigError with option, rule and value.
    """
    if given is None:
        return ()
    if isinstance(given, Concurrency) or (isinstance(given, int) and not isinstance(given, bool)):
        given = (given,)
    if isinstance(given, (str, bytes, bytearray)) or not isinstance(given, Sequence):
        raise ConfigError(
            f"{where}: concurrency must be a number, a Concurrency, or a list such as [Concurrency(10), "
            f"Concurrency(1, key='event.data.user_id')], not {type(given).__name__}: {shown(given)}{of_inngest(given)}"
        )
    limits = sorted((_checked(where, one) for one in given), key=lambda limit: limit.sorting)
    for one, other in pairwise(limits):
        if one.sorting == other.sorting:
            raise ConfigError(
                f"{where}: concurrency has {one.limit} and {other.limit} for the same {_described(one)}: the larger one "
                "would do nothing"
            )
    keyed = sum(limit.key is not None for limit in limits)
    if keyed > KEYED_MAX:
        raise ConfigError(f"{where}: concurrency may have at most {KEYED_MAX} limits with a key, not {keyed}")
    return tuple(limits)


def _checked(where: str, one: object) -> Concurrency:
    if isinstance(one, Concurrency):
        return one
    if isinstance(one, bool) or not isinstance(one, int):
        hint = of_inngest(one) or ": write Concurrency(10)"
        raise ConfigError(f"{where}: concurrency holds {shown(one)}, which is no Concurrency{hint}")
    try:
        return Concurrency(one)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _described(limit: Concurrency) -> str:
    key = f"key {limit.key}" if limit.key is not None else "all of its runs"
    return f"{limit.scope}, {key}, hold={limit.hold!r}"
