"""The rules of an event's fields. Each gives the field as it is kept, or an EventError with field, rule and value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from durableq.words.errors import EventError
from durableq.words.shown import shown

NAME_MAX = 256
ID_MAX = 256
RESERVED_PREFIXES = ("durableq/", "inngest/")

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and lone surrogates, which no name may hold."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS = 315_532_800_000  # 1980-01-01
_END_MS = 4_133_980_800_000  # 2101-01-01


def checked_name(value: object) -> str:
    """1 to 256 printable characters, no space at either end."""
    if not isinstance(value, str):
        raise EventError(f"event name must be a string, not {type(value).__name__}: {shown(value)}")
    if not 1 <= len(value) <= NAME_MAX:
        raise EventError(f"event name must have 1 to {NAME_MAX} characters, this has {len(value)}: {shown(value)}")
    if value != value.strip():
        raise EventError(f"event name must not begin or end with a space: {shown(value)}")
    if not value.isprintable() and UNPRINTABLE.search(value):
        raise EventError(f"event name must not hold control characters or lone surrogates: {shown(value)}")
    return str.__str__(value)  # an enum's member becomes its text


def checked_id(value: object) -> str | None:
    """None, or 1 to 256 characters that UTF-8 can write."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise EventError(f"event id must be a string, not {type(value).__name__}: {shown(value)}; write str(...)")
    if not 1 <= len(value) <= ID_MAX:
        raise EventError(f"event id must have 1 to {ID_MAX} characters, this has {len(value)}: {shown(value)}")
    return _text("id", value)


def checked_version(value: object) -> str | None:
    """None, or text."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise EventError(f"event v must be a string, not {type(value).__name__}: {shown(value)}; write str(...)")
    return _text("v", value)


def checked_ts(value: object) -> int | None:
    """None, or unix time in ms within the years 1980 to 2100; an aware datetime is turned into it, rounded up."""
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise EventError(
                f"event ts {shown(value)} has no time zone: say which, for example value.replace(tzinfo=UTC)"
            )
        at_ms = math.ceil((value - _EPOCH) / timedelta(milliseconds=1))
    elif isinstance(value, int) and not isinstance(value, bool):
        at_ms = int(value)
    else:
        hint = "; write int(time.time() * 1000)" if isinstance(value, float) else ""
        raise EventError(f"event ts must be unix time in whole ms or an aware datetime, not {shown(value)}{hint}")
    if not _EARLIEST_MS <= at_ms < _END_MS:
        hint = ", which looks like seconds: multiply by 1000" if _EARLIEST_MS <= at_ms * 1000 < _END_MS else ""
        raise EventError(f"event ts must be in ms and in the years 1980 to 2100, not {shown(value)}{hint}")
    return at_ms


def checked_user(value: object) -> dict[str, Any] | None:
    """None, or a mapping."""
    if value is None or type(value) is dict:
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise EventError(f"event user must be a mapping or None, not {type(value).__name__}: {shown(value)}")


def checked_data(value: object) -> Any:
    """A mapping, a dataclass or a pydantic model; None becomes an empty dict."""
    if value is None:
        return {}
    if type(value) is dict:
        return value
    if isinstance(value, type) or not (
        isinstance(value, Mapping) or is_dataclass(value) or hasattr(value, "model_dump")
    ):
        raise EventError(
            f"event data must be a mapping, a dataclass or a pydantic model, not {type(value).__name__}: {shown(value)}"
        )
    return value


def _text(field: str, value: str) -> str:
    if _SURROGATE.search(value):
        raise EventError(f"event {field} must be text that UTF-8 can write, this has a lone surrogate: {shown(value)}")
    return str.__str__(value)
