"""Ids: which are allowed, and what they carry."""

from __future__ import annotations

import re
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import strategies as st

from durableq.words import ids
from durableq.words.errors import ConfigError
from tests.fuzz import fuzz, prompt
from tests.words.strategies import anything

HUGE = pytest.param(10**5000, id="huge")  # more digits than Python writes


class Names(StrEnum):
    SHOP = "shop"


@pytest.mark.parametrize("value", ["a", "0", "process-order", "a.b_c-d", "a" * 64])
def test_id_is_taken(value: str) -> None:
    assert ids.check_id("app id", value) == value


@pytest.mark.parametrize(
    "value", ["", "A", "-a", ".a", "a b", "a/b", "a" * 65, "a\n", "ü", "\ud800", None, 5, b"a", HUGE]
)
def test_id_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^app id "):
        ids.check_id("app id", value)


def test_refusal_offers_the_nearest_id() -> None:
    with pytest.raises(ConfigError, match="'process-order' would do"):
        ids.check_id("function id", "Process Order!")


def test_enum_member_becomes_its_text() -> None:
    assert type(ids.check_id("app id", Names.SHOP)) is str
    assert type(ids.check_step_id(Names.SHOP)) is str


@pytest.mark.parametrize("value", ["", "x" * 257, "\ud800", None, 5, b"a"])
def test_step_id_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^step id must"):
        ids.check_step_id(value)


def test_ulid_sorts_by_time() -> None:
    made = [ids.new_ulid(at_ms) for at_ms in (0, 1, 1_800_000_000_000, 2**48 - 1)]
    assert made == sorted(made)
    assert all(re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", ulid) for ulid in made)
    assert made[0] != ids.new_ulid(0)
    assert ids.run_created_at_ms(made[2]) == 1_800_000_000_000


def test_run_id_tells_time_and_shard() -> None:
    run_id = ids.run_id("1800000000000-3", "shop/process-order", 37)
    assert ids.is_run_id(run_id)
    assert ids.run_created_at_ms(run_id) == 1_800_000_000_000
    assert ids.run_shard(run_id) == 37


def test_run_id_is_one_per_event_and_function() -> None:
    made = [ids.run_id(entry, function, 0) for entry in ("1-0", "1-1", "2-0") for function in ("a/b", "a/c")]
    assert len(set(made)) == 6
    assert made[0] == ids.run_id("1-0", "a/b", 0)


@pytest.mark.parametrize("value", ["", "x", "0" * 25, "8" + "0" * 25, "0" * 25 + "U", "0" * 26 + "\n", "0" * 25 + "a"])
def test_what_is_no_run_id_is_told(value: str) -> None:
    assert not ids.is_run_id(value)


def test_first_occurrence_of_a_step_is_keyed_by_its_id_alone() -> None:
    assert ids.step_key("charge", 0) == blake2b(b"charge", digest_size=9).hexdigest()


def test_no_id_is_mistaken_for_a_repetition_of_another() -> None:
    keys = [ids.step_key(step_id, occurrence) for step_id in ("a", "a\x001", "a1", "a\x00") for occurrence in range(20)]
    assert len(set(keys)) == len(keys)


def test_event_key_needs_name_and_id() -> None:
    assert (
        len({ids.event_key("a", "b"), ids.event_key("b", "a"), ids.event_key("ab", ""), ids.event_key("", "ab")}) == 4
    )


def test_tokens_are_not_repeated() -> None:
    assert len({ids.new_token() for _ in range(100)}) == 100


@fuzz(anything | st.text(max_size=300))
def test_any_value_is_an_id_or_a_config_error(value: Any) -> None:
    with prompt():
        for check in (lambda: ids.check_id("x", value), lambda: ids.check_step_id(value)):
            try:
                assert check() == value
            except ConfigError:
                pass


@fuzz(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256), st.integers(0, 10_000))
def test_any_step_has_a_key(step_id: str, occurrence: int) -> None:
    assert re.fullmatch("[0-9a-f]{18}", ids.step_key(ids.check_step_id(step_id), occurrence))


@fuzz(st.integers(0, 2**48 - 1), st.integers(0, 10**6), st.integers(0, 1023))
def test_any_run_id_tells_time_and_shard(at_ms: int, sequence: int, shard: int) -> None:
    run_id = ids.run_id(f"{at_ms}-{sequence}", "app/function", shard)
    assert ids.is_run_id(run_id)
    assert (ids.run_created_at_ms(run_id), ids.run_shard(run_id)) == (at_ms, shard)
