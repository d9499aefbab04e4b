"""Literals: every form of number, string and bytes; comments; where a name may be a word of the language."""

from __future__ import annotations

import pytest

from durableq.model.expressions.values import Uint
from tests.model.expressions.samples import evaluate, same, value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("0", 0),
        ("007", 7),
        ("0x1F", 31),
        ("-0XfF", -255),
        ("5u", Uint(5)),
        ("0x1FU", Uint(31)),
        ("18446744073709551615u", Uint(2**64 - 1)),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("-2.5", -2.5),
        ("true", True),
        ("false", False),
        ("null", None),
        ("'a'", "a"),
        ('"a"', "a"),
        ("'say \"hi\"'", 'say "hi"'),
        ('"it\'s"', "it's"),
        (r"'\a\b\f\n\r\t\v\\\'\"\?\`'", "\a\b\f\n\r\t\v\\'\"?`"),
        (r"'\x41\X42\u00e9\U0001F600\101'", "ABé😀A"),
        (r"r'\n\d'", r"\n\d"),
        (r'R"\x"', r"\x"),
        ("'''a'b''c'''", "a'b''c"),
        ('"""a"b\nc"""', 'a"b\nc'),
        (r"r'''\'''", "\\"),
        ("b'abc'", b"abc"),
        ('B"abc"', b"abc"),
        ("b'é'", "é".encode()),
        (r"b'\x00\377'", b"\x00\xff"),
        (r"br'\x'", b"\\x"),
        ("b'''a\n'''", b"a\n"),
        ("[]", []),
        ("[1, 'a', [true],]", [1, "a", [True]]),
        ("[event.data.missing]", [None]),
        ("{}", {}),
        ("{'a': 1, 2: 'b', true: null,}", {"a": 1, 2: "b", True: None}),
        ("{'a' + 'b': event.data.missing}", {"ab": None}),
        ("// a comment\n1 // and another", 1),
        ("\t1\r\n+\f1 ", 2),
    ],
)
def test_literal_has_this_value(source: str, expected: object) -> None:
    assert same(value(source), expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("event.data.if", 1),
        ("event.data.in", 2),
        ("event.data.null", 3),
        ("event.data.`a-b`", 4),
        ("event.data.`a.b/c`", 5),
        ("event.data['a b']", 6),
        ("event.data.size", 7),
        ("event.data.all", 8),
        (".event.data.size", 7),
        ("event . data . size", 7),
        ("[1].map(event, event + .event.data.size)", [8]),
        ("[2].map(size, size(['a']) + size)", [3]),
    ],
)
def test_words_of_the_language_may_be_fields(source: str, expected: object) -> None:
    data = {"if": 1, "in": 2, "null": 3, "a-b": 4, "a.b/c": 5, "a b": 6, "size": 7, "all": 8}
    assert value(source, **data) == expected


def test_map_keys_1_and_true_are_two_keys() -> None:
    assert value("{1: 'a'}[true] == null && {true: 'a'}[1] == null && {1: 'a'}[1u] == 'a' && {1: 'a'}[1.0] == 'a'")
    assert value("true in {1: 'a'}") is False
    assert value("0 in {false: 'a'}") is False


def test_a_computed_key_that_is_there_twice_cannot_be_evaluated() -> None:
    assert evaluate("{event.id: 1, 'evt-1': 2}").problem == "the map has this key twice"
    assert evaluate("{event.data.ratio: 1}").problem == (
        "the key of a map is a string, an int, a uint or a bool, not double"
    )
