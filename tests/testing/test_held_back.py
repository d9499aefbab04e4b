"""What is debounced or collected belongs to the end that a test lets come."""

from __future__ import annotations

import pytest

import durableq as dq
from durableq.testing import EnvFailure, TestEnv


def _app(*triggers: dq.CronTrigger, **flow: object) -> dq.App:
    app = dq.App("held")

    @app.function("last", triggers=[dq.EventTrigger("page/saved")], **flow)  # type: ignore[arg-type]
    async def last(ctx: dq.Context) -> int:
        return len(ctx.events)

    @app.function("save", triggers=[dq.EventTrigger("save"), *triggers])
    async def save(ctx: dq.Context) -> None:
        await ctx.step.sleep("a-while", "1s")
        await ctx.step.send_event("tell", dq.Event("page/saved", {}))

    return app


@pytest.mark.parametrize("flow", [{"debounce": dq.Debounce("1h")}, {"batch": dq.Batch(5, timeout="1h")}], ids=str)
def test_it_is_waited_for_also_if_a_run_on_the_way_has_sent_it(flow: dict[str, object]) -> None:
    with TestEnv(_app(**flow)) as env:
        env.send("save")
        env.run_to_end()
        assert env.run_of("last").result == 1


def test_what_ticks_keep_holding_back_is_not_waited_for() -> None:
    app = _app(dq.CronTrigger("* * * * *"), debounce=dq.Debounce("2m"))
    with TestEnv(app) as env:
        env.send("save")
        env.run_to_end()
        assert {run.status for run in env.runs_of("save")} == {"completed"}


def test_what_is_held_back_for_longer_than_at_most_is_named() -> None:
    with TestEnv(_app(debounce=dq.Debounce("2h"))) as env:
        env.send("page/saved")
        with pytest.raises(EnvFailure, match=r"held/last \(a debounce\)"):
            env.run_to_end(at_most="1h")
