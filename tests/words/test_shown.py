"""Values as errors show them."""

from __future__ import annotations

from typing import Any

import pytest

from durableq.words.shown import shown
from tests.fuzz import fuzz, prompt
from tests.words.strategies import anything


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        (7, "7"),
        ({"a": [1, 2]}, "{'a': [1, 2]}"),
        (2**200, "an integer of 201 bits"),
        ([10**5000], "a list that cannot be shown"),
    ],
)
def test_value_is_shown(value: Any, text: str) -> None:
    assert shown(value) == text


def test_value_that_will_not_be_shown_is_named() -> None:
    assert shown(Shy()).startswith("<Shy instance")
    assert shown([Shy()]).startswith("[<Shy instance")


@fuzz(anything)
def test_any_value_is_shown_short(value: Any) -> None:
    with prompt():
        assert len(shown(value, 40)) <= 40


def test_large_values_are_not_written_out() -> None:
    with prompt():
        assert len(shown(["x" * 10_000_000] * 1_000_000)) <= 80
