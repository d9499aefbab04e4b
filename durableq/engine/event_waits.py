"""`wait_for_event`: the next event of a name that the run has not had yet, or None when the time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from durableq.engine.port import EventWait, StepNote
from durableq.engine.records import EventAwaited, Match
from durableq.engine.waiting import timeout_ms_of, wait_outside
from durableq.model.event import Event, trusted_event
from durableq.model.filing import condition
from durableq.model.memo import MemoKind
from durableq.model.reading import check_fields
from durableq.model.system import listened_name
from durableq.words.errors import ConfigError, ExpressionError
from durableq.words.periods import Duration
from durableq.words.shown import shown
from durableq.words.typed import load_data, result_type

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

_OP = "wait_for_event"


class Wanted(NamedTuple):
    """What to wait for, checked."""

    event_name: str
    timeout_ms: int
    if_: str | None
    data_type: Any


def wanted_event(step_id: str, event: str, timeout: Duration, if_: str | None, output_type: Any) -> Wanted:
    """The call's arguments, checked.

    Raises:
        ConfigError: An argument breaks a rule.
        ExpressionError: `if_` does not compile.
    """
    what = f"{_OP} {step_id!r}:"
    name = listened_name(f"{what} event", event)
    length_ms = timeout_ms_of(what, timeout)
    if if_ is not None:
        _check_condition(what, if_)
    return Wanted(name, length_ms, if_, None if output_type is None else result_type(None, output_type))


def _check_condition(what: str, if_: str) -> None:
    if not isinstance(if_, str):
        raise ConfigError(f"{what} if_ must be an expression in a string, not {type(if_).__name__}: {shown(if_)}")
    try:
        check_fields(condition(if_))
    except ExpressionError as error:
        raise ExpressionError(f"{what} if_: {error.reason}", error.source, error.position) from None


async def wait_for_event(replay: Replay, key: str, step_id: str, wanted: Wanted) -> Event[Any] | None:
    """Perform the wait."""
    name, _, if_, data_type = wanted

    def begin(note: StepNote) -> EventWait:
        due_at_ms = note.asked_at_ms + wanted.timeout_ms
        blob = EventAwaited(_OP, step_id, due_at_ms, name, if_).encode()
        return EventWait(key, blob, due_at_ms, note, name, if_, replay.heard.behind(name, if_))

    memo = await wait_outside(replay, key, step_id, _OP, begin)
    if memo.kind is MemoKind.TIMED_OUT:
        return None
    match = Match.decode(memo.blob)
    replay.heard.had(name, if_, match.entry)
    event = match.event
    if data_type is None or data_type is Any:
        return event
    data = load_data(event.data, data_type, what=f"{_OP} {step_id!r}: event.data")
    return trusted_event(event.name, data, event.id, event.ts, event.user, event.v)
