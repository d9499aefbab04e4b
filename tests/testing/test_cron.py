"""Ticks of cron triggers on the virtual clock."""

from __future__ import annotations

import durableq as dq
from durableq.testing import TestEnv
from tests.testing.shop import World


def paper(world: World) -> dq.App:
    app = dq.App("paper")

    @app.function("print", triggers=[dq.CronTrigger("0 9 * * *", timezone="Europe/Paris")])
    async def print_it(ctx: dq.Context) -> str:
        await ctx.step.run("print", world.does, "print")
        return f"{ctx.now():%d %H:%M}"

    @app.function("look", triggers=[dq.CronTrigger("*/30 * * * *"), dq.EventTrigger("look")])
    async def look(ctx: dq.Context) -> None:
        await ctx.step.sleep("long", "45m")
        world.does("look")

    return app


def test_ticks_come_at_their_times_also_when_the_clocks_change(world: World) -> None:
    with TestEnv(paper(world), now="2030-03-30T00:00:00+00:00") as env:
        env.run_until_idle()
        assert env.runs == []
        env.advance("3d")
        assert [run.result for run in env.runs_of("print")] == ["30 08:00", "31 07:00", "01 07:00"]
        first = env.runs_of("print")[0]
        assert first.event is not None
        assert first.event.name == "durableq/cron.tick"
        assert first.event.data["scheduled_at"] == "2030-03-30T09:00:00+01:00"


def test_a_tick_is_performed_after_a_crash_and_no_step_twice(world: World) -> None:
    with TestEnv(paper(world), now="2030-03-30T00:00:00+00:00") as env:
        env.crash_worker(after_step="print")
        env.advance("8h")
        assert env.run_of("print").status == "completed"
    assert world.done.count("print") == 1


def test_a_month_of_ticks_each_once(world: World) -> None:
    app = dq.App("daily")

    @app.function("day", triggers=[dq.CronTrigger("0 9 * * *"), dq.CronTrigger("0 21 * * 0")])
    async def day(ctx: dq.Context) -> str:
        return f"{ctx.now():%d %H}"

    with TestEnv(app, now="2030-06-01T00:00:00+00:00") as env:
        env.advance("30d")
        mornings = [f"{day:02} 09" for day in range(1, 31)]
        sundays = [f"{day:02} 21" for day in (2, 9, 16, 23, 30)]
        assert [run.result for run in env.runs] == sorted([*mornings, *sundays])


def test_running_to_the_end_does_not_wait_for_what_ticks_start_meanwhile(world: World) -> None:
    with TestEnv(paper(world), now="2030-06-01T00:01:00+00:00") as env:
        env.send("look")
        env.run_to_end()
        assert f"{env.now:%H:%M}" == "00:46"
        asked, ticked = env.runs_of("look")
        assert (asked.status, ticked.status) == ("completed", "waiting")
