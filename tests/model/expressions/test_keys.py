"""Keys of flow control, and tokens for the index of waits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from durableq.model.expressions import compile_expression, lookup_tokens, stored_token
from tests.fuzz import fuzz
from tests.model.expressions.samples import BOTH, SCOPE, compiled, evaluate
from tests.words.strategies import storable

PATH = ("event", "data", "x")
ASYNC_PATH = ("async", "data", "x")
X = compiled("event.data.x")


def key(value: object) -> str | None:
    return X.key({"event": {"data": {"x": value}}})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ("", ""),
        ("ä", "ä"),
        (42, "42"),
        (42.0, "42"),
        (Decimal("42.00"), "42"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (Decimal("2.50"), "2.5"),
        (1e20, "1" + "0" * 20),
        (10**20, "1" + "0" * 20),
        (1e21, "1e+21"),
        (10**21, "1e+21"),
        (2**64 - 1, "18446744073709551615"),
        (10**400, "+Inf"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Inf"),
        (True, "true"),
        (False, "false"),
        (b"abc", "abc"),
        (b"\xff\x00", "ff00"),
        (datetime(2020, 1, 1, tzinfo=UTC), "2020-01-01T00:00:00Z"),
        (timedelta(minutes=1), "60s"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ([1, 2.0, "a", None, True], '[1,2,"a",null,true]'),
        (("a",), '["a"]'),
        ({"b", "a"}, '["a","b"]'),
        ({"b": 1, "a": {"c": []}}, '{"a":{"c":[]},"b":1}'),
        (['a","b'], '["a\\",\\"b"]'),
        ([b"1"], '[b"1"]'),
        (None, None),
        (object(), None),
        ([object()], None),
        ({"a": object()}, None),
        ([b"\xff"], None),
        ([0] * 10_001, None),
    ],
)
def test_key_of_a_value(value: object, expected: str | None) -> None:
    assert key(value) == expected


def test_a_key_that_evaluates_to_nothing_is_none() -> None:
    for source in ("event.data.missing", "event.data.nothing", "1 / 0", "event.data.missing + event.data.nothing"):
        assert compiled(source).key(SCOPE) is None


def test_false_and_the_string_false_are_told_apart_by_the_value() -> None:
    off, text = evaluate("event.data.no"), evaluate("'false'")
    assert off.key == text.key == "false"
    assert off.value is False
    assert text.value == "false"


def test_a_long_key_keeps_its_beginning_and_stays_apart() -> None:
    one, other = key("a" * 300 + "1"), key("a" * 300 + "2")
    assert one != other
    assert re.fullmatch("a{60}~[0-9a-f]{64}", one or "")
    assert key("a" * 200) == "a" * 200
    assert len((key("😀" * 60) or "").encode()) <= 200


def test_a_key_is_valid_utf8_even_where_the_value_is_not() -> None:
    assert key("\ud800") == "\\ud800"


def test_a_value_that_contains_itself_has_no_key() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert key(endless) is None


@fuzz(st.integers() | st.floats() | st.text() | storable)
def test_any_key_is_short_utf8(value: object) -> None:
    found = key(value)
    assert found is None or len(found.encode()) <= 200


@fuzz(st.integers(-(2**70), 2**70))
def test_equal_numbers_give_equal_keys(number: int) -> None:
    if float(number) == number:
        assert key(number) == key(float(number))


@pytest.mark.parametrize(
    ("waiting", "arriving", "offered"),
    [
        ({"x": 42}, {"x": 42.0}, True),
        ({"x": 42}, {"x": Decimal("42")}, True),
        ({"x": 10**22}, {"x": 1e22}, True),
        ({"x": UUID(int=1)}, {"x": str(UUID(int=1))}, True),
        ({"x": "42"}, {"x": 42}, False),
        ({"x": True}, {"x": 1}, False),
        ({"x": "true"}, {"x": True}, False),
        ({"x": None}, {"x": None}, True),
        ({"x": None}, {}, True),
        ({}, {"x": None}, True),
        ({}, {}, False),
        ({"x": "missing"}, {}, False),
        ({"x": "a" * 1000}, {"x": "a" * 1000}, True),
        ({"x": "a" * 1000}, {"x": "a" * 999 + "b"}, False),
        ({"x": [1]}, {"x": [1.0]}, True),
        ({"x": {1}}, {"x": {1}}, True),
        ({"x": {"a": 1}}, {"x": {"a": 1}}, True),
        ({"x": datetime(2020, 1, 1)}, {"x": datetime(2020, 1, 1, tzinfo=UTC)}, True),
    ],
)
def test_index_offers_what_could_be_equal(waiting: dict[str, Any], arriving: dict[str, Any], offered: bool) -> None:
    scope = {"event": {"data": waiting}, "async": {"data": arriving}}
    assert (stored_token(scope, PATH) in lookup_tokens(scope, ASYNC_PATH)) is offered


near_values = st.sampled_from([0, 1, True, False, 1.0, 0.0, -0.0, "1", "", "true", None, b"1", [1], [True], {"a": 1}])


@fuzz(st.tuples(near_values | storable, near_values | storable))
def test_index_never_misses_a_pair_that_is_equal(pair: tuple[object, object]) -> None:
    expression = compile_expression("event.data.x == async.data.x", variables=BOTH)
    for one, other in (pair, (pair[0], pair[0])):
        scope = {"event": {"data": {"x": one}}, "async": {"data": {"x": other}}}
        if expression.test(scope):
            assert stored_token(scope, PATH) in lookup_tokens(scope, ASYNC_PATH)


def test_tokens_never_raise() -> None:
    scope: dict[str, Any] = {"event": {"data": {"x": Hostile()}}, "async": Hostile()}
    assert stored_token(scope, PATH)
    assert lookup_tokens(scope, ASYNC_PATH)
    assert key(Hostile()) is None


class Hostile(dict[str, Any]):
    """A mapping that raises whatever is asked of it."""

    def __getitem__(self, name: str) -> Any:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError
