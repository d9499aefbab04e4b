"""Limits, functions and queued runs as the client reads them: what a dashboard is built from."""

from __future__ import annotations

import pytest

import durableq as dq
from durableq.services.flow_views import LimitView
from durableq.testing import TestEnv
from durableq.words.errors import ConfigError, FunctionNotFound

USER = "event.data.user"


def shop() -> dq.App:
    app = dq.App("shop")

    @app.function("pays", triggers=[dq.EventTrigger("pay")], concurrency=dq.Concurrency(1, key=USER, hold="run"))
    async def pays(ctx: dq.Context) -> None:
        await ctx.step.sleep("nap", "1h")

    @app.function("mails", triggers=[dq.EventTrigger("mail")], rate_limit=dq.RateLimit(1, period="1h", key=USER))
    def mails(ctx: dq.SyncContext) -> None:
        """Nothing but a start."""

    return app


def summed(keys: tuple[LimitView, ...]) -> list[tuple[str, str | None, int, int]]:
    return [(key.kind, key.key, key.taken, key.parked) for key in keys]


async def test_a_client_lists_keys_by_pressure_of_all_of_an_app_or_of_a_function() -> None:
    app = shop()
    async with TestEnv(app) as env:
        for user in ("ada", "bob", "bob", "bob"):
            await env.send("pay", {"user": user})
        await env.send("mail", {"user": "eve"})
        await env.send("mail", {"user": "eve"})
        await env.run_until_idle()
        every = [("concurrency", "bob", 1, 2), ("rate_limit", "eve", 1, 0), ("concurrency", "ada", 1, 0)]
        client = app.client
        assert sorted(summed((await client.limits()).keys)) == sorted(every)
        assert summed((await client.limits()).keys)[0] == every[0]
        assert summed((await client.limits(function="shop/mails")).keys) == [every[1]]
        assert summed((await client.limits(app="shop")).keys)[0] == every[0]
        with pytest.raises(ConfigError, match=r"no function of an app 'shpo' is registered.*: there are shop"):
            await client.limits(app="shpo")
        first = await client.limits(limit=1)
        assert (summed(first.keys), first.more, first.parked) == (every[:1], 2, 2)
        with pytest.raises(FunctionNotFound, match="was 'shop/mails' meant"):
            await client.limits(function="shop/mail")
        with pytest.raises(ConfigError, match="limit must be 1 to 1000, not 0"):
            await client.limits(limit=0)


async def test_a_client_reads_one_function_with_what_it_left_out() -> None:
    app = shop()
    async with TestEnv(app) as env:
        await env.send(dq.Event("mail", {"user": "eve"}, id="one"))
        await env.send(dq.Event("mail", {"user": "eve"}, id="two"))
        await env.run_until_idle()
        view = await app.client.function("shop/mails")
        assert (view.function.id, view.function.completed, view.skipped) == ("shop/mails", 1, {"rate_limit": 1})
        assert [(skip.event_id, skip.key) for skip in view.skips] == [("two", "eve")]
        assert [(option.option, option.now, option.key) for option in view.options] == [
            ("rate_limit", "1 per 1h", USER)
        ]
        assert (await app.client.function(app.functions["mails"])).skipped == view.skipped
        with pytest.raises(ConfigError, match="write the function's full id"):
            await app.client.function("mails")
        with pytest.raises(FunctionNotFound):
            await app.client.function("shop/nobody")


async def test_a_listed_run_says_what_holds_it_up() -> None:
    app = shop()
    async with TestEnv(app) as env:
        await env.send("pay", {"user": "ada"})
        await env.send("pay", {"user": "ada"})
        await env.run_until_idle()
        (queued,) = await app.client.runs.list(status="queued")
        assert queued.held_up is not None
        assert (queued.held_up.reason, queued.held_up.key, queued.held_up.holders) == ("concurrency", "ada", ())
        assert queued.held_up.taken is None, "nobody looked, so it is not said to be none"
        (waiting,) = await app.client.runs.list(status="waiting")
        assert waiting.held_up is None
        whole = await app.client.runs.get(queued.id)
        assert whole.held_up is not None
        assert [holder.run for holder in whole.held_up.holders] == [waiting.id]
        assert whole.held_up.taken == 1


def test_plain_code_reads_the_same() -> None:
    app = shop()
    with TestEnv(app) as env:
        env.send("pay", {"user": "ada"})
        env.send("pay", {"user": "ada"})
        env.run_until_idle()
        assert summed(app.sync.limits(function="shop/pays").keys) == [("concurrency", "ada", 1, 1)]
        assert app.sync.function("pays").limits.parked == 1
        assert summed(app.client.sync.limits().keys) == [("concurrency", "ada", 1, 1)]
