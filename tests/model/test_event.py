"""Events: the rules of their fields, sending, and how they travel."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import FrozenInstanceError, dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pydantic
import pytest
from hypothesis import strategies as st

from durableq.model.event import (
    Event,
    check_sendable,
    decode_event,
    encode_event,
    encode_sendable,
    read_head,
    with_id,
)
from durableq.model.limits import Limits
from durableq.words.codec import encode
from durableq.words.errors import CodecError, EventError, LimitExceeded
from tests.fuzz import fuzz, prompt
from tests.words.sameness import same
from tests.words.strategies import anything, storable

TS = 1_800_000_000_000


class Names(StrEnum):
    CREATED = "order/created"


@dataclass
class OrderCreated:
    order_id: int
    at: datetime


class Shipped(pydantic.BaseModel):
    order_id: int = pydantic.Field(alias="orderId")


class HandClock:
    def wall_ms(self) -> int:
        return TS

    def monotonic_ms(self) -> float:
        return 0.0


def test_event_of_a_name_alone_has_no_data() -> None:
    event = Event("order/created")
    assert (event.name, event.data, event.id, event.ts, event.user, event.v) == (
        "order/created",
        {},
        None,
        None,
        None,
        None,
    )


def test_event_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Event("a").name = "b"  # type: ignore[misc]


def test_copy_with_another_field_is_checked_too() -> None:
    assert replace(Event("a", {"x": 1}), id="7") == Event("a", {"x": 1}, id="7")
    with pytest.raises(EventError):
        replace(Event("a"), id="")


@pytest.mark.parametrize(
    "name", ["a", "shop/order.created", "durableq/function.failed", "ünïcode name", "x" * 256, "👍"]
)
def test_name_is_taken(name: str) -> None:
    assert Event(name).name == name


def test_enum_member_becomes_its_text() -> None:
    event = Event(Names.CREATED, id=Names.CREATED, v=Names.CREATED)
    assert type(event.name) is type(event.id) is type(event.v) is str


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "name must have 1 to 256 characters, this has 0: ''"),
        ({"name": "x" * 257}, "name must have 1 to 256 characters, this has 257: 'xxx"),
        ({"name": " a"}, "name must not begin or end with a space: ' a'"),
        ({"name": "a\u2003"}, "name must not begin or end with a space"),
        ({"name": "a\x00b"}, "name must not hold control characters or lone surrogates: 'a\\x00b'"),
        ({"name": "a\ud800b"}, "name must not hold control characters"),
        ({"name": "a\x85b"}, "name must not hold control characters"),
        ({"name": None}, "name must be a string, not NoneType: None"),
        ({"name": b"a"}, "name must be a string, not bytes: b'a'"),
        ({"data": [1]}, "data must be a mapping, a dataclass or a pydantic model, not list: [1]"),
        ({"data": "x"}, "data must be a mapping, a dataclass or a pydantic model, not str: 'x'"),
        ({"data": OrderCreated}, "data must be a mapping, a dataclass or a pydantic model, not type"),
        ({"id": ""}, "id must have 1 to 256 characters, this has 0: ''"),
        ({"id": "x" * 257}, "id must have 1 to 256 characters, this has 257"),
        ({"id": 7}, "id must be a string, not int: 7; write str(...)"),
        ({"id": "\udfff"}, "id must be text that UTF-8 can write, this has a lone surrogate: '\\udfff'"),
        ({"ts": 1_800_000_000}, "not 1800000000, which looks like seconds: multiply by 1000"),
        (
            {"ts": 1_800_000_000.5},
            "ts must be unix time in whole ms or an aware datetime, not 1800000000.5; write int(",
        ),
        ({"ts": True}, "ts must be unix time in whole ms or an aware datetime, not True"),
        ({"ts": "2027-01-01"}, "ts must be unix time in whole ms or an aware datetime, not '2027-01-01'"),
        ({"ts": datetime(2027, 1, 1)}, "ts datetime.datetime(2027, 1, 1, 0, 0) has no time zone"),
        ({"ts": 315_532_799_999}, "ts must be in ms and in the years 1980 to 2100, not 315532799999"),
        ({"ts": 4_133_980_800_000}, "ts must be in ms and in the years 1980 to 2100, not 4133980800000"),
        ({"ts": datetime(2101, 1, 1, tzinfo=UTC)}, "ts must be in ms and in the years 1980 to 2100"),
        ({"ts": 10**5000}, "ts must be in ms and in the years 1980 to 2100, not an integer of 16610 bits"),
        ({"user": "ada"}, "user must be a mapping or None, not str: 'ada'"),
        ({"v": 2}, "v must be a string, not int: 2; write str(...)"),
        ({"v": "\ud800"}, "v must be text that UTF-8 can write"),
    ],
)
def test_broken_rule_names_field_rule_and_value(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EventError) as caught:
        Event(**{"name": "order/created", **fields})
    assert str(caught.value).startswith(f"event {next(iter(fields))} ")
    assert message in str(caught.value)


def test_time_is_kept_in_ms() -> None:
    assert Event("a", ts=TS).ts == TS
    assert Event("a", ts=datetime(2027, 1, 15, 9, tzinfo=timezone(timedelta(hours=1)))).ts == TS
    assert Event("a", ts=datetime(2027, 1, 15, 8, 0, 0, 1, tzinfo=UTC)).ts == TS + 1  # rounded up: not before its time
    assert Event("a", ts=datetime(1980, 1, 1, tzinfo=UTC)).ts == 315_532_800_000
    assert Event("a", ts=datetime(2100, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)).ts == 4_133_980_799_999


@pytest.mark.parametrize("name", ["durableq/function.failed", "inngest/x", "durableq/"])
def test_reserved_name_cannot_be_sent(name: str) -> None:
    with pytest.raises(EventError, match="is reserved"):
        check_sendable(Event(name))
    with pytest.raises(EventError, match="is reserved"):
        encode_sendable(Event(name), Limits())


def test_only_events_can_be_sent() -> None:
    check_sendable(Event("durableq.com/x"))
    for other in ({"name": "a"}, "order/created", None):
        with pytest.raises(EventError, match="send takes an Event or a list of them, not "):
            check_sendable(other)


def test_event_beyond_its_limit_is_refused_with_both_figures() -> None:
    event = Event("a", {"x": "y" * 1000})
    assert encode_sendable(event, Limits()) == encode_event(event)
    with pytest.raises(LimitExceeded, match=r"event 'a' has 1,0\d\d bytes and may have 500: .*limits\.event_bytes"):
        encode_sendable(event, Limits(event_bytes=500))


def test_id_is_made_once() -> None:
    made = with_id(Event("a", {"x": 1}, ts=TS, user={"u": 1}, v="2"), HandClock())
    assert made.id is not None
    assert len(made.id) == 26
    assert replace(made, id=None) == Event("a", {"x": 1}, ts=TS, user={"u": 1}, v="2")
    assert with_id(made, HandClock()) is made


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ({"a": (1, {2})}, {"a": (1, {2})}),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (OrderCreated(7, datetime(2027, 1, 1, tzinfo=UTC)), {"order_id": 7, "at": datetime(2027, 1, 1, tzinfo=UTC)}),
        (Shipped(orderId=7), {"orderId": 7}),
    ],
)
def test_data_travels_as_a_map(data: Any, stored: Any) -> None:
    assert decode_event(encode_event(Event("a", data))).data == stored


def test_whole_event_comes_back() -> None:
    event = Event("order/created", {"x": 1}, id="7", ts=TS, user={"id": "u"}, v="2026-01")
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": {"a": [1, object()]}}, "event 'a': data.a[1] is of type object and cannot be stored"),
        ({"data": {1: 2}}, "event 'a': data has the key 1 of type int: keys must be str"),
        ({"user": {"a": object()}}, "event 'a': user.a is of type object and cannot be stored"),
        ({"data": OrderCreated(1j, None)}, "event 'a': data.order_id is of type complex and cannot be stored"),  # type: ignore[arg-type]
        ({"data": pydantic.RootModel[list[int]]([1])}, "event 'a': data must become a map, not a list"),
    ],
)
def test_data_that_cannot_be_stored_is_an_event_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EventError) as caught:
        encode_event(Event("a", **fields))
    assert str(caught.value).startswith(message)


def test_head_is_read_without_the_data() -> None:
    blob = encode(["a", "7", TS, None, None, b"\x01\xc1"])  # data that cannot be decoded
    head = read_head(blob)
    assert head[:5] == ("a", "7", TS, None, None)
    assert head.scope()["name"] == "a"
    with pytest.raises(CodecError):
        head.scope()["data"]
    with pytest.raises(CodecError):
        head.event()


def test_event_without_a_time_takes_that_of_its_entry() -> None:
    head = read_head(encode_event(Event("a")))
    assert head.scope("1800000000000-3")["ts"] == TS
    assert head.event("1800000000000-3").ts == TS
    assert head.event().ts is None
    timed = read_head(encode_event(Event("a", ts=TS)))
    assert timed.scope("1900000000000-3")["ts"] == TS


def test_scope_is_a_mapping_that_decodes_once() -> None:
    scope = read_head(encode_event(Event("a", {"x": [1]}, id="7", user={"u": 1}))).scope("5-0")
    assert dict(scope) == {"name": "a", "data": {"x": [1]}, "id": "7", "ts": 5, "user": {"u": 1}, "v": None}
    assert scope["data"] is scope["data"]
    assert "data" in scope
    assert "other" not in scope
    assert len(scope) == 6
    with pytest.raises(KeyError):
        scope["other"]


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x01",
        b"\x02\xc0",
        encode(None),
        encode([]),
        encode(["a", None, None, None, None]),
        encode([1, None, None, None, None, b""]),
        encode(["a", 1, None, None, None, b""]),
        encode(["a", None, "1", None, None, b""]),
        encode(["a", None, True, None, None, b""]),
        encode(["a", None, None, [], None, b""]),
        encode(["a", None, None, None, 1, b""]),
        encode(["a", None, None, None, None, {}]),
        encode(["a", None, None, None, None, encode([1])]),
        encode(["a", None, None, None, None, b""]),
    ],
)
def test_damaged_event_is_a_codec_error(damaged: bytes) -> None:
    with pytest.raises(CodecError):
        decode_event(damaged)


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256).filter(
    lambda name: name == name.strip()
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
events = st.builds(
    Event,
    names,
    st.dictionaries(st.text(max_size=8), storable, max_size=5),
    id=st.none() | texts,
    ts=st.none() | st.integers(315_532_800_000, 4_133_980_799_999),
    user=st.none() | st.dictionaries(st.text(max_size=8), storable, max_size=2),
    v=st.none() | texts,
)


@fuzz(events)
def test_any_event_comes_back(event: Event[Any]) -> None:
    with prompt():
        blob = encode_event(event)
        again = decode_event(blob)
        head = read_head(blob)
    assert same(again, event)
    assert same(head[:5], (event.name, event.id, event.ts, event.user, event.v))
    assert same(head.scope()["data"], event.data)


@fuzz(st.dictionaries(st.sampled_from(["name", "data", "id", "ts", "user", "v"]), anything))
def test_any_fields_are_an_event_or_an_event_error(fields: dict[str, Any]) -> None:
    with prompt():
        try:
            event = Event(**{"name": "order/created", **fields})
            blob = encode_sendable(event, Limits())
        except (EventError, LimitExceeded):
            return
        again = decode_event(blob)
    assert (again.name, again.id, again.ts, again.v) == (event.name, event.id, event.ts, event.v)


@fuzz(st.binary(max_size=300).map(b"\x01".__add__) | st.lists(storable, min_size=5, max_size=7).map(encode))
def test_any_bytes_are_an_event_or_a_codec_error(blob: bytes) -> None:
    with prompt():
        try:
            decode_event(blob)
        except CodecError:
            pass
