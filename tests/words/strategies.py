"""Strategies for values that the codec takes, and for those it does not."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

offsets = st.builds(timedelta, seconds=st.integers(-86_399, 86_399)).map(timezone)

hashables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**80), max_value=2**80)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.datetimes()
    | st.datetimes(timezones=offsets)
    | st.dates()
    | st.times()
    | st.times(timezones=offsets)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.builds(datetime.replace, st.datetimes(), fold=st.just(1)),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=6,
)

storable = st.recursive(
    hashables,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=12), inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashables, max_size=4)
    ),
    max_leaves=12,
)


class Odd:
    """Of no type that anybody knows."""


odd = st.sampled_from(
    [Odd(), 1j, bytearray(b"x"), memoryview(b"x"), print, Odd, range(3), NotImplemented, ..., 1.5j, "\udc80"]
)

anything: st.SearchStrategy[Any] = st.recursive(
    storable | odd | st.text(st.characters(), max_size=8) | st.from_type(type),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(hashables | st.sampled_from(["a", "\udfff"]), inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=8,
)
