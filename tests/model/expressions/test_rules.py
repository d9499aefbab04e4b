"""The dialect's rules, one row each: what is looser than CEL, and every example that Inngest's documentation gives."""

from __future__ import annotations

from typing import Any

import pytest

from durableq.model.expressions.values import Uint
from tests.model.expressions.samples import SCOPE, compiled, evaluate, problem, same, value

DOCUMENTED = [
    ("event.data.plan == 'enterprise'", True),
    ("event.data.total > 1000", False),
    ("event.data.plan == 'enterprise' && event.data.total > 100", True),
    ("event.data.plan != 'pro' || event.data.total < 300", True),
    ('event.data.action == "purchase" && event.data.total > 100', False),
    ("event.data.yes == true", True),
    ("event.data.userId == async.data.userId", True),
    ("event.data.userId == async.data.userId && async.data.billing_plan == 'pro'", True),
    ("async.data.userId == 'u-7'", True),
    ("event.data.orderId == async.data.orderId", False),
    ("event.data.userId", "u-7"),
    ('event.data.userId + "-" + event.data.organizationId', "u-7-12"),
    ('event.data.userId + "-" + event.type', "u-7-"),
    ('string(event.data.total) + "-" + event.data.userId', "150-u-7"),
    ("event.data.plan == 'enterprise' ? 0 : 1800", 0),
    ("event.data.plan == 'enterprise' && event.data.zero < 10 ? 0 : 1800", 0),
    ("event.data.plan == 'free' ? 180 : 0", 0),
    ("has(event.data.priority) ? event.data.priority : 0", 0),
    ("event.data.email.contains('gmail.com')", True),
    ("has(event.data.email)", True),
    ("event.data.items[0].id", "i-1"),
    ("event.data.tags.exists(t, t == 'c')", True),
    ("event.data.tags.all(t, t != 'x')", True),
    ("event.data.tags.exists_one(t, t == 'b')", True),
    ("timestamp(event.data.at) < timestamp('2027-01-01T00:00:00Z')", True),
    ('int("42")', 42),
    ('"openai"', "openai"),
    ("event.ts > 1719792000000", True),
    ('event.v == "2"', True),
    ("event.data.function_id == 'app-fn'", False),
]

MISSING_AND_NULL = [
    ("event.data.missing == null", True),
    ("event.data.missing != null", False),
    ("event.data.missing == 1", False),
    ("event.data.missing != 1", True),
    ("event.data.missing != ''", True),
    ("event.data.missing == false", False),
    ("event.data.missing.deeper.still == null", True),
    ("event.data.total.deeper == null", True),
    ("event.data.nothing == null", True),
    ("event.data.nothing == 0", False),
    ("event.data.nothing != 'x'", True),
    ("null == null", True),
    ("event.data.missing == event.data.gone", False),
    ("event.data.missing != event.data.gone", True),
    ("event.data.missing == event.data.nothing", True),
    ("event.data.missing < 5", False),
    ("event.data.missing <= 5", False),
    ("event.data.missing > 5", False),
    ("event.data.missing >= 5", False),
    ("5 < event.data.missing", False),
    ("5 > event.data.missing", False),
    ("event.data.nothing < 5", False),
    ("8 > event.data.nothing", False),
    ("null <= 0", False),
    ("event.data.nothing >= null", False),
    ("event.data.missing < event.data.gone", False),
    ("size(event.data.missing)", 0),
    ("size(event.data.nothing) > 0", False),
    ("event.data.missing.contains('x')", False),
    ("event.data.missing.matches('x')", False),
    ("event.data.email.contains(event.data.missing)", False),
    ("event.data.missing.exists(x, true)", False),
    ("event.data.missing.all(x, true)", False),
    ("event.data.missing in ['a']", False),
    ("event.data.missing in [null]", False),
    ("event.data.nothing in [null]", True),
    ("'a' in event.data.missing", False),
    ("event.data.missing + 'x'", "x"),
    ("'x' + event.data.missing", "x"),
    ("'a' + event.data.nothing + 'b'", "ab"),
    ("1 + event.data.missing", 1),
    ("event.data.missing + 1", 1),
    ("event.data.missing + event.data.gone", None),
    ("event.data.missing - 1", None),
    ("-event.data.missing", None),
    ("!event.data.missing", True),
    ("string(event.data.missing)", None),
    ("lowercase(event.data.nothing)", None),
    ("event.data.missing", None),
    ("event.data.tags[7]", None),
    ("event.data.tags[-1]", None),
    ("event.data.tags['a']", None),
    ("event.data.tags.length", None),
    ("event.data.email[0]", None),
    ("event.data.address['zip']", 3000),
    ("has(event.data.nothing)", True),
    ("has(event.data.missing)", False),
    ("has(event.data.missing.deeper)", False),
    ("has(event.data['with-hyphen'])", True),
    ("event.data.`with-hyphen`", "h"),
]

