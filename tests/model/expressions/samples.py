"""An event that the tests of expressions read, and short ways to evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from durableq.model.expressions import Evaluation, Expression, compile_expression

BOTH = frozenset({"event", "async"})
NOW_MS = 1_750_000_000_123

EVENT: dict[str, Any] = {
    "name": "shop/order.placed",
    "id": "evt-1",
    "ts": 1_719_792_000_001,
    "v": "2",
    "user": {"id": "u-7"},
    "data": {
        "total": 150,
        "ratio": 2.5,
        "whole": 42.0,
        "zero": 0,
        "empty": "",
        "yes": True,
        "no": False,
        "nothing": None,
        "plan": "enterprise",
        "email": "ann@gmail.com",
        "userId": "u-7",
        "organizationId": 12,
        "status": "200",
        "tags": ["a", "b", "c"],
        "numbers": [3, 1, 2],
        "none": [],
        "items": [{"id": "i-1", "qty": 2}, {"id": "i-2", "qty": 5}],
        "address": {"city": "Bern", "zip": 3000},
        "at": "2026-03-29T01:30:00Z",
        "with-hyphen": "h",
    },
}
ASYNC: dict[str, Any] = {
    "name": "shop/order.cancelled",
    "data": {"userId": "u-7", "total": 150.0, "billing_plan": "pro", "nothing": None},
}
SCOPE: dict[str, Any] = {"event": EVENT, "async": ASYNC}


def compiled(source: str) -> Expression:
    return compile_expression(source, variables=BOTH)


def evaluate(source: str, scope: Mapping[str, Any] = SCOPE) -> Evaluation:
    return compiled(source).evaluate(scope, now_ms=NOW_MS)


def value(source: str, **data: Any) -> object:
    """The value over SCOPE, or over an event with this data; a problem fails the test."""
    result = evaluate(source, {"event": {"data": data}} if data else SCOPE)
    assert result.problem is None, result.problem
    return result.value


def problem(source: str, **data: Any) -> str:
    """Why it cannot be evaluated; a result fails the test."""
    result = evaluate(source, {"event": {"data": data}} if data else SCOPE)
    assert result.problem is not None, result.value
    assert result.value is None
    assert result.key is None
    assert not result.truth
    return result.problem


def same(one: object, other: object) -> bool:
    """Equal, and of the same type: True is not 1, and 1 is not 1.0."""
    return type(one) is type(other) and one == other
