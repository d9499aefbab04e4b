"""How long to wait after a failed attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from durableq.model.backoff import DEFAULT_BACKOFF, Backoff
from durableq.words.codec import decode, encode
from durableq.words.errors import ConfigError
from tests.fuzz import fuzz, prompt
from tests.words.strategies import anything

DEFAULT_S = [15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200, 7200, 7200]


def test_default_is_the_documented_table() -> None:
    assert [DEFAULT_BACKOFF.delay_ms(attempt, 0) for attempt in range(12)] == [s * 1000 for s in DEFAULT_S]


def test_default_jitter_is_up_to_half_a_minute() -> None:
    assert DEFAULT_BACKOFF.delay_ms(0, 0.5) == 30_000
    assert 44_990 < DEFAULT_BACKOFF.delay_ms(0, 0.9999) < 45_000


def test_exponential_doubles_up_to_its_maximum() -> None:
    backoff = Backoff.exponential("15s", "2m")
    assert [backoff.delay_ms(attempt, 0) for attempt in range(6)] == [15_000, 30_000, 60_000, 120_000, 120_000, 120_000]
    assert backoff.delay_ms(0, 1) == 16_500  # a tenth on top
    assert Backoff.exponential(1, 1000, factor=10, jitter=0).delay_ms(2, 1) == 100_000


def test_fixed_stays() -> None:
    assert [Backoff.fixed("10s").delay_ms(attempt, 0) for attempt in (0, 1, 19)] == [10_000] * 3
    assert Backoff.fixed(0).delay_ms(0, 1) == 0


def test_table_repeats_its_last_entry() -> None:
    backoff = Backoff.table(["1s", 30, timedelta(minutes=2)], jitter=0.5)
    assert [backoff.delay_ms(attempt, 0) for attempt in range(5)] == [1_000, 30_000, 120_000, 120_000, 120_000]
    assert backoff.delay_ms(0, 1) == 1_500


def test_longest_wait_holds_with_jitter_too() -> None:
    assert Backoff.fixed("366d").delay_ms(0, 1) == 366 * 86_400_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: Backoff.exponential(0, "1m"),
        lambda: Backoff.exponential("2m", "1m"),
        lambda: Backoff.exponential("1s", "367d"),
        lambda: Backoff.exponential("1s", "1m", factor=0.5),
        lambda: Backoff.exponential("1s", "1m", factor=101),
        lambda: Backoff.exponential("1s", "1m", factor=float("nan")),
        lambda: Backoff.exponential("1s", "1m", factor=True),
        lambda: Backoff.exponential("1s", "1m", jitter=1.1),
        lambda: Backoff.exponential("1s", "1m", jitter=-0.1),
        lambda: Backoff.exponential("soon", "1m"),
        lambda: Backoff.fixed("-1s"),
        lambda: Backoff.fixed("1s", jitter="0.1"),  # type: ignore[arg-type]
        lambda: Backoff.table([]),
        lambda: Backoff.table("15s"),
        lambda: Backoff.table(5),  # type: ignore[arg-type]
        lambda: Backoff.table([1] * 21),
        lambda: Backoff.table([1, "x"]),
        lambda: Backoff(()),
        lambda: Backoff((1,), jitter_ms=-1),
        lambda: Backoff.from_map({}),
        lambda: Backoff.from_map({**DEFAULT_BACKOFF.to_map(), "delays_ms": None}),
        lambda: Backoff.from_map({**DEFAULT_BACKOFF.to_map(), "factor": "x"}),
    ],
)
def test_bad_backoff_is_refused_when_made(make: Any) -> None:
    with pytest.raises(ConfigError, match=r"^backoff"):
        make()


@pytest.mark.parametrize(
    "backoff", [DEFAULT_BACKOFF, Backoff.exponential("1s", "1h", 3, 0.2), Backoff.fixed(5), Backoff.table([1, 2])]
)
def test_backoff_survives_the_registry(backoff: Backoff) -> None:
    assert Backoff.from_map(decode(encode(backoff.to_map()))) == backoff


@fuzz(
    st.builds(
        Backoff.exponential,
        st.integers(1, 10**7),
        st.just("366d"),
        st.floats(1, 100),
        st.floats(0, 1),
    )
    | st.builds(Backoff.table, st.lists(st.floats(0, 10**7), min_size=1, max_size=20), st.floats(0, 1)),
    st.integers(0, 10**6),
    st.floats(0, 1, exclude_max=True),
)
def test_any_delay_is_within_the_longest_wait(backoff: Backoff, attempt: int, chance: float) -> None:
    with prompt():
        assert 0 <= backoff.delay_ms(attempt, 0) <= backoff.delay_ms(attempt, chance) <= 366 * 86_400_000


@fuzz(anything, anything, anything)
def test_any_option_is_taken_or_a_config_error(first: Any, second: Any, third: Any) -> None:
    with prompt():
        for make in (
            lambda: Backoff.exponential(first, second, third),
            lambda: Backoff.fixed(first, second),
            lambda: Backoff.table(first, second),
        ):
            try:
                make()
            except ConfigError:
                pass
