"""Conditions that read a field which no event has are refused where they are written."""

from __future__ import annotations

import pytest

from durableq.model.cancelling import CancelOn
from durableq.model.event import Event, encode_event, read_head
from durableq.model.expressions import compile_expression
from durableq.model.filing import condition
from durableq.model.function import check_options
from durableq.model.reading import FIELDS, check_fields
from durableq.model.trigger import EventTrigger
from durableq.words.errors import ExpressionError


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("event.order_id == async.data.order_id", "no field 'order_id', .*did you mean event.data.order_id"),
        ("event.data.order_id == async.order_id", "no field 'order_id', .*did you mean async.data.order_id"),
        ("event.dta.id == async.data.id", "no field 'dta', .*did you mean event.data\\?"),
        ("event.data.id == async['user-id']", "no field 'user-id', .*did you mean async.data\\?"),
        ("event.data.id == async.data.id && has(async.paid)", "no field 'paid'"),
    ],
)
def test_a_field_that_no_event_has_is_named_with_what_was_meant(source: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        check_fields(condition(source))
    with pytest.raises(ExpressionError, match=message):
        CancelOn("order/cancelled", if_=source)


def test_the_error_points_at_the_field() -> None:
    source = "event.data.order_id == async . order_id"
    with pytest.raises(ExpressionError) as refused:
        check_fields(condition(source))
    assert refused.value.position == source.rindex("order_id")


def test_a_trigger_is_refused_with_the_function_that_has_it() -> None:
    with pytest.raises(ExpressionError, match="function 'ship': triggers: an event has no field 'total'"):
        check_options("ship", [EventTrigger("order/created", if_="event.total > 100")], 4, None, None)


def test_a_stored_trigger_of_another_release_is_taken_as_it_is() -> None:
    assert EventTrigger.from_map({"event": "order/created", "if": "event.total > 100"}).condition() is not None


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_an_event_may_be_read(field: str) -> None:
    check_fields(condition(f"event.{field} == async.{field}"))
    assert hasattr(Event("a"), field)


def test_the_variables_of_macros_are_no_events() -> None:
    check_fields(compile_expression("event.data.items.exists(event, event.price > 3)"))


def test_the_fields_are_those_that_expressions_find() -> None:
    assert set(read_head(encode_event(Event("a"))).scope()) == set(FIELDS)
