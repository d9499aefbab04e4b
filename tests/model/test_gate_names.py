"""What the names of gates say to people."""

from __future__ import annotations

import pytest

from durableq.model.flow import key_name
from durableq.model.gate_names import NO_VALUE, GateName, gate_name, shown_key
from durableq.model.gating import pool_stem


@pytest.mark.parametrize("key", ["7", "a b", "ü/é", "user-1:x", "100%", "a~b", "日本語", "x" * 96, "", "'q'", "+n:a"])
def test_a_key_is_shown_as_it_was(key: str) -> None:
    assert shown_key(key_name(key)) == key


@pytest.mark.parametrize("key", ["x" * 97, "é" * 40, "日本" * 30, "a b" * 60])
def test_a_key_that_was_cut_is_shown_with_its_beginning(key: str) -> None:
    shown = shown_key(key_name(key))
    assert shown is not None
    assert shown.endswith("…")
    assert key.startswith(shown[:-1])
    assert len(shown) > 6


def test_no_key_and_a_key_without_value_are_told_apart() -> None:
    assert shown_key("") is None
    assert shown_key("~") == NO_VALUE


@pytest.mark.parametrize(
    ("letter", "name", "expected"),
    [
        ("c", pool_stem("shop/pay", "function", "event.data.id", "turn") + "7", GateName("function", "shop/pay", "7")),
        ("c", pool_stem("shop/pay", "function", None, "turn"), GateName("function", "shop/pay", None)),
        ("c", pool_stem("shop/pay", "app", "'x'", "turn") + "a:b", GateName("app", "shop", "a:b")),
        ("r", pool_stem("shop/pay", "namespace", "'x'", "run") + "a:b", GateName("namespace", "", "a:b")),
        ("r", pool_stem("shop/pay", "app", "'x'", "run") + "a:b", GateName("app", "shop", "a:b")),
        ("c", pool_stem("shop/pay", "namespace", "'x'", "turn") + "a:b", GateName("namespace", "", "a:b")),
        ("t", "shop/pay:t:", GateName("function", "shop/pay", None)),
        ("t", "shop/pay:t:a:b", GateName("function", "shop/pay", "a:b")),
        ("z", "shop/pay:z:~", GateName("function", "shop/pay", NO_VALUE)),
        ("l", "shop/pay:a:b", GateName("function", "shop/pay", "a:b")),
        ("d", "shop/pay:", GateName("function", "shop/pay", None)),
    ],
)
def test_a_name_says_whose_it_is_and_what_the_key_came_to(letter: str, name: str, expected: GateName) -> None:
    assert gate_name(letter, name) == expected
