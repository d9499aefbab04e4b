"""Errors of compiling: what they say, and the character that they point at."""

from __future__ import annotations

import pytest

from durableq.model.expressions import compile_expression
from durableq.words.errors import ConfigError, ExpressionError
from tests.model.expressions.samples import BOTH

# Each source holds a ^ before the character at fault; it is taken out before compiling.
SYNTAX = [
    ("^", "the expression is empty"),
    ("^   ", "the expression is empty"),
    ("event.data.x ^= 1", "to compare, write =="),
    ("event.data.x ==^= 1", "to compare, write =="),
    ("event.data.x ^& 1", "write && for and"),
    ("event.data.x ^| 1", "write || for or"),
    ("event.data.x ^and 1", "write &&"),
    ("event.data.x ^or 1", "write ||"),
    ("^not event.data.x", "write !"),
    ("event.data.x == ^None", "write null"),
    ("event.data.x == ^undefined", "write null"),
    ("event.data.x == ^True", "write true"),
    ("event.data.x == ^“a”", "straight quotes"),
    ("event.data.x == ^@", "unexpected '@'"),
    ("event.data.x == ^`a`", "expected a value"),
    ("event.data.x == ^`a", "backquotes enclose a field name"),
    ("1 ^2", "expected an operator or the end, found '2'"),
    ("(1^", "the expression ends where ')' is expected"),
    ("1^)", "found ')'"),
    ("[1, 2^", "the expression ends where ',' or ']' is expected"),
    ("[1 ^2]", "expected ',' or ']', found '2'"),
    ("{1^}", "the ':' between key and value"),
    ("1 ? 2^", "the ':' of the condition's other outcome"),
    ("^&& 1", "expected a value, found '&&'"),
    ("1 +^", "the expression ends where a value is expected"),
    ("event.^", "the name of a field"),
    ("event.^.x", "the name of a field, found '.'"),
    ("event[^]", "expected a value, found ']'"),
    ("event[1^", "the expression ends where ']' is expected"),
    ("event.x^{a: 1}", "messages cannot be built here"),
    (".^.x", "expected a name"),
    ("event^.5", "expected an operator or the end"),
    ("^if", "reserved word"),
    ("^in", "reserved word"),
    ("event.data.x == 1\n&& ^+ 2", "expected a value, found '+'"),
]
LITERALS = [
    ("^'abc", "no closing '"),
    ('1 == ^"abc', 'no closing "'),
    ("^'abc\n'", "no closing '"),
    ("^'''abc''", "no closing '''"),
    ("^'abc\\", "no closing '"),
    ("'a^\\q'", "no escape \\q"),
    ("'a^\\x4'", "needs 2 hexadecimal digits"),
    ("'a^\\u12'", "needs 4 hexadecimal digits"),
    ("'a^\\08'", "needs 3 octal digits"),
    ("'^\\ud800'", "no Unicode character"),
    ("'^\\U00110000'", "no Unicode character"),
    ("b'a^\\u0041'", "no meaning in bytes"),
    ("'^\ud800'", "half of a surrogate pair"),
    ("^9223372036854775808", "does not fit in an int of 64 bits"),
    ("1 + ^-9223372036854775809", "does not fit in an int of 64 bits"),
    ("^0x8000000000000000", "does not fit in an int of 64 bits"),
    ("^18446744073709551616u", "more than a uint holds"),
    ("^1e400", "more than a double holds"),
    ("1^a", "unexpected 'a' in a number"),
    ("1^_000", "unexpected '_' in a number"),
    ("0^x", "unexpected 'x' in a number"),
    ("{'a': 1, ^'a': 2}", "this key twice"),
    ("{1: 1, ^1u: 2}", "this key twice"),
    ("{^null: 1}", "not null"),
    ("{^1.5: 1}", "not double"),
]
NAMES = [
    ("^evnt.data", "did you mean event?"),
    ("^openai", "write 'openai' in quotes of its own"),
    ("^" + "x" * 100, "for a constant text write"),
    ("event.data.x == ^pro", "for a constant text write 'pro'"),
    ("event.data.user-^id == 'x'", "event.data.`user-id`"),
    ("event.data.tags.exists(t, ^x == 1)", "this expression knows async, event, t"),
    ("event.data.tags.exists(tag, ^tga == 1)", "did you mean tag?"),
    ("event.data.tags.exists(t, true) && ^t", "unknown name 't'"),
    ("^google.protobuf.Any", "unknown name 'google.protobuf.Any'"),
]
CALLS = [
    ("^sizes(event.data)", "did you mean size()?"),
    ("^Size(event.data)", "did you mean size()?"),
    ("event.data.email.^startswith('a')", "did you mean startsWith()?"),
    ("event.data.tags.^exist(x, x)", "did you mean exists()?"),
    ("^nothingLikeIt()", "there is no function nothingLikeIt()"),
    ("event.data.email.^lowercase()", "written as lowercase(value)"),
    ("^contains('a', 'b')", "written as value.contains(...)"),
    ("^size(1, 2)", "size() takes 1 argument here, not 2"),
    ("'a'.^size(1)", "size() takes 0 arguments here, not 1"),
    ("^now(1)", "now() takes 0 arguments here, not 1"),
    ("event.data.at.^getHours('UTC', 1)", "takes 0 or 1 arguments here, not 2"),
    ("has(event.data.x^, 1)", "expected ')'"),
    ("has(^event)", "has() takes a field"),
    ("has(^event.data.x == 1)", "has() takes a field"),
    ("event.data.tags.exists(x^)", "exists() takes a variable and an expression"),
    ("event.data.tags.exists(^1, true)", "exists() takes a variable and an expression"),
    ("event.data.tags.exists(^true, true)", "exists() takes a variable and an expression"),
    ("event.data.tags.^exists(x, true, true)", "exists() takes a variable and an expression"),
    ("event.data.tags.^map(x, 1, 2, 3)", "map() takes a variable and an expression"),
]
CONSTANTS = [
    ("int(^'x')", "int() cannot read the string"),
    ("uint(^-1)", "outside its 64 bits"),
    ("timestamp(^'yesterday')", "RFC 3339"),
    ("event.data.at < date(^'soon')", "date() cannot read the string"),
    ("duration(^'1 hour')", "such as '1h30m'"),
    ("now_plus(^'a day')", "such as '24h'"),
    ("event.data.email.matches(^'(')", "has a '(' without ')'"),
    ("event.data.email.matches(^5)", "matches() does not take int"),
    ("timestamp(0).getHours(^'Mars/Base')", "no such time zone"),
    ("lowercase(^5)", "lowercase() does not take int"),
    ("b64decode(^'?')", "base64"),
    ("json_parse(^'{')", "needs JSON"),
]
LIMITS = [
    ("(" * 64 + "^(1" + ")" * 65, "nested more than 64 levels"),
    ("!" * 64 + "^!true", "nested more than 64 levels"),
    ("[" * 64 + "^[" + "]" * 65, "nested more than 64 levels"),
    ("event" + ".a" * 63 + ".^a" + ".a" * 9, "nested more than 64 levels"),
    ("1" + "-1" * 63 + "^-1-1", "nested more than 64 levels"),
    ("1 " + "+ 1" * 498 + "+ ^1", "more than 500 parts"),
    ("'" + "x" * 4095 + "^'", "longer than 4,096 bytes"),
    ("'" + "ä" * 2047 + "^ä'", "longer than 4,096 bytes"),
]


