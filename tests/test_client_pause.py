"""Pausing functions, and letting them go on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import durableq as dq
from durableq.testing import TestEnv


def shop(executed: list[Any]) -> dq.App:
    app = dq.App("shop")

    @app.function("pays", triggers=[dq.EventTrigger("order/created")])
    async def pays(ctx: dq.Context) -> Any:
        executed.append(ctx.event.data["n"])
        await ctx.step.sleep("nap", "1h")
        return ctx.event.data["n"]

    @app.function("ships", triggers=[dq.EventTrigger("order/created"), dq.CronTrigger("0 * * * *")])
    def ships(ctx: dq.SyncContext) -> None:
        executed.append("ships")

    return app


async def test_what_is_triggered_meanwhile_waits_and_others_do_not() -> None:
    executed: list[Any] = []
    app = shop(executed)
    async with TestEnv(app) as env:
        assert await app.client.pause("shop/pays") is True
        await env.send("order/created", {"n": 1})
        await env.run_until_idle()
        assert executed == ["ships"]
        (view,) = [view for view in await app.client.functions() if view.id == "shop/pays"]
        assert (view.paused, view.queued) == ("wait", 1)
        assert view.paused_at_ms > 0
        assert await app.client.resume("shop/pays") is True
        await env.run_until_idle()
        assert executed == ["ships", 1]


async def test_what_sleeps_stays_queued_when_it_wakes() -> None:
    executed: list[Any] = []
    app = shop(executed)
    async with TestEnv(app) as env:
        await env.send("order/created", {"n": 1})
        await env.run_until_idle()
        await app.client.pause("shop/pays")
        await env.advance("2h")
        (run,) = await app.client.runs.list(function="shop/pays")
        assert run.status == "queued"
        await app.client.resume("shop/pays")
        await env.run_until_idle()
        assert (await app.client.runs.get(run.id)).result == 1


@pytest.mark.parametrize(("new", "left"), [("wait", 3), ("skip", 0)])
async def test_ticks_wait_or_are_skipped(new: Any, left: int) -> None:
    executed: list[Any] = []
    app = shop(executed)
    async with TestEnv(app, now="2026-01-01T00:30:00+00:00") as env:
        await app.client.pause("shop/ships", new=new)
        await env.advance("3h")
        assert executed == []
        await app.client.resume("shop/ships")
        await env.run_until_idle()
        assert executed == ["ships"] * left
        await env.advance("1h")
        assert executed == ["ships"] * (left + 1)


async def test_what_is_invoked_while_new_ones_are_skipped_says_so() -> None:
    app = shop([])
    async with TestEnv(app) as env:
        await app.client.pause("shop/pays", new="skip")
        with pytest.raises(dq.RunSkipped, match="paused"):
            await app.invoke("pays", data={"n": 1})
        await env.send("order/created", {"n": 1})
        await env.run_until_idle()
        assert await app.client.runs.list(function="shop/pays") == []


async def test_each_call_says_whether_it_changed_something() -> None:
    app = shop([])
    async with TestEnv(app):
        client, pays = app.client, app.functions["pays"]
        assert await client.resume(pays) is False
        assert await client.pause(pays) is True
        assert await client.pause("shop/pays", new="wait") is False
        assert await client.pause(pays, new="skip") is True
        assert [view.paused for view in await client.functions()] == ["skip", ""]
        assert await client.resume(pays) is True
        assert await client.resume(pays) is False


async def test_an_unknown_function_is_answered_with_the_nearest() -> None:
    app = shop([])
    async with TestEnv(app):
        for verb in (app.client.pause, app.client.resume):
            with pytest.raises(dq.FunctionNotFound, match=r"no function 'shop/pay' .* was 'shop/pays' meant"):
                await verb("shop/pay")


@pytest.mark.parametrize(
    ("function", "new", "says"),
    [
        ("pays", "wait", "a client belongs to no app: write the function's full id"),
        (7, "wait", "pause takes a function or its id, not int: 7"),
        ("shop/Pays", "wait", "'pays' would do"),
        ("shop/pays", "later", r"pause new= must be 'wait' \(they are queued\) or 'skip' .*, not 'later'"),
    ],
)
async def test_what_cannot_be_paused_is_refused_before_anything_is_asked(function: Any, new: Any, says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        await dq.Client("redis://127.0.0.1:1").pause(function, new=new)


async def test_an_app_s_plain_code_names_its_functions_by_short_ids() -> None:
    app = shop([])
    async with TestEnv(app):
        assert await asyncio.to_thread(app.sync.pause, "pays")
        assert await asyncio.to_thread(app.sync.resume, "pays")
        with pytest.raises(dq.SyncInLoop, match=r"await client\.pause"):
            app.sync.pause("pays")


async def test_a_failure_handler_is_paused_by_its_own_id() -> None:
    app, handled = dq.App("shop"), []

    @app.function("pays", retries=0, triggers=[dq.EventTrigger("a")], on_failure=lambda ctx: handled.append(1))
    async def pays(ctx: dq.Context) -> None:
        raise dq.NonRetriableError("no")

    async with TestEnv(app) as env:
        assert await app.client.pause("shop/pays:on-failure")
        await env.send("a")
        await env.run_until_idle()
        assert handled == []
        await app.client.resume("shop/pays:on-failure")
        await env.run_until_idle()
        assert handled == [1]
