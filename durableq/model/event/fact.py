"""The event itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic

from typing_extensions import TypeVar

from durableq.model.event.rules import (
    checked_data,
    checked_id,
    checked_name,
    checked_ts,
    checked_user,
    checked_version,
)
from durableq.words.familiar import familiar

T = TypeVar("T", default=dict[str, Any])
D = TypeVar("D")


@familiar
@dataclass(frozen=True, slots=True, init=False)
class Event(Generic[T]):
    """A named, immutable fact that may start runs and release waits.

    Args:
        name: 1 to 256 characters, no space at the ends. By custom `area/object.past-verb`: `shop/order.created`.
        data: A mapping with text keys, or a dataclass, pydantic model or TypedDict, which is sent as a map.
        id: 1 to 256 characters. A second event of the same name and id within 24 hours starts nothing. Without one,
            the client makes one when it sends.
        ts: When it happened, unix ms or an aware datetime in the years 1980 to 2100; kept as ms. In the future, it
            delays the runs that the event starts. Without one, the time at which Redis took the event.
        user: About whom it is, a mapping.
        v: The version of the data's form, free text.

    Raises:
        EventError: A field breaks its rule. The message names the field, the rule and the value.
    """

    name: str
    data: T
    id: str | None
    ts: int | None
    user: Mapping[str, Any] | None
    v: str | None

    def __init__(
        self,
        name: str,
        data: T | None = None,
        *,
        id: str | None = None,
        ts: int | datetime | None = None,
        user: Mapping[str, Any] | None = None,
        v: str | None = None,
    ) -> None:
        _fill(
            self,
            checked_name(name),
            checked_data(data),
            checked_id(id),
            checked_ts(ts),
            checked_user(user),
            checked_version(v),
        )


def trusted_event(
    name: str, data: D, id: str | None, ts: int | None, user: Mapping[str, Any] | None, v: str | None
) -> Event[D]:
    """An event from storage, whose fields were checked when it was made."""
    blank: Any = Event.__new__(Event)
    _fill(blank, name, data, id, ts, user, v)
    event: Event[D] = blank
    return event


def _fill(
    event: Event[Any],
    name: str,
    data: Any,
    id: str | None,
    ts: int | None,
    user: Mapping[str, Any] | None,
    v: str | None,
) -> None:
    _set_name(event, name)
    _set_data(event, data)
    _set_id(event, id)
    _set_ts(event, ts)
    _set_user(event, user)
    _set_v(event, v)


# The slots themselves: a frozen dataclass keeps others from setting them, and is filled this way at half the cost of
# object.__setattr__.
_set_name, _set_data, _set_id, _set_ts, _set_user, _set_v = (
    vars(Event)[field].__set__ for field in ("name", "data", "id", "ts", "user", "v")
)
