"""The event that an invoked run is called with: none is in the stream, so one is made of the caller's data."""

from __future__ import annotations

from typing import Any

from durableq.model.event.fact import trusted_event
from durableq.model.event.rules import checked_data
from durableq.model.event.wire import encode_event
from durableq.model.limits import Limits
from durableq.model.system import INVOKED
from durableq.words.errors import CodecError, EventError
from durableq.words.shown import shown
from durableq.words.typed import dump_data, load_data


def encode_invoked(function: str, run_id: str, data: Any, limits: Limits, wanted: Any = None) -> bytes:
    """What a run is given when it is invoked with `data`: an encoded event that has the run's id. `function` is its full id.

    `wanted` is the type that the function's context names for its data, where the caller knows it.

    Raises:
        EventError: `data` is neither None nor a mapping, dataclass or model; something in it cannot be stored; or it is
            not what the function wants.
        LimitExceeded: It is larger than `limits.event_bytes`.
    """
    where = f"invoke of {function}"
    try:
        event = trusted_event(INVOKED, checked_data(data), run_id, None, None, None)
        blob = encode_event(event)
        if wanted is not None:
            load_data(dump_data(event.data), wanted, what="data")
    except EventError as error:
        said = str(error).removeprefix(f"event {shown(INVOKED)}: ").removeprefix("event ")
        raise EventError(f"{where}: {said}") from None
    except CodecError as error:
        raise EventError(f"{where}: {error}") from None
    limits.check_bytes("event_bytes", f"{where}: its data", len(blob))
    return blob
