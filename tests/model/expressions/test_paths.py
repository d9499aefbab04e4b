"""What is known without evaluating: the fields read, and the equalities fit for an index."""

from __future__ import annotations

import pytest

from tests.model.expressions.samples import compiled


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("event.data.order_id == 5", ["event.data.order_id"]),
        ("event.data.a > event.data.b && event.data.a < 3", ["event.data.a", "event.data.b"]),
        ("event['data'].a", ["event.data.a"]),
        ("has(event.data.x) ? event.data.x : event.ts", ["event.data.x", "event.ts"]),
        ("event.data.items[0].id", ["event.data.items"]),
        ("event.data.items[event.data.n]", ["event.data.items", "event.data.n"]),
        ("event.data.tags.exists(t, t.name == event.data.name)", ["event.data.tags", "event.data.name"]),
        ("[1].map(event, event.data)", []),
        ("lowercase(event.data.s).contains(async.data.s)", ["event.data.s", "async.data.s"]),
        ("{event.id: [event.name]}", ["event.id", "event.name"]),
        ("event", ["event"]),
        ("'constant'", []),
    ],
)
def test_fields_are_those_it_may_read(source: str, fields: list[str]) -> None:
    assert [".".join(path) for path in compiled(source).fields] == fields


X = (("event", "data", "x"), ("async", "data", "x"))
Y = (("event", "data", "y"), ("async", "data", "z"))


@pytest.mark.parametrize(
    ("source", "pairs"),
    [
        ("event.data.x == async.data.x", (X,)),
        ("async.data.x == event.data.x", (X,)),
        ("event['data']['x'] == async.data.x", (X,)),
        ("event.data.x == async.data.x && async.data.total > 5", (X,)),
        ("async.data.ok && (event.data.x == async.data.x && async.data.z == event.data.y)", (X, Y)),
        ("event.data.x == async.data.x && event.data.x == async.data.x", (X,)),
        ("event.data.x == async.data.x || true", ()),
        ("(event.data.x == async.data.x || true) && async.data.z == event.data.y", (Y,)),
        ("!(event.data.x == async.data.x)", ()),
        ("event.data.x != async.data.x", ()),
        ("event.data.x == event.data.x", ()),
        ("async.data.x == 'literal'", ()),
        ("event.data.x + '' == async.data.x", ()),
        ("event.data.items[0] == async.data.x", ()),
        ("event.data.x == async.data.x ? true : false", ()),
        ("event.data.x == async.data.x == true", ()),
    ],
)
def test_equalities_are_those_without_which_it_cannot_hold(source: str, pairs: object) -> None:
    assert compiled(source).equalities == pairs


@pytest.mark.parametrize(
    ("source", "pairs"),
    [
        ("async.data.x == 'a'", (("a", ("async", "data", "x")),)),
        ("'a' == async.data.x", (("a", ("async", "data", "x")),)),
        ("async.data.x == 42 && async.data.y == true", ((42, ("async", "data", "x")), (True, ("async", "data", "y")))),
        ("async.data.x > 1 && (async.data.y == 1.5 && event.data.z == 2)", ((1.5, ("async", "data", "y")),)),
        ("async.data.x == 'a' || async.data.x == 'b'", ()),
        ("!(async.data.x == 'a')", ()),
        ("async.data.x != 'a'", ()),
        ("event.data.x == 'a'", ()),
        ("async.data.x == null", ()),
        ("async.data.x == b'a'", ()),
        ("async.data.x == 'a' + 'b'", ()),
        ("event.data.x == async.data.x", ()),
    ],
)
def test_constants_are_values_without_which_it_cannot_hold(source: str, pairs: object) -> None:
    assert compiled(source).constants == pairs
