"""What a scheduler does about a trigger: which ticks it performs, and that many small steps come to what one large one does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from durableq import CronTrigger
from durableq.model.cron import CATCH_UP_MAX, LATE_MS, planned
from durableq.model.cron.plan import COUNTED_MAX
from tests.fuzz import fuzz, prompt

MINUTE_MS = 60_000
DAY_MS = 86_400_000
START_MS = 1_772_323_200_000 - DAY_MS  # 2026-02-28 00:00 UTC


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_nothing_is_due_before_its_time(catch_up: Any) -> None:
    plan = planned(CronTrigger("0 9 * * *", catch_up=catch_up), "a/f", START_MS, START_MS + 9 * 60 * MINUTE_MS - 1)
    assert (plan.ticks, plan.upto_ms, plan.missed) == ([], START_MS, 0)
    assert plan.upcoming == (START_MS + 9 * 60 * MINUTE_MS, START_MS + 9 * 60 * MINUTE_MS)


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
@pytest.mark.parametrize("late_ms", [0, 1, LATE_MS])
def test_a_tick_is_performed_from_its_time_on(catch_up: Any, late_ms: int) -> None:
    at = START_MS + 9 * 60 * MINUTE_MS
    plan = planned(CronTrigger("0 9 * * *", catch_up=catch_up), "a/f", START_MS, at + late_ms)
    assert (plan.ticks, plan.upto_ms, plan.missed) == ([(at, at)], at, 0)
    assert plan.upcoming.tick_ms == at + DAY_MS


@pytest.mark.parametrize(
    ("catch_up", "behind", "performed", "missed"),
    [
        ("none", 5, 1, 4),
        ("latest", 5, 1, 4),
        ("all", 5, 5, 0),
        ("latest", COUNTED_MAX, 1, COUNTED_MAX - 1),
        ("latest", COUNTED_MAX + 1, 1, COUNTED_MAX - 1),
        ("latest", 500_000, 1, COUNTED_MAX - 1),
        ("all", CATCH_UP_MAX, CATCH_UP_MAX, 0),
        ("all", CATCH_UP_MAX + 1, CATCH_UP_MAX, 1),
        ("all", 500_000, CATCH_UP_MAX, 1),
    ],
)
def test_of_ticks_that_have_passed_the_newest_are_performed(
    catch_up: Any, behind: int, performed: int, missed: int
) -> None:
    now_ms = START_MS + behind * MINUTE_MS
    plan = planned(CronTrigger("* * * * *", catch_up=catch_up), "a/f", START_MS, now_ms)
    assert [due.tick_ms for due in plan.ticks] == [now_ms - n * MINUTE_MS for n in range(performed - 1, -1, -1)]
    assert (plan.upto_ms, plan.missed, plan.upcoming.tick_ms) == (now_ms, missed, now_ms + MINUTE_MS)


def test_years_of_outage_are_planned_at_once() -> None:
    with prompt(0.05):
        planned(CronTrigger("* * * * *", timezone="Europe/Paris"), "a/f", START_MS, START_MS + 3000 * DAY_MS)
    with prompt(0.5):
        planned(CronTrigger("* * * * *", catch_up="all"), "a/f", START_MS, START_MS + 3000 * DAY_MS)


def test_a_clock_that_was_set_back_performs_nothing() -> None:
    plan = planned(CronTrigger("* * * * *", catch_up="all"), "a/f", START_MS, START_MS - 3 * DAY_MS)
    assert (plan.ticks, plan.upto_ms, plan.upcoming.tick_ms) == ([], START_MS, START_MS + MINUTE_MS)


@fuzz(
    st.sampled_from(["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *"]),
    st.sampled_from([0, 5, 59]),
    st.lists(st.integers(1, 3 * 3_600_000), min_size=1, max_size=30),
)
def test_whenever_one_looks_the_same_ticks_come_each_once_and_at_their_due_time(
    cron: str, jitter_s: int, steps: list[int]
) -> None:
    trigger = CronTrigger(cron, timezone="Europe/Paris", jitter=jitter_s, catch_up="all")
    now_ms, upto_ms, found = START_MS + 28 * DAY_MS, START_MS + 28 * DAY_MS, []
    for step in steps:
        now_ms += step
        plan = planned(trigger, "a/f", upto_ms, now_ms)
        assert plan.upcoming.due_at_ms > now_ms, "who waits until then finds something to do"
        assert all(upto_ms < due.tick_ms <= due.due_at_ms <= now_ms for due in plan.ticks)
        assert all(due.due_at_ms - due.tick_ms < (jitter_s * 1000 or 1) for due in [*plan.ticks, plan.upcoming])
        upto_ms = plan.upto_ms
        found += plan.ticks
    whole = planned(trigger, "a/f", START_MS + 28 * DAY_MS, now_ms)
    assert found[-CATCH_UP_MAX:] == whole.ticks
    assert upto_ms == whole.upto_ms
    assert [due.tick_ms for due in found] == trigger.schedule().first(START_MS + 28 * DAY_MS, upto_ms, 10**6)