TYPES = [
    ("true == 1", False),
    ("false == 0", False),
    ("1 == true", False),
    ("event.data.yes == 1", False),
    ("[true] == [1]", False),
    ("true in [1]", False),
    ("3 == 3.0", True),
    ("3u == 3", True),
    ("event.data.whole == 42", True),
    ("event.data.total == async.data.total", True),
    ('"200" == 200', False),
    ("event.data.status == 200", False),
    ("event.data.status != 200", True),
    ("int(event.data.status) == 200", True),
    ("event.data.ratio > 2", True),
    ("event.data.total > 149.5", True),
    ("event.data.total + 1.5", 151.5),
    ("[1, 2.0] == [1.0, 2]", True),
    ("{'a': 1} == {'a': 1.0}", True),
    ("{'a': null} == {'b': null}", False),
    ("[1] == 1", False),
    ("event.data == event.data", True),
    ("event.data.address == {'zip': 3000, 'city': 'Bern'}", True),
    ("'x' + 1", "x1"),
    ("1 + 'x'", "1x"),
    ("1 + 2 + 'x'", "3x"),
    ("'x' + 1 + 2", "x12"),
    ("'x' + (1 + 2)", "x3"),
    ("'hi-' + 9.1 + '-' + true + '-' + event.data.missing", "hi-9.1-true-"),
    ("'x' + event.data.whole", "x42"),
    ("'x' + 1.5e-7", "x1.5e-07"),
    ("'x' + 1e20", "x100000000000000000000"),
    ("'x' + 1e21", "x1e+21"),
    ("'x' + -0.0", "x0"),
    ("'x' + timestamp(0)", "x1970-01-01T00:00:00Z"),
    ("'x' + duration('90m')", "x5400s"),
    ("'x' + b'y'", "xy"),
    ("'x' + 1u", "x1"),
]

LOGIC = [
    ("event.data.empty || event.data.plan", "enterprise"),
    ("event.data.missing || event.data.plan", "enterprise"),
    ("event.data.zero || event.data.plan", "enterprise"),
    ("event.data.nothing || 'x'", "x"),
    ("event.data.plan || event.data.email", "enterprise"),
    ("event.data.missing || event.data.empty", ""),
    ("event.data.none || 'x'", []),
    ("event.data.plan && event.data.email", "ann@gmail.com"),
    ("event.data.empty && event.data.email", ""),
    ("event.data.missing && event.data.email", None),
    ("event.data.zero && true", 0),
    ("true && 5", 5),
    ("false || 0u", Uint(0)),
    ("1 && 2 && 3", 3),
    ("0 || '' || null", None),
    ("0 || '' || 7 || 8", 7),
    ("!event.data.empty", True),
    ("!'x'", False),
    ("!event.data.none", False),
    ("!!duration('0s')", True),
    ("event.data.total ? 'y' : 'n'", "y"),
    ("event.data.empty ? 'y' : 'n'", "n"),
    ("event.data.missing ? 'y' : 'n'", "n"),
    ("event.data.zero ? 'y' : event.data.yes ? 'z' : 'n'", "z"),
    ("true ? false ? 1 : 2 : 3", 2),
]

