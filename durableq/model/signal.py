"""Signals: a name and what it brings, to the one run that waits for it."""

from __future__ import annotations

from typing import Any, Final, Generic, NamedTuple

from typing_extensions import TypeVar

from durableq.words import codec
from durableq.words.errors import ConfigError
from durableq.words.ids import check_step_id
from durableq.words.typed import dump_data

T = TypeVar("T", default=Any)

CONFLICTS: Final = ("fail", "replace")


class Signal(NamedTuple, Generic[T]):
    """What `wait_for_signal` returns. A signal without data has None for it; a wait that timed out has no Signal at all."""

    name: str
    data: T


def check_signal(what: str, name: object) -> str:
    """A signal's name: 1 to 256 characters, any text that UTF-8 can write. ConfigError, which begins with `what`."""
    return check_step_id(name, what)


def check_conflict(what: str, value: object) -> str:
    """What becomes of a wait whose signal another run has: "fail" or "replace". ConfigError, which begins with `what`."""
    if not isinstance(value, str) or value not in CONFLICTS:
        raise ConfigError(f"{what} must be one of {', '.join(map(repr, CONFLICTS))}, not {value!r:.80}")
    return value


def encode_signal(data: Any, *, what: str) -> bytes:
    """A signal's data as it is stored. Raises CodecError, which names the path in `what`."""
    return codec.encode(dump_data(data, what=what), what=what)
