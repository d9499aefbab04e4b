"""Costs are bounded: the worst that expressions and payloads can do together takes no longer than 100 ms."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from durableq.model.expressions import compile_expression
from durableq.words.errors import ExpressionError
from tests.fuzz import prompt
from tests.model.expressions.samples import problem, value


def nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def endless() -> list[Any]:
    found: list[Any] = []
    found += [found, found]
    return found


@cache
def hostile_data() -> dict[str, Any]:
    return {
        "sixty": list(range(60)),
        "long": list(range(20_000)),
        "lists": [[1] * 100] * 10_000,
        "strings": ["x" * 100] * 10_000,
        "map": {str(number): number for number in range(100_000)},
        "other_map": {str(number): number for number in range(100_000)},
        "deep": nested(100_000),
        "endless": endless(),
        "text": "a" * 60_000,
        "huge_text": "a" * 3_000_000,
        "unicode": "".join(map(chr, range(0x4E00, 0x4E00 + 20_000))),
        "brackets": "[" * 60_000,
        "json": "[" + "1," * 30_000 + "1]",
        "huge": 10**100_000,
        "zones": [f"Area/City{number}" for number in range(5_000)],
        "durations": [f"{number}h1m" for number in range(10_000)],
        "patterns": [f"(a{{30}}){{{number}}}" for number in range(1, 66)],
        "wide_pattern": "(.?){900}x",
        "floats": [1.5] * 9_000,
    }


SOURCES = [
    "event.data.sixty.all(a, event.data.sixty.all(b, event.data.sixty.all(c, true)))",
    "event.data.long.exists(a, {})".format(" || ".join(["a == -1"] * 90)),
    "event.data.long.exists(a, {})".format(" || ".join(["a * 1.5 == -1"] * 60)),
    "event.data.long.map(a, [{}])".format(", ".join(["a"] * 400)),
    "event.data.floats.map(x, {})".format(" + ".join(["string(x)"] * 60)),
    "event.data.floats.map(x, 'a' + {})".format(" + ".join(["x"] * 200)),
    "event.data.floats.map(x, {})".format(" + ".join(["{'a': x}.a"] * 60)),
    " && ".join(["event.data.map == event.data.other_map"] * 60),
    " && ".join(["event.data.huge_text.contains('b') == false"] * 60),
    " || ".join(["lowercase(event.data.text) == 'x'"] * 80),
    " || ".join(["uppercase(event.data.unicode) == 'x'"] * 80),
    " || ".join(["json_parse(event.data.json) == 1"] * 80),
    " || ".join(["'q' in event.data.long"] * 80),
    " + ".join(["event.data.text"] * 100),
    " + ".join(["event.data.long"] * 100),
    "event.data.deep == event.data.deep",
    "event.data.endless == event.data.endless",
    "event.data.endless in event.data.endless",
    "event.data.deep",
    "event.data.endless",
    "event.data.map",
    "event.data.huge",
    "string(event.data.huge)",
    "event.data.huge * event.data.huge",
    "event.data.huge == 1.5",
    "event.data.huge < event.data.huge",
    "json_parse(event.data.brackets)",
    "event.data.sixty.exists(a, json_parse(event.data.json) == 1)",
    "event.data.strings.map(a, a + a + a + a)",
    "event.data.sixty.map(a, event.data.text + 'x')",
    "event.data.sixty.map(a, event.data.long + event.data.long)",
    "event.data.lists.map(x, x + x + x + x)",
    "event.data.lists.exists(x, x == event.data.lists[1] && 7 in x)",
    "event.data.zones.exists(z, timestamp(0).getHours(z) == 1)",
    "event.data.durations.exists(x, [{}] == 1)".format(", ".join(["duration(x)"] * 90)),
    "event.data.long.exists(x, [{}] == 1)".format(", ".join(["date(x)"] * 90)),
    "event.data.strings.exists(x, {})".format(" || ".join(["x.matches('[a-w]+y')"] * 60)),
    "event.data.text.matches('(a*)*b')",
    "event.data.text.matches('(a|a)*$b')",
    "event.data.text.matches('(a|aa)+$b')",
    "event.data.text.matches('(a?){500}a{500}b')",
    "event.data.text.matches('(.*)(.*)(.*)(.*)(.*)x')",
    "event.data.text.matches(event.data.wide_pattern)",
    "event.data.unicode.matches('(?i)[\\\\p{L}]{100}x')",
    "event.data.unicode.matches(event.data.wide_pattern)",
    "event.data.huge_text.matches('b')",
    "event.data.patterns.exists(p, 'aaa'.matches(p))",
    "event.data.text.matches(event.data.huge_text)",
    "'a'.matches('((((a{0,9}){0,9}){0,9}){0,9})x')",
    " || ".join(f"'a'.matches('a{{{number}}}b')" for number in range(900, 1_000)),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source[:50])
def test_nothing_takes_longer_than_100_ms(source: str) -> None:
    scope = {"event": {"data": hostile_data()}}
    try:
        with prompt():
            expression = compile_expression(source)
    except ExpressionError:
        return
    with prompt():
        expression.evaluate(scope)
    with prompt():
        expression.key(scope)


def test_a_string_of_64_ki_characters_may_be_built_and_no_longer_one() -> None:
    assert value("size(event.data.x + 'a')", x="a" * 65_535) == 65_536
    assert "more than 65,536 characters" in problem("event.data.x + 'a'", x="a" * 65_536)
    assert "more than 65,536 characters" in problem("'a' + event.data.x + 'b'", x="a" * 65_535)
    assert "more than 65,536 characters" in problem("1 + event.data.x", x="a" * 65_536)
    assert "more than 65,536 characters" in problem("b'a' + event.data.x", x=b"a" * 65_536)
    assert "more than 65,536 characters" in problem("lowercase(event.data.x)", x="a" * 65_537)
    assert "more than 65,536 characters" in problem("uppercase(event.data.x)", x="ß" * 32_769)
    assert "more than 65,536 characters" in problem("json_parse(event.data.x)", x="1" * 65_537)
    assert "more than 65,536 characters" in problem("b64decode(event.data.x)", x="YWFh" * 30_000)


def test_longer_strings_may_be_read() -> None:
    assert value("event.data.x.endsWith('b')", x="a" * 100_000 + "b") is True
    assert value("event.data.x.matches('b$')", x="a" * 100_000 + "b") is True
    assert value("size(event.data.x)", x="a" * 100_000) == 100_000


def test_a_list_of_10_000_elements_may_be_built_and_no_longer_one() -> None:
    assert value("size(event.data.x + [1])", x=[0] * 9_999) == 10_000
    assert "more than 10,000 elements" in problem("event.data.x + [1]", x=[0] * 10_000)


def test_what_is_abandoned_says_so() -> None:
    assert problem("event.data.x.matches('b')", x="a" * 200_001).startswith(
        "abandoned: it takes more than 200,000 units"
    )
