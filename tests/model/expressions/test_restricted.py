"""Restricted expressions compare, combine, select and convert; everything else is refused where it stands."""

from __future__ import annotations

import pytest

from durableq.model.expressions import compile_expression
from durableq.words.errors import ExpressionError
from tests.model.expressions.samples import BOTH


@pytest.mark.parametrize(
    "source",
    [
        "event.data.userId == async.data.userId",
        "event.data.a == async.data.a && async.data.n >= -5 || !(async.data.b != 'x')",
        "async.data.plan in ['a', 'b']",
        "async.data.plan == 'pro' ? event.data.a == 1 : false",
        "event.data.items[0].id == async.data['id']",
        "string(event.data.id) == async.data.id",
        "int(event.data.a) < uint(2) && double('1.5') > 1.0 && bool('true') && bytes('a') == b'a' && dyn(true)",
        "timestamp(async.data.at) < timestamp('2027-01-01T00:00:00Z') && duration(async.data.for) > duration('1h')",
        "event.data.m == {'a': [1]}",
    ],
)
def test_restricted_allows(source: str) -> None:
    assert compile_expression(source, variables=BOTH, restricted=True).source == source


@pytest.mark.parametrize(
    ("marked", "named"),
    [
        ("event.data.email.^contains('x')", "contains()"),
        ("event.data.a == ^lowercase(async.data.a)", "lowercase()"),
        ("^has(event.data.x)", "has()"),
        ("event.data.tags.^exists(t, t == 'x')", "exists()"),
        ("event.data.tags.^map(t, t)", "map()"),
        ("^size(event.data.tags) > 1", "size()"),
        ("^type(event.data.x) == int", "type()"),
        ("event.data.a ^+ 1 == 2", "'+'"),
        ("event.data.a ^- 1 == 2", "'-'"),
        ("event.data.a ^* 2 == 2", "'*'"),
        ("^-event.data.a == 2", "'-'"),
        ("event.data.at > ^now()", "now()"),
        ("^date(event.data.at) > timestamp(0)", "date()"),
        ("timestamp(event.data.at).^getHours() == 3", "getHours()"),
        ("true && [string(event.data.a ^% 2)] == ['x'.size()]", "'%'"),
    ],
)
def test_restricted_points_at_the_first_thing_it_refuses(marked: str, named: str) -> None:
    position = marked.index("^")
    source = marked.replace("^", "")
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, variables=BOTH, restricted=True)
    assert caught.value.position == position
    assert caught.value.reason.startswith(f"{named} is not allowed here")
    assert compile_expression(source, variables=BOTH).source == source
