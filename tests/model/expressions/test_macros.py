"""Macros: on lists, maps and what is missing; nested; with conditions of any kind; within their budget."""

from __future__ import annotations

import pytest

from tests.model.expressions.samples import evaluate, problem, value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[1, 2].all(x, x > 0)", True),
        ("[1, 2].all(x, x > 1)", False),
        ("[].all(x, false)", True),
        ("[1, 2].exists(x, x > 1)", True),
        ("[].exists(x, true)", False),
        ("[1, 2, 2].exists_one(x, x == 1)", True),
        ("[1, 2, 2].exists_one(x, x == 2)", False),
        ("[1, 2, 3].filter(x, x != 2)", [1, 3]),
        ("[1, 2].map(x, x * 2)", [2, 4]),
        ("[1, 2, 3].map(x, x > 1, x * 10)", [20, 30]),
        ("[1].map(x, event.data.missing)", [None]),
        ("event.data.items.map(i, i.id)", ["i-1", "i-2"]),
        ("event.data.items.filter(i, i.qty > 2)[0].id", "i-2"),
        ("event.data.items.exists(i, i.id == 'i-2' && i.qty == 5)", True),
        ("event.data.address.exists(k, k == 'zip')", True),
        ("event.data.address.map(k, event.data.address[k])", ["Bern", 3000]),
        ("event.data.tags.exists(t, t)", True),
        ("['', 'a', null].filter(t, t)", ["a"]),
        ("event.data.missing.map(x, x)", None),
        ("event.data.nothing.filter(x, x)", None),
        ("size(event.data.missing.filter(x, x))", 0),
        ("event.data.missing.exists_one(x, true)", False),
        ("[[1, 2], [3]].map(l, l.map(x, x + size(l)))", [[3, 4], [4]]),
        ("[1, 2].map(x, [10].map(x, x + 1)[0] + x)", [12, 13]),
        ("[1, 2].exists(x, [2, 3].exists(y, x == y))", True),
        ("[1, 2, 3].filter(x, x > 1).map(x, x * x)", [4, 9]),
        ("[['a']].map(x, x.map(y, x[0] + y))", [["aa"]]),
        ("{'a': [1]}.all(k, {'a': [1]}[k].all(v, v == 1))", True),
    ],
)
def test_macro_gives(source: str, expected: object) -> None:
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[2, 1].exists(x, 1 / (x - 1) == 1)", True),
        ("[1, 2].exists(x, 1 / (x - 1) == 1)", True),
        ("[1, 3].all(x, 1 / (x - 1) == 1)", False),
    ],
)
def test_an_unknown_round_does_not_matter_where_another_decides(source: str, expected: bool) -> None:
    assert value(source) is expected


@pytest.mark.parametrize(
    "source",
    [
        "[1, 3].exists(x, 1 / (x - 1) == 1)",
        "[1, 2].all(x, 1 / (x - 1) == 1)",
        "[2, 1].exists_one(x, 1 / (x - 1) == 1)",
        "[2, 1].filter(x, 1 / (x - 1) == 1)",
        "[1].map(x, 1 / (x - 1))",
        "[1].map(x, 1 / (x - 1), x)",
        "(1 / 0).map(x, x)",
    ],
)
def test_an_unknown_round_makes_the_rest_unknown(source: str) -> None:
    assert problem(source) == "division by zero"


def test_ten_thousand_rounds_are_the_limit() -> None:
    assert value("event.data.l.all(x, x >= 0)", l=list(range(10_000))) is True
    assert "more than 10,000 iterations" in problem("event.data.l.all(x, x >= 0)", l=list(range(10_001)))


def test_nested_rounds_count_together() -> None:
    cube = "event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, true)))"
    assert value(cube, l=list(range(21))) is True
    assert "more than 10,000 iterations" in problem(cube, l=list(range(22)))


def test_a_budget_used_up_is_not_absorbed() -> None:
    assert "abandoned" in problem("event.data.l.all(x, true) || true", l=list(range(10_001)))
    assert evaluate("true || event.data.l.all(x, true)", {"event": {"data": {"l": [0] * 10_001}}}).value is True
