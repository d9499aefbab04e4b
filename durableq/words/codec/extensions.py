"""The types beyond msgpack's own: one code each, for good. A code never changes its meaning; a new form is a new code.

To add a type: a new code, a writer in `WRITERS`, a reader in `_READERS`, a row in docs/values.md. Writers match the
exact type: a subclass would come back as its base, which is a silent change, so it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from struct import Struct
from typing import Any
from uuid import UUID

from durableq.words.errors import CodecError

TUPLE, SET, FROZENSET = 1, 2, 3  # the payload is a msgpack array; the codec itself packs and unpacks these
DATETIME = 4  # ISO 8601, with the offset if there is one, then _FOLD if fold is 1
DATE = 5  # ISO 8601
TIME = 6  # like DATETIME
TIMEDELTA = 7  # days, seconds, microseconds
DECIMAL = 8  # as str() writes it, which keeps trailing zeros, signs and NaNs
UUID_ = 9  # 16 bytes
BIG_INT = 10  # beyond msgpack's -2**63 .. 2**64-1: two's complement, big-endian

COLLECTIONS: dict[type, int] = {tuple: TUPLE, set: SET, frozenset: FROZENSET}
BUILDERS: dict[int, Callable[[list[Any]], Any]] = {TUPLE: tuple, SET: set, FROZENSET: frozenset}

_FOLD = "~"  # datetime.isoformat() drops fold, which tells the two 02:30 of an autumn night apart
_ISO_MAX = 64
_TIMEDELTA = Struct(">iii")


def write_collection(value: Any, pack: Callable[[list[Any]], bytes]) -> tuple[int, bytes]:
    """(code, payload) of a tuple, set or frozenset."""
    return COLLECTIONS[type(value)], pack(list(value))


def _datetime(value: datetime) -> tuple[int, bytes]:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise CodecError("its tzinfo gives no UTC offset: use value.astimezone(UTC)")
    return DATETIME, _iso(value)


def _time(value: time) -> tuple[int, bytes]:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise CodecError("its zone's offset depends on the date: return a datetime, or value.replace(tzinfo=None)")
    return TIME, _iso(value)


def _iso(value: datetime | time) -> bytes:
    if _has_fine_offset(value):
        raise CodecError("its UTC offset has a fraction of a second: use value.astimezone(UTC)")
    text = value.isoformat()
    return (text + _FOLD if value.fold else text).encode()


def _has_fine_offset(value: datetime | time) -> bool:
    """Whether the offset has microseconds, which fromisoformat() may read as UTC (seen on CPython 3.11)."""
    offset = value.utcoffset()
    return offset is not None and offset.microseconds != 0


WRITERS: dict[type, Callable[[Any], tuple[int, bytes]]] = {
    datetime: _datetime,
    date: lambda value: (DATE, value.isoformat().encode()),
    time: _time,
    timedelta: lambda value: (TIMEDELTA, _TIMEDELTA.pack(value.days, value.seconds, value.microseconds)),
    Decimal: lambda value: (DECIMAL, str(value).encode()),
    UUID: lambda value: (UUID_, value.bytes),
    int: lambda value: (BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)),
}


def _iso_text(data: bytes) -> str:
    if len(data) > _ISO_MAX:
        raise ValueError(f"{len(data)} bytes are too long for a date or time")
    return data.decode("ascii")


def _read_iso(kind: type[datetime] | type[time], data: bytes) -> datetime | time:
    text = _iso_text(data)
    value = kind.fromisoformat(text.removesuffix(_FOLD))
    if _has_fine_offset(value):
        raise ValueError("a UTC offset with a fraction of a second")
    return value.replace(fold=1) if text.endswith(_FOLD) else value


def _read_timedelta(data: bytes) -> timedelta:
    days, seconds, microseconds = _TIMEDELTA.unpack(data)
    return timedelta(days, seconds, microseconds)


_READERS: dict[int, Callable[[bytes], Any]] = {
    DATETIME: partial(_read_iso, datetime),
    DATE: lambda data: date.fromisoformat(_iso_text(data)),
    TIME: partial(_read_iso, time),
    TIMEDELTA: _read_timedelta,
    DECIMAL: lambda data: Decimal(data.decode("ascii")),
    UUID_: lambda data: UUID(bytes=data),
    BIG_INT: lambda data: int.from_bytes(data, "big", signed=True),
}


def read_scalar(code: int, data: bytes) -> Any:
    """The value of an extension that is no collection. Raises CodecError for a code this release does not know."""
    reader = _READERS.get(code)
    if reader is None:
        raise CodecError(f"extension type {code} is unknown to this release: run the release that wrote it")
    return reader(data)