UNKNOWN = [
    ("1 / 0", "division by zero"),
    ("event.data.total / event.data.zero", "division by zero"),
    ("event.data.total % 0", "division by zero"),
    ("9223372036854775807 + 1", "outside the 64 bits of an int"),
    ("event.data.total - -9223372036854775807 - 1000", "outside the 64 bits of an int"),
    ("4611686018427387904 * 2", "outside the 64 bits of an int"),
    ("-9223372036854775808 / -1", "outside the 64 bits of an int"),
    ("-9223372036854775808 % -1", "outside the 64 bits of an int"),
    ("1u - 2u", "outside the 64 bits of a uint"),
    ("18446744073709551615u + 1u", "outside the 64 bits of a uint"),
    ("'a' < 1", "no order between string and int"),
    ("event.data.status > 100", "no order between string and int"),
    ("true < 2", "no order between bool and int"),
    ("[1] < [2]", "no order between list and list"),
    ("event.data.tags < 3", "no order between list and int"),
    ("'x' + event.data.tags", "cannot add string and list"),
    ("event.data.tags + 'x'", "cannot add list and string"),
    ("1 + true", "cannot add int and bool"),
    ("'a' - 'b'", "cannot subtract string and string"),
    ("-event.data.plan", "no negative of string"),
    ("'a' in event.data.plan", "needs a list or a map"),
    ("event.data.total.exists(x, true)", "exists() needs a list or a map, not int"),
    ("event.data.tags.contains('a')", "item in list"),
    ("lowercase(event.data.total)", "lowercase() does not take int"),
    ("int(event.data.plan)", "int() cannot read the string"),
    ("size(event.data.total)", "size() does not take int"),
    ("timestamp(event.data.plan)", "RFC 3339"),
    ("1 / 0 == 1", "division by zero"),
    ("1 / 0 != 1", "division by zero"),
    ("1 / 0 < 1", "division by zero"),
    ("[1 / 0]", "division by zero"),
    ("{'a': 1 / 0}", "division by zero"),
    ("{1 / 0: 'a'}", "division by zero"),
    ("(1 / 0).a", "division by zero"),
    ("event.data.tags[1 / 0]", "division by zero"),
    ("!(1 / 0)", "division by zero"),
    ("1 / 0 ? 1 : 2", "division by zero"),
    ("string(1 / 0)", "division by zero"),
    ("1 / 0 || false", "division by zero"),
    ("1 / 0 && true", "division by zero"),
    ("event.data.nothing || 1 / 0", "division by zero"),
    ("'x' + 1 / 0", "division by zero"),
]

DECIDED_ELSEWHERE = [
    ("1 / 0 == 1 || true", True),
    ("true || 1 / 0 == 1", True),
    ("false && 1 / 0 == 1", False),
    ("1 / 0 == 1 && false", False),
    ("1 / 0 || 'x'", "x"),
    ("1 / 0 && ''", ""),
    ("false ? 1 / 0 : 2", 2),
    ("true ? 1 : 1 / 0", 1),
]


@pytest.mark.parametrize(("source", "expected"), [*DOCUMENTED, *MISSING_AND_NULL, *TYPES, *LOGIC, *DECIDED_ELSEWHERE])
def test_expression_has_this_value(source: str, expected: object) -> None:
    assert same(value(source), expected)


@pytest.mark.parametrize(("source", "reason"), UNKNOWN)
def test_expression_cannot_be_evaluated_and_says_why(source: str, reason: str) -> None:
    assert reason in problem(source)
    assert compiled(source).test(SCOPE) is False
    assert compiled(source).value(SCOPE) is None
    assert compiled(source).key(SCOPE) is None


ARITHMETIC: list[tuple[str, Any]] = [
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 / -2", -3),
    ("-7 / -2", 3),
    ("7 % 3", 1),
    ("-7 % 3", -1),
    ("7 % -3", 1),
    ("-7 % -3", -1),
    ("7.0 / 2", 3.5),
    ("-5.5 % 2", -1.5),
    ("2 + 3 * 4 - 1", 13),
    ("(2 + 3) * 4", 20),
    ("10 - 3 - 2", 5),
    ("2 - -2", 4),
    ("- 5", -5),
    ("--5", 5),
    ("-(2 + 3)", -5),
    ("-9223372036854775808", -(2**63)),
    ("1.0 / 0.0", float("inf")),
    ("-1.0 / 0.0", float("-inf")),
    ("5u / 2u", 2),
    ("[1] + [2]", [1, 2]),
    ("b'a' + b'b'", b"ab"),
    ("1 + 2 == 3", True),
    ("1 < 2 == true", True),
    ("!true == false", True),
    ("1 in [1] == true", True),
    ("true || false && false", True),
]


@pytest.mark.parametrize(("source", "expected"), ARITHMETIC)
def test_operators_compute_and_bind_as_in_cel(source: str, expected: object) -> None:
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "truth"),
    [
        ("event.data.plan", True),
        ("event.data.total", True),
        ("event.data.none", True),
        ("event.data.address", True),
        ("event.data.empty", False),
        ("event.data.zero", False),
        ("0.0", False),
        ("0u", False),
        ("event.data.no", False),
        ("event.data.nothing", False),
        ("event.data.missing", False),
    ],
)
def test_test_is_the_truthiness_of_the_whole(source: str, truth: bool) -> None:
    assert compiled(source).test(SCOPE) is truth
    assert evaluate(source).truth is truth


def test_an_absent_variable_is_missing() -> None:
    assert evaluate("async.data.x == null", {"event": {}}).value is True
    assert evaluate("event.data.x", {}).value is None
