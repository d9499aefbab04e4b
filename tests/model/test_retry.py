"""Whether a failed attempt is tried again, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from durableq.model.retry import Backoff, Exhausted, Retry, check_retries, decide, retry_after_ms
from durableq.words.errors import (
    CodecError,
    ConfigError,
    InvokeTimeout,
    LimitExceeded,
    NonRetriableError,
    RetryAfterError,
    StepError,
)
from tests.fuzz import fuzz, prompt
from tests.words.strategies import anything

NOW_MS = 1_800_000_000_000
NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
LONGEST_MS = 366 * 86_400_000


def after(
    error: BaseException, attempt: int = 0, retries: int = 4, backoff: Backoff | None = None
) -> Retry | Exhausted:
    return decide(error, attempt, retries, backoff, now_ms=NOW_MS, chance=0.0)


def test_error_is_retried_by_the_default_table() -> None:
    assert after(ValueError()) == Retry(15_000)
    assert after(ValueError(), attempt=3) == Retry(120_000)


def test_last_attempt_is_exhausted() -> None:
    assert after(ValueError(), attempt=4) == Exhausted("attempt 5 of 5 failed")
    assert after(ValueError(), attempt=0, retries=0) == Exhausted("attempt 1 of 1 failed")
    assert isinstance(after(ValueError(), attempt=7, retries=2), Exhausted)  # retries lowered by a deploy meanwhile


def test_own_backoff_replaces_the_table() -> None:
    assert after(ValueError(), backoff=Backoff.fixed("7s")) == Retry(7_000)


@pytest.mark.parametrize(
    "error",
    [NonRetriableError("no"), StepError("ValueError", "x"), InvokeTimeout("x"), CodecError("x"), LimitExceeded("x")],
)
def test_what_cannot_be_mended_is_not_retried(error: Exception) -> None:
    assert after(error) == Exhausted(f"{type(error).__name__} is not retried")


def test_group_is_final_if_an_error_in_it_is() -> None:
    group = ExceptionGroup("a", [ValueError(), ExceptionGroup("b", [NonRetriableError("no")])])
    assert after(group) == Exhausted("NonRetriableError is not retried")
    assert after(ExceptionGroup("a", [ValueError(), KeyError()])) == Retry(15_000)


@pytest.mark.parametrize(
    ("asked", "delay_ms"),
    [
        (5, 5_000),
        (0.5, 500),
        ("1m30s", 90_000),
        (timedelta(hours=1), 3_600_000),
        (NOW + timedelta(seconds=9), 9_000),
        ("120", 120_000),
        (" 120 ", 120_000),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60_000),
        (-5, 0),
        (NOW - timedelta(days=1), 0),
        (datetime.min.replace(tzinfo=UTC), 0),
        ("367d", LONGEST_MS),
        (datetime.max.replace(tzinfo=UTC), LONGEST_MS),
    ],
)
def test_retry_after_sets_the_delay(asked: Any, delay_ms: int) -> None:
    assert after(RetryAfterError("later", asked), backoff=Backoff.fixed("7s")) == Retry(delay_ms)


class Nowhere(tzinfo):
    def utcoffset(self, at: datetime | None) -> None:
        return None


class Broken(tzinfo):
    def utcoffset(self, at: datetime | None) -> timedelta:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "asked",
    [
        None,
        "",
        "soon",
        "Xyz, 99",
        True,
        [],
        float("nan"),
        float("inf"),
        datetime(2027, 1, 1),
        datetime.max.replace(tzinfo=Nowhere()),
        datetime(2027, 1, 1, tzinfo=Broken()),
        "\ud800",
        pytest.param(10**5000, id="huge"),
        pytest.param("9" * 10_000, id="long"),
    ],
)
def test_retry_after_that_cannot_be_understood_falls_back_and_is_reported(asked: Any) -> None:
    decision = after(RetryAfterError("later", asked), backoff=Backoff.fixed("7s"))
    assert isinstance(decision, Retry)
    assert decision.delay_ms == 7_000
    assert decision.warning.endswith("the backoff is used instead")
    assert len(decision.warning) < 400


def test_retry_after_without_its_time_falls_back() -> None:
    class Bare(RetryAfterError):
        def __init__(self) -> None:
            Exception.__init__(self, "later")

    assert after(Bare(), backoff=Backoff.fixed(1)).delay_ms == 1_000  # type: ignore[union-attr]


def test_retry_after_still_uses_up_attempts() -> None:
    assert isinstance(after(RetryAfterError("later", 5), attempt=4), Exhausted)


def test_group_waits_for_the_longest_that_is_asked() -> None:
    group = ExceptionGroup("a", [RetryAfterError("x", 5), RetryAfterError("y", "9s"), RetryAfterError("z", "bad")])
    decision = after(group)
    assert isinstance(decision, Retry)
    assert decision.delay_ms == 9_000
    assert "bad" in decision.warning


@pytest.mark.parametrize("value", [0, 4, 20])
def test_retries_within_range_are_taken(value: int) -> None:
    assert check_retries(value, "function 'a'") == value


@pytest.mark.parametrize("value", [-1, 21, True, 4.0, "4", None, pytest.param(10**5000, id="huge")])
def test_retries_out_of_range_are_refused_not_clamped(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^function 'a': retries must be .*, not "):
        check_retries(value, "function 'a'")


@fuzz(anything)
def test_any_retry_after_is_a_delay_or_a_config_error(asked: Any) -> None:
    with prompt():
        try:
            delay_ms = retry_after_ms(RetryAfterError("x", asked), NOW_MS)
        except ConfigError:
            return
    assert 0 <= delay_ms <= LONGEST_MS
