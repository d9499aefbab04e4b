"""The figures of design, and what happens beyond them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from durableq.model.limits import KB, MB, Limits
from durableq.words.errors import ConfigError, LimitExceeded


def test_defaults_are_the_documented_figures() -> None:
    limits = Limits()
    assert (limits.steps_per_run, limits.step_result_bytes, limits.run_bytes) == (1_000, 4 * MB, 32 * MB)
    assert (limits.event_bytes, limits.events_per_send) == (512 * KB, 5_000)
    assert (limits.triggers, limits.cancel_on, limits.concurrency_keys, limits.retries) == (10, 5, 2, 20)
    assert limits.wait_ms == 366 * 24 * 60 * 60 * 1000


@pytest.mark.parametrize(
    "raised",
    [
        {"steps_per_run": 10_000},
        {"event_bytes": 3 * MB},
        {"step_result_bytes": 32 * MB},
        {"run_bytes": 256 * MB},
        {"run_bytes": 1 * MB, "step_result_bytes": 1 * MB},
    ],
)
def test_figure_may_be_set_within_its_range(raised: dict[str, int]) -> None:
    limits = Limits(**raised)
    assert {name: getattr(limits, name) for name in raised} == raised


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("steps_per_run", 10_001),
        ("steps_per_run", 0),
        ("steps_per_run", True),
        ("steps_per_run", 5.0),
        ("steps_per_run", "5"),
        ("step_result_bytes", 32 * MB + 1),
        ("run_bytes", 256 * MB + 1),
        ("event_bytes", 3 * MB + 1),
        ("event_bytes", -1),
        pytest.param("event_bytes", 10**5000, id="huge"),
    ],
)
def test_figure_out_of_range_names_option_rule_and_value(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"limits: {option} must be .*, not "):
        Limits(**{option: value})


def test_parts_must_fit_into_a_run() -> None:
    with pytest.raises(ConfigError, match=r"step_result_bytes must be at most run_bytes \(1,000,000\), not 4,194,304"):
        Limits(run_bytes=1_000_000)


def test_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError):
        Limits(steps=5)  # type: ignore[call-arg]


def test_limits_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().steps_per_run = 5  # type: ignore[misc]


def test_what_is_over_a_limit_names_both_figures_and_the_option() -> None:
    limits = Limits()
    limits.check_steps(1_000)
    limits.check_bytes("step_result_bytes", "step 'a' result", 4 * MB)
    limits.check_send(5_000)
    with pytest.raises(LimitExceeded, match=r"1,001 steps and may have 1,000: .* limits\.steps_per_run"):
        limits.check_steps(1_001)
    with pytest.raises(
        LimitExceeded, match=r"step 'a' result has 4,194,305 bytes and may have 4,194,304: .* limits\.step_result_bytes"
    ):
        limits.check_bytes("step_result_bytes", "step 'a' result", 4 * MB + 1)
    with pytest.raises(LimitExceeded, match="5,001 events are too many"):
        limits.check_send(5_001)
