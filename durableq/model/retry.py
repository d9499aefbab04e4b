"""Retries: whether a failed attempt is tried again, and when. Decisions only; the caller passes in time and chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from durableq.model.backoff import DEFAULT_BACKOFF, Backoff
from durableq.model.limits import Limits
from durableq.model.stack import leaves
from durableq.words.errors import (
    CodecError,
    ConfigError,
    EventError,
    InvokeTimeout,
    LimitExceeded,
    NestedStep,
    NonRetriableError,
    RetryAfterError,
    StepError,
)
from durableq.words.periods import to_ms
from durableq.words.shown import shown

__all__ = ["DEFAULT_BACKOFF", "DEFAULT_RETRIES", "Backoff", "Decision", "Exhausted", "Retry", "check_retries", "decide"]

DEFAULT_RETRIES = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What another attempt cannot mend. A StepError has had its attempts already, an InvokeTimeout is recorded, so that a replay
# meets it again; the others are mistakes in the code or the value, and say the same each time.
_FINAL = (NonRetriableError, StepError, InvokeTimeout, CodecError, LimitExceeded, NestedStep, ConfigError, EventError)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again `delay_ms` from now. `warning`, if any, is for the log."""

    delay_ms: int
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No further attempt: the error is recorded. `reason` says why, for the log."""

    reason: str


Decision = Retry | Exhausted


def decide(
    error: BaseException, attempt: int, retries: int, backoff: Backoff | None, *, now_ms: int, chance: float
) -> Decision:
    """What follows when attempt `attempt` (0-based) failed with `error` and `retries` are allowed after the first.

    `backoff` None means the default table. `chance` is drawn evenly from 0 to 1. A RetryAfterError sets the delay
    itself; one whose time cannot be understood is retried by the backoff, with a warning. An exception group, which is
    how a TaskGroup fails, is final if an error in it is, and waits as long as the longest RetryAfterError in it says.
    """
    errors = leaves(error, limit=1_000)
    final = next((leaf for leaf in errors if isinstance(leaf, _FINAL)), None)
    if final is not None:
        return Exhausted(f"{type(final).__name__} is not retried")
    if attempt >= retries:
        return Exhausted(f"attempt {attempt + 1} of {retries + 1} failed")
    warning = ""
    asked = []
    for leaf in errors:
        if isinstance(leaf, RetryAfterError):
            try:
                asked.append(retry_after_ms(leaf, now_ms))
            except Exception as bad:  # not only ConfigError: a subclass, or a tzinfo, of the user's own was asked
                warning = f"{bad}; the backoff is used instead"
    if asked:
        return Retry(max(asked), warning)
    return Retry((backoff or DEFAULT_BACKOFF).delay_ms(attempt, chance), warning)


def retry_after_ms(error: RetryAfterError, now_ms: int) -> int:
    """The wait that the error asks for, in ms, at least 0 and at most 366 days.

    Takes what RetryAfterError does, and the two forms of the HTTP header: "120", and "Wed, 21 Oct 2026 07:28:00 GMT".

    Raises:
        ConfigError: it is none of these. `decide` falls back to the backoff then.
    """
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, str):
        asked = _from_header(asked.strip())
    if isinstance(asked, datetime):
        if asked.utcoffset() is None:
            raise ConfigError(
                f"retry_after {shown(asked)} has no time zone: say which, for example with replace(tzinfo=UTC)"
            )
        length_ms = math.ceil((asked - _EPOCH) / timedelta(milliseconds=1)) - now_ms
    elif isinstance(asked, (int, float, str, timedelta)):
        length_ms = to_ms("retry_after", asked, minimum_ms=-(10**18), maximum_ms=10**18)
    else:
        raise ConfigError(
            f"retry_after must be seconds, text such as '30s', a timedelta or a datetime, not {shown(asked)}"
        )
    return min(max(length_ms, 0), Limits.wait_ms)


def _from_header(text: str) -> str | float | datetime:
    if text.isdecimal() and len(text) <= 12:
        return float(text)
    if text[:3].isalpha() and "," in text[:12]:
        try:
            return parsedate_to_datetime(text)
        except ValueError:
            return text
    return text


def check_retries(value: object, where: str) -> int:
    """The number of retries, or a ConfigError that begins with `where`: 0 to 20, and never clamped."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{where}: retries must be a whole number, not {shown(value)}")
    if not 0 <= value <= Limits.retries:
        raise ConfigError(
            f"{where}: retries must be 0 to {Limits.retries} (attempts after the first), not {shown(value)}"
        )
    return value
