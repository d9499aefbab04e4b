"""Rules that the options of flow control share: whole numbers, and expressions over the event that are keys.

An expression is compiled when it is declared; one that could never come to anything is refused there too, since a limit
with such a key would bind nobody, or everybody, and nobody would be told.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from durableq.model.expressions import Expression, compile_expression
from durableq.model.reading import check_fields
from durableq.words.errors import ConfigError, ExpressionError
from durableq.words.shown import shown

SECOND_MS: Final = 1_000
DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS

MOST: Final = 1_000_000
"""Above any number that one Redis could reach; a larger one is a mistake."""

_NO_EVENT: Final[dict[str, object]] = {"event": {}}


def whole(what: str, given: object, least: int, most: int, hint: str = "") -> int:
    """A whole number within bounds. Raises ConfigError with what it is for, the rule and the value; `hint` where too small."""
    if isinstance(given, bool) or not isinstance(given, int):
        raise ConfigError(f"{what} must be a whole number, not {type(given).__name__}: {shown(given)}")
    if not least <= given <= most:
        rule, hint = (f"at least {least:,}", hint) if given < least else (f"at most {most:,}", "")
        raise ConfigError(f"{what} must be {rule}, not {shown(given)}{hint}")
    return int(given)  # of an enum its value, which can be stored


def one_of(what: str, given: object, choices: Collection[str]) -> str:
    """One of these words. Raises ConfigError for anything else, with the near miss."""
    if isinstance(given, str) and given in choices:
        return str.__str__(given)
    words = [repr(choice) for choice in choices]
    near = get_close_matches(given.strip().lower(), choices, 1) if isinstance(given, str) else []
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"{what} must be {', '.join(words[:-1])} or {words[-1]}, not {shown(given)}{meant}")


def key_expression(what: str, given: object) -> str | None:
    """An optional key: its text, without spaces around it. Raises ConfigError, or ExpressionError with the character."""
    return None if given is None else needed_key(what, given)


def needed_key(what: str, given: object) -> str:
    """The same of a key that there must be."""
    expression = compiled(what, given)
    if is_constant(expression):
        value = expression.evaluate(_NO_EVENT).value
        if value is False or expression.key(_NO_EVENT) is None:
            raise ConfigError(f"{what} {shown(given)} reads nothing of the event and is never a key")
        if isinstance(value, str) and value.startswith("event."):
            raise ConfigError(
                f"{what} {shown(given)} is a text, the same for every event: write {value!r}, without its quotes"
            )
    return expression.source


def compiled(what: str, given: object) -> Expression:
    """An expression over `event`. Raises ConfigError, or ExpressionError with the character."""
    if not isinstance(given, str):
        hint = ": it is evaluated where this code may not be loaded" if callable(given) else f": {shown(given)}"
        raise ConfigError(
            f"{what} must be an expression in a string, such as 'event.data.user_id', not {type(given).__name__}{hint}"
        )
    try:
        expression = compile_expression(given.strip())
        check_fields(expression)
    except ExpressionError as error:
        raise ExpressionError(f"{what}: {error.reason}", error.source, error.position) from None
    return expression


def of_inngest(given: object) -> str:
    """Of a value of inngest-py's class what to say behind an error, since ours has the same name."""
    return ": import it from durableq" if type(given).__module__.partition(".")[0] == "inngest" else ""


def is_constant(expression: Expression) -> bool:
    """Whether it comes to the same for every event, or to what has nothing to do with it, such as the time."""
    return not expression.fields
