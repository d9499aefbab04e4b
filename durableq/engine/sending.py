"""The body of `send_event`: sends events under ids that stay the same over attempts and crashes.

An attempt may send and die before that is recorded; the next one sends again, under the same ids, and the store's
deduplication by (name, id) makes one event of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from durableq.model.event import Event
from durableq.model.event.fact import trusted_event
from durableq.words.errors import EventError
from durableq.words.shown import shown

if TYPE_CHECKING:
    from durableq.engine.replay import Replay


def sending(
    replay: Replay, step_key: str, events: Event[Any] | Sequence[Event[Any]]
) -> Callable[[], Awaitable[list[str]]]:
    """The body that sends these events. Raises EventError, when called, for what is no event."""

    async def send() -> list[str]:
        batch = [events] if isinstance(events, Event) else _checked(events)
        named = [_with_id(event, f"{replay.run.run_id}.{step_key}.{index}") for index, event in enumerate(batch)]
        return list(await replay.environment.send(named, replay.function.limits)) if named else []

    return send


def _checked(events: Any) -> list[Event[Any]]:
    if not isinstance(events, Sequence) or isinstance(events, (str, bytes)):
        raise EventError(f"send_event takes an Event or a list of them, not {type(events).__name__}: {shown(events)}")
    for event in events:
        if not isinstance(event, Event):
            raise EventError(f"send_event takes an Event or a list of them, this list holds {shown(event)}")
    return list(events)


def _with_id(event: Event[Any], derived: str) -> Event[Any]:
    if event.id is not None:
        return event
    return trusted_event(event.name, event.data, derived, event.ts, event.user, event.v)
