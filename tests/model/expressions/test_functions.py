"""Functions: what each gives for what it takes, and refuses the rest."""

from __future__ import annotations

import base64
import json

import pytest

from durableq.model.expressions.function_table import FUNCTIONS
from durableq.model.expressions.values import TypeName, Uint
from tests.model.expressions.samples import problem, same, value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("int('42')", 42),
        ("int('-42')", -42),
        ("int('+5')", 5),
        ("int(1.9)", 1),
        ("int(-1.9)", -1),
        ("int(7u)", 7),
        ("int(timestamp('2020-01-01T00:00:00Z'))", 1577836800),
        ("uint('7')", Uint(7)),
        ("uint(7.9)", Uint(7)),
        ("double('1.5')", 1.5),
        ("double('-1e3')", -1000.0),
        ("double('.5')", 0.5),
        ("double('inf')", float("inf")),
        ("double(3)", 3.0),
        ("string(1)", "1"),
        ("string(42.0)", "42"),
        ("string(1000000.0)", "1000000"),
        ("string(0.1)", "0.1"),
        ("string(true)", "true"),
        ("string('a')", "a"),
        ("string(b'abc')", "abc"),
        ("string(5u)", "5"),
        ("string(int)", "int"),
        ("bytes('é')", "é".encode()),
        ("bytes(b'x')", b"x"),
        ("bool('true')", True),
        ("bool('T' + 'RUE')", True),
        ("bool('0')", False),
        ("bool(true)", True),
        ("dyn(1) == 1", True),
        ("dyn(event.data.missing)", None),
        ("size('h😀é')", 3),
        ("'abc'.size()", 3),
        ("size(b'\\xc3\\xa9')", 2),
        ("[1, 2].size()", 2),
        ("size({'a': 1})", 1),
        ("type(1)", TypeName("int")),
        ("type(1u) == uint", True),
        ("type(1.0) == double", True),
        ("type('') == string", True),
        ("type(b'') == bytes", True),
        ("type(true) == bool", True),
        ("type([]) == list && type({}) == map", True),
        ("type(null) == null_type", True),
        ("type(event.data.missing) == null_type", True),
        ("type(type(1)) == type", True),
        ("type(int) == type", True),
        ("type(timestamp(0)) == google.protobuf.Timestamp", True),
        ("type(duration('1s')) == google.protobuf.Duration", True),
        ("type(1) == type('a')", False),
        ("'abc'.contains('b')", True),
        ("'abc'.contains('')", True),
        ("'abc'.startsWith('ab')", True),
        ("'abc'.endsWith('ab')", False),
        ("'abc'.matches('b')", True),
        ("matches('abc', '^b')", False),
        ("lowercase('ÀB')", "àb"),
        ("uppercase('straße')", "STRASSE"),
        ('b64decode("aGkgdGhlcmUh") + " - b64 data"', "hi there! - b64 data"),
        ("json_parse(b64decode('eyJuZXN0ZWQiOnsiZGF0YSI6InllYSJ9fQ==')).nested.data", "yea"),
        ("json_parse('[1, 2.5, null, {\"a\": true}]')", [1, 2.5, None, {"a": True}]),
    ],
)
def test_function_gives(source: str, expected: object) -> None:
    assert same(value(source), expected)


@pytest.mark.parametrize(
    ("source", "given", "reason"),
    [
        ("int(event.data.x)", "4 2", "cannot read"),
        ("int(event.data.x)", "", "cannot read"),
        ("int(event.data.x)", "1_0", "cannot read"),
        ("int(event.data.x)", "٣", "cannot read"),
        ("int(event.data.x)", "9223372036854775808", "outside its 64 bits"),
        ("int(event.data.x)", "1" * 5000, "cannot read"),
        ("int(event.data.x)", 1e19, "outside its 64 bits"),
        ("int(event.data.x)", float("nan"), "infinity or NaN"),
        ("int(event.data.x)", True, "does not take bool"),
        ("int(event.data.x)", [], "does not take list"),
        ("uint(event.data.x)", -1, "outside its 64 bits"),
        ("uint(event.data.x)", "-1", "outside its 64 bits"),
        ("double(event.data.x)", "1_0.5", "cannot read"),
        ("double(event.data.x)", " 1", "cannot read"),
        ("double(event.data.x)", 10**400, "outside its range"),
        ("double(event.data.x)", True, "does not take bool"),
        ("string(event.data.x)", [], "does not take list"),
        ("string(event.data.x)", b"\xff", "needs UTF-8"),
        ("bytes(event.data.x)", "\ud800", "UTF-8 can hold"),
        ("bytes(event.data.x)", 1, "does not take int"),
        ("bool(event.data.x)", "yes", "cannot read"),
        ("bool(event.data.x)", 1, "does not take int"),
        ("size(event.data.x)", True, "does not take bool"),
        ("event.data.x.contains('a')", 5, "contains() does not take int"),
        ("'a'.contains(event.data.x)", 5, "contains() does not take int"),
        ("event.data.x.matches('a')", 5, "matches() does not take int"),
        ("'a'.matches(event.data.x)", "(", "without ')'"),
        ("'a'.matches(event.data.x)", 5, "matches() does not take int"),
        ("uppercase(event.data.x)", b"a", "does not take bytes"),
        ("b64decode(event.data.x)", "aGk", "base64"),
        ("b64decode(event.data.x)", "aGk=\n", "base64"),
        ("b64decode(event.data.x)", "é", "base64"),
        ("b64decode(event.data.x)", 5, "does not take int"),
        ("b64decode(event.data.x)", base64.b64encode(b"\xff").decode(), "base64"),
        ("json_parse(event.data.x)", "{", "JSON"),
        ("json_parse(event.data.x)", "NaN", "JSON"),
        ("json_parse(event.data.x)", "[" * 50_000, "JSON"),
        ("json_parse(event.data.x)", "1" * 5_000, "JSON"),
        ("json_parse(event.data.x)", {}, "does not take map"),
    ],
)
def test_function_refuses(source: str, given: object, reason: str) -> None:
    assert reason in problem(source, x=given)


def test_problems_never_quote_the_payload() -> None:
    for source in (
        "int(event.data.x)",
        "timestamp(event.data.x)",
        "duration(event.data.x)",
        "date(event.data.x)",
        "json_parse(event.data.x)",
        "b64decode(event.data.x)",
        "bool(event.data.x)",
        "double(event.data.x)",
        "event.data.x < 1",
        "event.data.x - 1",
        "now_plus(event.data.x)",
        "timestamp(0).getHours(event.data.x)",
        "'a' in event.data.x",
    ):
        assert "s3cret" not in problem(source, x="s3cret(")


def test_absent_arguments_give_nothing_or_false() -> None:
    for name, function in FUNCTIONS.items():
        if name in ("type", "dyn", "now"):
            continue
        for count in function.as_function:
            source = f"{name}({', '.join(['event.data.nothing'] * count)})"
            assert value(source, nothing=None) in (None, False, 0)
        for count in function.as_method:
            source = f"event.data.nothing.{name}({', '.join(['event.data.missing'] * count)})"
            assert value(source, nothing=None) in (None, False, 0)


def test_parsed_json_is_read_like_a_payload() -> None:
    text = json.dumps({"items": [{"id": 5}]})
    assert value("json_parse(event.data.text).items.exists(i, i.id == 5)", text=text) is True
