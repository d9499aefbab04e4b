"""docs/flow-control.md, the second table: what an option of flow control does beside what is none, as the cells say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import durableq as dq
from durableq.testing import TestEnv
from tests.test_docs_flow_pairs import BY_KEY, ONCE, ONE_OF_A_KEY, ONE_UNDER_WAY, QUIET, SPACED, TWO_AN_HOUR, Play, play

ON_STOP = dq.CancelOn("stop")
EVERY_MINUTE = dq.CronTrigger("* * * * *")
JUST_BEFORE = "2026-01-01T08:59:59.500+00:00"
BATCH = dq.Batch(3, timeout="10s")


def stop(it: Play) -> None:
    it.env.send("stop")
    it.env.run_until_idle()


def skipped(it: Play) -> list[str]:
    return [skip.reason for skip in it.env.flow.skips]


def later(it: Play, **data: Any) -> None:
    """An event whose `ts` is in an hour."""
    it.env.send(dq.Event("e", data, ts=it.env.now + timedelta(hours=1)))
    it.env.run_until_idle()


def pause(it: Play, new: Any = "wait") -> None:
    it.app.client.sync.pause("pairs/f", new=new)


def resume(it: Play) -> None:
    it.app.client.sync.resume("pairs/f")
    it.env.run_until_idle()


# ---- cancel_on


def test_a_run_that_is_cancelled_gives_back_what_it_holds_until_its_end() -> None:
    with play(concurrency=ONE_UNDER_WAY, cancel_on=dq.CancelOn("stop", if_="event.data.n == 1")) as it:
        it.events({"nap": "1h"}, {})
        stop(it)
        assert it.states == ["cancelled", "completed"]


def test_a_run_that_is_cancelled_before_it_starts_has_used_no_turn() -> None:
    with play(throttle=SPACED, cancel_on=dq.CancelOn("stop", if_="event.data.n == 2")) as it:
        it.events({}, {}, {})
        stop(it)
        it.env.run_to_end()
        assert (it.began, it.seconds) == ([[1], [3]], [0, 10])


def test_what_was_counted_stays_counted_when_its_run_is_cancelled() -> None:
    with play(rate_limit=TWO_AN_HOUR, idempotency=ONCE, cancel_on=ON_STOP) as it:
        it.events({"id": "a", "nap": "1h"}, {"id": "b", "nap": "1h"})
        stop(it)
        it.events({"id": "a"}, {"id": "c"})
        assert it.states == ["cancelled", "cancelled"]
        assert skipped(it) == ["idempotency", "rate_limit"]


def test_a_debounce_hears_what_cancels_from_when_it_fires_on() -> None:
    with play(debounce=QUIET, cancel_on=ON_STOP) as it:
        it.events({"k": 1, "nap": "1h"})
        stop(it)
        it.env.advance("10s")
        assert it.states == ["waiting"]
        stop(it)
        assert it.states == ["cancelled"]


def test_a_singleton_is_free_when_its_run_is_cancelled() -> None:
    with play(singleton=ONE_OF_A_KEY, cancel_on=ON_STOP) as it:
        it.events({"k": 1, "nap": "1h"})
        stop(it)
        it.events({"k": 1})
        assert it.states == ["cancelled", "completed"]


# ---- timeouts


@pytest.mark.parametrize("limit", [{"concurrency": ONE_UNDER_WAY}, {"throttle": dq.Throttle(1, period="2h")}], ids=str)
def test_waiting_counts_for_start_and_not_for_finish(limit: dict[str, Any]) -> None:
    with play(**limit, timeouts=dq.Timeouts(start="1h")) as it:
        it.events({"nap": "3h"}, {})
        it.env.advance("1h")
        assert it.states == ["waiting", "cancelled"]
    with play(**limit, timeouts=dq.Timeouts(finish="2h")) as it:
        it.events({"nap": "90m"}, {"nap": "90m"})
        it.env.run_to_end()
        assert it.states == ["completed", "completed"]


@pytest.mark.parametrize("held", [{"debounce": dq.Debounce("2h")}, {"batch": dq.Batch(9, timeout="2h")}], ids=str)
def test_timeouts_count_from_when_what_was_held_back_is_a_run(held: dict[str, Any]) -> None:
    with play(**held, timeouts=dq.Timeouts(start="1h")) as it:
        it.events({})
        it.env.run_to_end()
        assert it.states == ["completed"]


# ---- cron


def test_a_tick_counts_and_one_too_many_is_settled() -> None:
    with play(EVERY_MINUTE, now=JUST_BEFORE, rate_limit=TWO_AN_HOUR) as it:
        it.env.advance("4m")
        assert len(it.began) == 2
        assert skipped(it) == ["rate_limit", "rate_limit"]


def test_a_tick_has_a_key_if_its_event_has_what_the_key_reads() -> None:
    with play(EVERY_MINUTE, now=JUST_BEFORE, idempotency="event.data.cron") as it:
        it.env.advance("3m")
        assert len(it.began) == 1


@pytest.mark.parametrize("held", [{"debounce": dq.Debounce("2h")}, {"batch": dq.Batch(9, timeout="2h")}], ids=str)
def test_ticks_and_invokes_are_neither_debounced_nor_collected(held: dict[str, Any]) -> None:
    with play(EVERY_MINUTE, now=JUST_BEFORE, **held) as it:
        it.events({})
        it.env.advance("1s")
        it.env.invoke("f", {"n": "asked for"})
        it.env.run_until_idle()
        assert it.began == [["-"], ["asked for"]]


def test_a_tick_is_dropped_or_replaces_by_a_singleton() -> None:
    with play(EVERY_MINUTE, now=JUST_BEFORE, singleton="skip") as it:
        it.events({"nap": "1h"})
        it.env.advance("1m")
        assert (it.states, skipped(it)) == (["waiting"], ["singleton"])
    with play(EVERY_MINUTE, now=JUST_BEFORE, singleton="cancel") as it:
        it.events({"nap": "1h"})
        it.env.advance("30s")
        assert it.states == ["cancelled", "completed"]


# ---- invoked


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("rate_limit", {"rate_limit": dq.RateLimit(1, period="1h")}),
        ("idempotency", {"idempotency": ONCE}),
        ("singleton", {"singleton": "skip"}),
    ],
)
def test_who_invokes_one_too_many_is_told_so(reason: str, options: dict[str, Any]) -> None:
    with play(**options) as it:
        it.events({"id": "a", "nap": "1h"})
        with pytest.raises(dq.RunSkipped) as caught:
            it.env.invoke("f", {"id": "a"})
        assert caught.value.reason == reason


def test_an_invoke_takes_the_place_of_a_singleton_that_cancels() -> None:
    with play(singleton="cancel") as it:
        it.events({"nap": "1h"})
        run = it.env.invoke("f", {})
        it.env.run_until_idle()
        assert it.env.run(run).status == "completed"
        assert sorted(it.states) == ["cancelled", "completed"]


def test_an_invoke_waits_for_its_turn_and_its_slot() -> None:
    with play(throttle=SPACED, concurrency=ONE_UNDER_WAY) as it:
        it.events({"nap": "15s"})
        it.env.invoke("f", {"n": 2})
        it.env.run_to_end()
        assert it.seconds == [0, 15]


def test_an_invoke_that_would_wait_for_itself_is_told_so() -> None:
    app = dq.App("nested")

    @app.function("f", triggers=[dq.EventTrigger("e")], concurrency=dq.Concurrency(2, hold="run"))
    async def f(ctx: dq.Context) -> str:
        try:
            return await ctx.step.options(output_type=str).invoke("deeper", "f", data={})
        except dq.StepError as error:
            return error.message if error.matches(dq.RunSkipped) else ""

    with TestEnv(app) as env:
        env.send("e")
        env.run_until_idle()
        assert [run.status for run in env.runs] == ["completed", "completed"]
        assert "it would wait for itself" in env.runs[0].result


# ---- a future ts


@pytest.mark.parametrize("limit", [{"concurrency": ONE_UNDER_WAY}, {"throttle": dq.Throttle(1, period="2h")}], ids=str)
def test_what_is_delayed_asks_for_a_slot_and_a_turn_when_it_is_due(limit: dict[str, Any]) -> None:
    with play(**limit) as it:
        later(it, n="later")
        it.events({})
        assert it.began == [[1]]
        it.env.run_to_end()
        assert it.began == [[1], ["later"]]


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("rate_limit", {"rate_limit": dq.RateLimit(1, period="1h")}),
        ("idempotency", {"idempotency": ONCE}),
        ("singleton", {"singleton": "skip"}),
    ],
)
def test_what_is_delayed_counts_from_when_it_is_accepted(reason: str, options: dict[str, Any]) -> None:
    with play(**options) as it:
        later(it, n="later", id="a")
        it.events({"id": "a"})
        assert skipped(it) == [reason]
        it.env.run_to_end()
        assert it.began == [["later"]]


def test_of_a_debounce_it_is_the_newest_and_its_run_waits_for_its_time() -> None:
    with play(debounce=QUIET) as it:
        later(it, n="later", k=1)
        it.events({"k": 1})
        it.env.run_to_end()
        assert (it.began, it.seconds) == ([["later"]], [3600])


def test_a_batch_is_not_delayed_by_it() -> None:
    with play(batch=BATCH) as it:
        later(it, n="later")
        it.events({})
        it.env.advance("10s")
        assert it.began == [["later", 1]]


def test_priority_goes_by_when_it_was_accepted() -> None:
    with play(priority="event.data.p", concurrency=ONE_UNDER_WAY) as it:
        later(it, n="later", p=0)
        it.env.advance("59m30s")
        it.events({"p": 0, "nap": "1m"})
        it.events({"p": 100})
        it.env.run_to_end()
        assert it.began == [[1], ["later"], [2]]


# ---- a pause


def test_what_has_begun_keeps_its_slot_in_a_pause() -> None:
    with play(concurrency=ONE_UNDER_WAY) as it:
        it.events({"nap": "1h"}, {})
        pause(it)
        it.env.advance("2h")
        assert it.states == ["queued", "queued"]
        resume(it)
        assert it.states == ["completed", "completed"]


def test_turns_do_not_pile_up_in_a_pause() -> None:
    with play(throttle=dq.Throttle(1, period="10s", burst=2)) as it:
        pause(it)
        it.events({}, {}, {}, {})
        it.env.advance("10m")
        resume(it)
        it.env.run_to_end()
        assert it.seconds == [600, 600, 610, 620]


def test_what_a_pause_skips_is_not_counted_and_uses_no_key() -> None:
    with play(rate_limit=TWO_AN_HOUR, idempotency=ONCE) as it:
        pause(it, "skip")
        it.events({"id": "a"}, {"id": "b"}, {"id": "c"})
        resume(it)
        it.events({"id": "a"}, {"id": "b"}, {"id": "c"})
        assert it.began == [[4], [5]]
        assert skipped(it) == ["paused"] * 3 + ["rate_limit"]


def test_a_debounce_fires_in_a_pause_and_is_dropped_if_that_skips() -> None:
    with play(debounce=QUIET) as it:
        it.events({"k": 1})
        pause(it)
        it.env.advance("10s")
        assert it.states == ["queued"]
        pause(it, "skip")
        it.events({"k": 2})
        it.env.advance("10s")
        assert (it.states, skipped(it)) == (["queued"], ["paused"])


def test_a_batch_waits_in_a_pause_also_if_that_skips() -> None:
    with play(batch=BATCH) as it:
        pause(it, "skip")
        it.events({}, {})
        it.env.advance("10s")
        assert it.states == ["queued"]
        resume(it)
        assert it.began == [[1, 2]]


def test_a_run_that_is_paused_has_not_ended() -> None:
    with play(singleton="skip") as it:
        it.events({"nap": "1m"})
        pause(it)
        it.env.advance("1h")
        it.events({})
        assert (it.states, skipped(it)) == (["queued"], ["singleton"])


@pytest.mark.parametrize(
    "options",
    [{"rate_limit": dq.RateLimit(1, period="1h", key=BY_KEY)}, {"idempotency": BY_KEY}, {"singleton": ONE_OF_A_KEY}],
    ids=str,
)
@pytest.mark.parametrize("key", [None, False])
def test_what_would_drop_an_event_lets_one_without_a_key_pass(options: dict[str, Any], key: object) -> None:
    with play(**options) as it:
        it.events({"k": key, "nap": "1h"}, {"k": key, "nap": "1h"}, {"k": key, "nap": "1h"})
        assert len(it.began) == 3


def test_what_would_delay_a_run_puts_all_without_a_key_under_one_and_leaves_out_false() -> None:
    with play(concurrency=dq.Concurrency(1, key=BY_KEY, hold="run")) as it:
        it.events(*({"k": key, "nap": "1h"} for key in (None, None, False, False)))
        assert it.states == ["waiting", "queued", "waiting", "waiting"]
    with play(throttle=dq.Throttle(1, period="1h", key=BY_KEY)) as it:
        it.events(*({"k": key} for key in (None, None, False, False)))
        assert it.states == ["completed", "queued", "completed", "completed"]
    with play(batch=dq.Batch(9, timeout="1h", key=BY_KEY)) as it:
        it.events(*({"k": key} for key in (None, None, False, False)))
        it.env.run_to_end()
        assert sorted(it.began) == [[1, 2], [3], [4]]
