"""The public names, and how the four ways to evaluate agree."""

from __future__ import annotations

import threading

import pytest

import durableq.model.expressions as expressions
from durableq.model.expressions import Evaluation, compile_expression
from tests.model.expressions.samples import SCOPE, compiled, evaluate


def test_public_names() -> None:
    assert sorted(expressions.__all__) == [
        "Evaluation",
        "Expression",
        "Path",
        "compile_expression",
        "lookup_tokens",
        "stored_token",
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("event.data.total > 100", Evaluation(True)),
        ("event.data.plan", Evaluation("enterprise")),
        ("event.data.missing", Evaluation(None)),
        ("event.data.nothing", Evaluation(None)),
        ("1 / 0", Evaluation(None, "division by zero")),
    ],
)
def test_evaluate_gives_the_value_or_the_problem(source: str, expected: Evaluation) -> None:
    assert evaluate(source) == expected


def test_an_expression_shows_its_source() -> None:
    assert repr(compiled("event.data.x == 1")) == "Expression('event.data.x == 1')"


def test_threads_share_an_expression() -> None:
    expression = compile_expression(
        "event.data.l.map(x, [x].map(y, x * y)[0]) == event.data.squares && event.data.s.matches('^(a|b)*c$')"
    )
    wrong: list[int] = []

    def evaluate_many(number: int) -> None:
        numbers = list(range(number, number + 20))
        data = {"l": numbers, "squares": [n * n for n in numbers], "s": "ab" * number + "c"}
        for _ in range(50):
            if not expression.test({"event": {"data": data}}):
                wrong.append(number)

    threads = [threading.Thread(target=evaluate_many, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_evaluating_leaves_the_payload_alone() -> None:
    before = repr(SCOPE)
    for source in ("event.data.numbers + [1]", "event.data.items.map(i, i)", "event.data.tags.filter(t, true)"):
        compiled(source).evaluate(SCOPE)
    assert repr(SCOPE) == before
