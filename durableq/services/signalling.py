"""Gives signals from outside to the runs that wait for them."""

from __future__ import annotations

from typing import Any, Final

from durableq.model.limits import Limits
from durableq.model.signal import check_signal, encode_signal
from durableq.store.calls import Calls
from durableq.store.failures import Unavailable
from durableq.store.signals import NewSignal, Signals
from durableq.words.errors import RedisUnavailable
from durableq.words.ids import new_token

REMEMBERED_MS: Final = 86_400_000
"""For so long the call itself may be sent again, by the link, and reaches nobody twice."""


def prepare_signal(signal: object, data: Any, limits: Limits) -> NewSignal:
    """A signal that may be given: checked, with a token, encoded.

    Raises ConfigError for its name; CodecError, LimitExceeded for its data.
    """
    name = check_signal("signal", signal)
    what = f"signal {name!r:.80}: its data"
    blob = encode_signal(data, what=what)
    limits.check_bytes("step_result_bytes", what, len(blob))
    return NewSignal(name, new_token(), REMEMBERED_MS, blob)


async def give(calls: Calls, signal: NewSignal, within_s: float) -> str | None:
    """Give a signal to the run that waits for it. Returns that run's id, None when nobody waits.

    Raises RedisUnavailable, which says whether it may have been given, and StateLost.
    """
    try:
        (run_id,) = await Signals(calls).send_signals([signal], within_s)
    except Unavailable as error:
        if not error.maybe_applied:
            raise
        raise RedisUnavailable(
            f"{str(error).rstrip('.')}; signal {signal.signal!r:.80} may have been given. If it was, the run that waited "
            "goes on, and giving it again reaches whoever waits next"
        ) from error
    return run_id or None
