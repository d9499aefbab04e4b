"""Payloads of every kind: the types that only Python has, objects that raise, events that cannot be decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from durableq.model.expressions import compile_expression
from durableq.words.errors import CodecError
from tests.model.expressions.samples import problem, value


class Colour(StrEnum):
    RED = "red"


class Name(str):
    """A string with ideas of its own."""

    def __str__(self) -> str:
        return "not what it holds"


class Flags(int):
    pass


@pytest.mark.parametrize(
    ("source", "given", "expected"),
    [
        ("event.data.x == 10.5", Decimal("10.50"), True),
        ("event.data.x > 10", Decimal("10.50"), True),
        ("event.data.x * 2", Decimal("10.50"), 21.0),
        ("-event.data.x", Decimal("10.50"), -10.5),
        ("event.data.x + 1", Decimal("10.50"), 11.5),
        ("'a' + event.data.x", Decimal("10.00"), "a10"),
        ("int(event.data.x)", Decimal("10.50"), 10),
        ("event.data.x ? 1 : 2", Decimal("0.00"), 2),
        ("type(event.data.x) == double", Decimal(1), True),
        ("event.data.x == '00000000-0000-0000-0000-000000000005'", UUID(int=5), True),
        ("event.data.x in ['00000000-0000-0000-0000-000000000005']", UUID(int=5), True),
        ("'a-' + event.data.x", UUID(int=5), "a-00000000-0000-0000-0000-000000000005"),
        ("event.data.x.endsWith('5')", UUID(int=5), True),
        ("event.data.x == '2026-01-31'", date(2026, 1, 31), True),
        ("date(event.data.x) < timestamp('2026-02-01T00:00:00Z')", date(2026, 1, 31), True),
        ("event.data.x < '09:00:00'", time(8, 30), True),
        ("'a' in event.data.x", {"a", "b"}, True),
        ("size(event.data.x)", frozenset({1, 2}), 2),
        ("event.data.x.all(i, i > 0)", {1, 2}, True),
        ("event.data.x == event.data.x", {1, 2}, True),
        ("event.data.x == [1]", {1}, False),
        ("event.data.x[0]", {1}, None),
        ("event.data.x[0]", (1, 2), 1),
        ("event.data.x == [1, 2]", (1, 2), True),
        ("event.data.x + [3]", (1, 2), [1, 2, 3]),
        ("event.data.x == 'red'", Colour.RED, True),
        ("event.data.x in ['red']", Colour.RED, True),
        ("'is ' + event.data.x", Name("held"), "is held"),
        ("event.data.x == 5 && event.data.x < 6", Flags(5), True),
        ("event.data.x + 1", Flags(5), 6),
        ("event.data.x == b'a'", bytearray(b"a"), True),
        ("event.data.x.y", MappingProxyType({"y": 1}), 1),
        ("event.data.x == {'y': 1}", MappingProxyType({"y": 1}), True),
        ("has(event.data.x.y)", MappingProxyType({"y": 1}), True),
        ("event.data.x == event.data.x", float("nan"), False),
        ("event.data.x < 1", float("nan"), False),
        ("event.data.x > 9223372036854775807", 2**64, True),
        ("event.data.x == 18446744073709551616.0", 2**64, True),
        ("event.data.x == event.data.x", object(), False),
        ("event.data.x == null", object(), False),
        ("event.data.x ? 1 : 2", object(), 1),
        ("event.data.x.y", object(), None),
        ("event.data.x == event.data.x", {5: 1, (1, 2): 3, None: 4}, True),
    ],
)
def test_payload_of_this_type_reads_so(source: str, given: object, expected: object) -> None:
    assert value(source, x=given) == expected


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("event.data.x + 1", 2**64),
        ("event.data.x * event.data.x", 10**1_000),
        ("event.data.x / 3", 10**1_000),
        ("event.data.x + 1.5", 10**1_000),
        ("-event.data.x", -(2**63)),
        ("event.data.x < 1", object()),
        ("event.data.x + 'a'", object()),
        ("size(event.data.x)", object()),
        ("type(event.data.x)", object()),
        ("event.data.x > 1", Decimal("sNaN")),
        ("string(event.data.x)", datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))),
        ("event.data.x == timestamp(0)", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))),
        ("event.data.x + duration('1s')", datetime.max.replace(tzinfo=UTC)),
        ("event.data.x + event.data.x", timedelta.max),
    ],
)
def test_payload_that_cannot_be_computed_with_is_a_problem(source: str, given: object) -> None:
    assert problem(source, x=given)


class Hostile(Mapping[str, Any]):
    """Raises whatever is asked of it."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __getitem__(self, key: str) -> Any:
        raise self.error

    def __iter__(self) -> Iterator[str]:
        raise self.error

    def __len__(self) -> int:
        raise self.error

    def __eq__(self, other: object) -> bool:
        raise self.error

    def __hash__(self) -> int:
        raise self.error

    def __bool__(self) -> bool:
        raise self.error


SOURCES = [
    *(
        "event",
        "event.x",
        "event.x.y.z.a.b",
        "event['x']",
        "event[1]",
        "has(event.x)",
        "event == event",
        "event == null",
    ),
    *("event == {}", "'a' in event", "event in [1]", "event in {'a': 1}", "{event: 1}", "[event]", "event + 'a'"),
    *("event + event", "-event", "event < 1", "event && 1", "event || 1", "!event", "event ? 1 : 2", "size(event)"),
    *(
        "event.all(x, x)",
        "event.map(x, x)",
        "type(event)",
        "string(event)",
        "[1].map(x, event.y)",
        "event.contains('a')",
    ),
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("error", [RuntimeError, KeyError, TypeError, RecursionError, MemoryError, StopIteration])
def test_hostile_mapping_never_makes_it_raise(source: str, error: type[Exception]) -> None:
    expression = compile_expression(source)
    for scope in ({"event": Hostile(error)}, Hostile(error)):
        result = expression.evaluate(scope)
        assert result.problem is None or result.value is None
        assert expression.test(scope) is result.truth
        assert expression.key(scope) == result.key
        expression.value(scope)


def test_event_that_cannot_be_decoded_is_a_problem_and_no_missing_field() -> None:
    sources = ["event.data" + ".x" * deeper for deeper in range(6)]
    for source in (
        *sources,
        "event.data == null",
        "[event].map(e, e.data)",
        "event[event['data']]",
        "event[string(1)]",
    ):
        assert compile_expression(source).evaluate({"event": Hostile(Damaged)}).problem is not None
    assert compile_expression("event").evaluate(Hostile(Damaged)).problem is not None


class Damaged(CodecError):
    def __init__(self) -> None:
        super().__init__("damaged")


def test_evaluating_reads_only_the_fields_that_are_named() -> None:
    asked: list[str] = []

    class Watched(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            asked.append(key)
            return super().__getitem__(key)

    data = Watched(total=150, secret=1)
    assert compile_expression("event.data.total > 100").test({"event": {"data": data}}) is True
    assert asked == ["total"]