@pytest.mark.parametrize(
    ("marked", "reason"), [*SYNTAX, *LITERALS, *NAMES, *CALLS, *CONSTANTS, *LIMITS], ids=lambda text: text[:40]
)
def test_error_points_at_the_character(marked: str, reason: str) -> None:
    position = marked.index("^")
    source = marked[:position] + marked[position + 1 :]
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, variables=BOTH)
    assert reason in caught.value.reason
    assert caught.value.position == position
    assert caught.value.source == source


def test_message_shows_the_line_with_a_caret_below_the_character() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_expression("event.data.a == 1 &&\n  evnt.data.b == 2")
    assert str(caught.value).splitlines()[1:] == ["    evnt.data.b == 2", "    ^"]


def test_async_is_refused_where_no_event_is_awaited() -> None:
    with pytest.raises(ExpressionError, match="known only where one is awaited") as caught:
        compile_expression("event.data.id == async.data.id")
    assert caught.value.position == 17


def test_source_that_is_no_text_is_refused() -> None:
    with pytest.raises(ExpressionError, match="an expression is a str, not int"):
        compile_expression(5)  # type: ignore[arg-type]


def test_long_chains_are_no_nesting() -> None:
    for operator in ("&&", "||", "+"):
        assert compile_expression(f" {operator} ".join(["1"] * 249)).evaluate({}).problem is None


def test_64_levels_are_allowed() -> None:
    assert compile_expression("(" * 63 + "1" + ")" * 63).value({}) == 1
    assert compile_expression("event" + ".a" * 63).value({"event": {}}) is None


def test_compiling_the_same_text_again_gives_the_same_expression() -> None:
    assert compile_expression("event.data.x == 1") is compile_expression("event.data.x == 1")
