"""Where waits are filed: an event that answers a wait always finds it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durableq.model.filing import ANYHOW, bucket_of, buckets_of, condition, file_under, paths_of

NAME = "order/paid"

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e300]),
    st.sampled_from(["", "1", "a", "true", "é"]),
)
data = st.dictionaries(st.sampled_from(["x", "y", "z"]), values, max_size=3)


def literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


terms = st.one_of(
    st.sampled_from(
        [
            "event.data.x == async.data.x",
            "async.data.y == event.data.x",
            "event.data.z == async.data.z",
            "async.data.x != null",
            "event.data.y == 1",
        ]
    ),
    st.builds(
        lambda path, value: f"async.data.{path} == {literal(value)}",
        st.sampled_from("xyz"),
        values.filter(lambda v: v is not None),
    ),
)
conditions = st.one_of(
    terms,
    st.lists(terms, min_size=2, max_size=3).map(" && ".join),
    st.lists(terms, min_size=2, max_size=2).map(" || ".join),
)


@given(conditions, data, data)
def test_an_event_that_meets_the_condition_looks_where_the_wait_is(
    if_: str, own: dict[str, Any], arriving: dict[str, Any]
) -> None:
    filing = file_under(NAME, if_, {"data": own})
    assert filing.path in paths_of(if_)
    if condition(if_).test({"event": {"data": own}, "async": {"data": arriving}}):
        assert filing.bucket in buckets_of(NAME, paths_of(if_), {"data": arriving})


@pytest.mark.parametrize(
    ("if_", "path"),
    [
        ("async.data.id == 'A-17'", "data.id"),
        ("async.data.id == 'A-17' && async.data.cents > 100", "data.id"),
        ("async.data.sort == 'card' && event.data.id == async.data.id", "data.id"),  # many have the sort, few the id
        ("async.data.sort == 'card' && event.data.gone == async.data.id", "data.sort"),
        ("async.data.id == 'A-17' || async.data.all", ANYHOW),
        ("async.data['a b'] == 'A-17'", ANYHOW),
        ("async.data.id == null", ANYHOW),
    ],
)
def test_what_a_condition_is_filed_under(if_: str, path: str) -> None:
    assert file_under(NAME, if_, {"data": {"id": 7}}).path == path


def test_equal_numbers_are_filed_together_and_texts_apart() -> None:
    def at(if_: str) -> str:
        return file_under(NAME, if_, {"data": {}}).bucket

    assert at("async.data.id == 42") == at("async.data.id == 42.0") == bucket_of(NAME, "data.id", "number:42")
    assert at("async.data.id == '42'") != at("async.data.id == 42")
