"""The virtual clock: what moves it, what follows it, and what it costs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

import durableq as dq
from durableq.testing import EnvFailure, TestEnv
from tests.testing.shop import World

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


def test_time_stands_still_until_it_is_moved(app: dq.App) -> None:
    with TestEnv(app, now=NOON) as env:
        env.send("order/created")
        env.run_until_idle()
        assert env.now == NOON
        env.advance("59m59s999ms")
        assert env.only_run.status == "waiting"
        env.advance(0.001)
        assert env.run_of("order").status == "completed"
        assert env.now == NOON + timedelta(hours=1)


def test_what_functions_are_told_of_time_is_virtual() -> None:
    app = dq.App("times")

    @app.function("look", triggers=[dq.EventTrigger("look")])
    async def look(ctx: dq.Context) -> list[datetime]:
        times = [ctx.now()]
        await ctx.step.sleep("day", "1d")
        times.append(ctx.now())
        await ctx.step.sleep_until("march", "2030-03-01T00:00:00+00:00")
        return [*times, ctx.now()]

    with TestEnv(app, now=NOON) as env:
        env.send("look")
        env.run_to_end()
        run = env.only_run
        assert run.result == [NOON, NOON + timedelta(days=1), datetime(2030, 3, 1, tzinfo=UTC)]
        assert run.event is not None
        assert run.event.ts == run.created_at_ms == NOON.timestamp() * 1000
        assert run.ended_at_ms == datetime(2030, 3, 1, tzinfo=UTC).timestamp() * 1000


def test_advance_comes_by_each_timer_at_its_own_time(app: dq.App, world: World) -> None:
    with TestEnv(app, now=NOON) as env:
        env.send("reminders/wanted", {"days": 10})
        env.run_until_idle()
        env.send("order/created")
        env.advance("7d")
        assert world.done == ["charge 100", "ship", "mail", *(f"day {day}" for day in range(7))]
        ends = [step.ended_at_ms for step in env.run_of("reminders").steps if step.id == "night"]
        assert ends[:7] == [(NOON + timedelta(days=day)).timestamp() * 1000 for day in range(1, 8)]


def test_retries_come_at_the_delays_that_are_declared_without_jitter(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.send("flaky/wanted", {"until": 2})
        env.run_until_idle()
        assert env.step("ask").status == "retrying"
        env.advance("9m59s")
        assert world.done == ["ask 0"]
        env.advance("1s")
        assert world.done == ["ask 0", "ask 1"]
        env.advance("10m")
        assert env.step("ask").result == "answer"
        assert env.step("ask").calls == 3


def test_a_retry_of_code_between_steps_waits_as_well() -> None:
    app = dq.App("between")
    attempts = []

    @app.function("fail", triggers=[dq.EventTrigger("go")], retries=1)
    async def fail(ctx: dq.Context) -> None:
        attempts.append(ctx.attempt)
        raise ConnectionError("no")

    with TestEnv(app) as env:
        env.send("go")
        env.run_until_idle()
        assert (attempts, env.only_run.status) == ([0], "waiting")
        env.advance("15s")
        assert (attempts, env.only_run.status) == ([0, 1], "failed")
        error = env.only_run.error
        assert error is not None
        assert (error.name, error.message) == ("ConnectionError", "no")


def test_an_event_of_the_future_starts_its_run_then(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.send(dq.Event("order/created", ts=env.now + timedelta(days=2)))
        env.run_until_idle()
        assert (env.only_run.status, world.done) == ("waiting", [])
        env.advance("2d")
        assert world.done == ["charge 100"]


def test_ids_are_deduplicated_for_a_day_of_virtual_time(app: dq.App) -> None:
    with TestEnv(app) as env:
        for after in ("0s", "23h", "2h"):
            env.advance(after)
            env.send(dq.Event("order/created", id="same"))
        env.run_until_idle()
        assert len(env.runs_of("order")) == 2


def test_run_to_end_stops_when_the_last_run_has_ended(app: dq.App) -> None:
    with TestEnv(app, now=NOON) as env:
        env.send("reminders/wanted", {"days": 30})
        env.run_to_end()
        assert env.now == NOON + timedelta(days=30)
        assert env.only_run.result == 30
        env.run_to_end()
        assert env.now == NOON + timedelta(days=30)


def test_run_to_end_tells_who_is_not_done_in_time(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.send("reminders/wanted", {"days": 30})
        with pytest.raises(EnvFailure, match=r"shop/reminders .* \(waiting\)"):
            env.run_to_end(at_most="29d")
        assert env.step("remind").calls == 29


def test_with_a_start_of_its_own_a_test_has_the_same_ids_and_chance_each_time() -> None:
    app = dq.App("chance")

    @app.function("draw", triggers=[dq.EventTrigger("draw")])
    async def draw(ctx: dq.Context) -> list[str]:
        return [str(ctx.random.random()), str(ctx.uuid4())]

    def drawn() -> tuple[str, list[str]]:
        with TestEnv(app, now=NOON) as env:
            env.send("draw")
            env.run_until_idle()
            return env.only_run.id, env.only_run.result

    assert drawn() == drawn()


@pytest.mark.parametrize("now", ["2030-01-31T12:00:00+00:00", NOON.timestamp(), NOON])
def test_the_start_is_a_time_in_any_form(app: dq.App, now: str | float | datetime) -> None:
    with TestEnv(app, now=now) as env:
        assert env.now == NOON


def test_a_month_of_sleep_takes_no_time(app: dq.App) -> None:
    app = dq.App("month")

    @app.function("sleep", triggers=[dq.EventTrigger("sleep")])
    async def sleep(ctx: dq.Context) -> None:
        await ctx.step.sleep("month", "30d")

    def processor_s() -> float:
        with TestEnv(app) as env:
            env.send("sleep")
            began = time.process_time()
            env.run_until_idle()
            env.advance("30d")
            took = time.process_time() - began
            assert env.only_run.status == "completed"
            return took

    assert min(processor_s() for _ in range(5)) < 0.05


def test_an_environment_is_made_quickly(app: dq.App) -> None:
    def processor_s() -> float:
        began = time.process_time()
        with TestEnv(app):
            return time.process_time() - began

    assert min(processor_s() for _ in range(5)) < 0.02
