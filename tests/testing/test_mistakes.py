"""What a test can do wrong, and what it is told."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import durableq as dq
from durableq.testing import AsyncTestEnv, EnvError, EnvFailure, NobodyListens, TestEnv


def test_an_app_without_functions() -> None:
    with pytest.raises(dq.ConfigError, match=r"app 'empty' has no functions\. Import the modules that declare them"):
        TestEnv(dq.App("empty"))


def test_no_app_at_all() -> None:
    with pytest.raises(dq.ConfigError, match=r"TestEnv\(app\)"):
        TestEnv()


def test_something_else_for_an_app() -> None:
    with pytest.raises(dq.ConfigError, match="takes an App, not 'shop:app'"):
        TestEnv("shop:app")  # type: ignore[arg-type]


def test_the_same_app_id_twice(app: dq.App) -> None:
    with pytest.raises(dq.ConfigError, match="two apps of one id: shop, shop"):
        TestEnv(app, app)


def test_apps_that_would_never_meet() -> None:
    apps = [dq.App(name, namespace=name) for name in ("a", "b")]
    for one in apps:
        one.function("f", triggers=[dq.EventTrigger("x")])(lambda ctx: None)
    with pytest.raises(dq.ConfigError, match="different namespaces never meet: a, b"):
        TestEnv(*apps)


@pytest.mark.parametrize("now", ["soon", "2030-01-01T00:00:00", "1970-01-01T00:00:00+00:00", True])
def test_a_start_that_is_no_time(app: dq.App, now: object) -> None:
    with pytest.raises(dq.ConfigError, match="TestEnv now"):
        TestEnv(app, now=now)  # type: ignore[arg-type]


def test_an_event_that_nobody_listens_to_is_a_warning_that_names_what_was_meant(app: dq.App) -> None:
    with TestEnv(app) as env, pytest.warns(NobodyListens, match="'order/craeted': was 'order/created' meant") as warned:
        assert len(env.send("order/craeted")) == 1
    assert warned[0].filename == __file__


async def test_the_warning_names_the_line_in_async_tests_too(app: dq.App) -> None:
    async with TestEnv(app) as env:
        with pytest.warns(NobodyListens) as warned:
            await env.send("nobody/knows")
    assert warned[0].filename == __file__


def test_a_strict_environment_makes_a_failure_of_it_and_sends_nothing(app: dq.App) -> None:
    with TestEnv(app, strict=True) as env:
        with pytest.raises(EnvFailure, match="nothing listens to event 'order/craeted'"):
            env.send([dq.Event("order/created"), dq.Event("order/craeted")])
        assert env.events == []


def test_an_event_of_a_function_that_nobody_listens_to_is_none_of_the_tests_business() -> None:
    app = dq.App("quiet")

    @app.function("f", triggers=[dq.EventTrigger("go")])
    async def f(ctx: dq.Context) -> None:
        await ctx.step.send_event("tell", dq.Event("gone"))

    with TestEnv(app, strict=True) as env:
        env.send("go")
        env.run_until_idle()
        assert len(env.events_of("gone")) == 1


def test_data_beside_an_event(app: dq.App) -> None:
    with TestEnv(app) as env, pytest.raises(dq.ConfigError, match="an Event has its own"):
        env.send(dq.Event("order/created"), {"cents": 1})


@pytest.mark.parametrize("duration", ["-1h", -1, "tomorrow", "200000d", None])
def test_time_that_cannot_pass(app: dq.App, duration: object) -> None:
    with TestEnv(app) as env:
        before = env.now
        with pytest.raises(dq.ConfigError, match="advance"):
            env.advance(duration)  # type: ignore[arg-type]
        assert env.now == before


def test_an_environment_that_has_ended(app: dq.App) -> None:
    with TestEnv(app) as env:
        pass
    for use in (
        env.run_until_idle,
        lambda: env.send("order/created"),
        lambda: env.runs,
        lambda: env.stub_step("a", returns=1),
    ):
        with pytest.raises(EnvError, match="has ended"):
            use()
    with pytest.raises(EnvError, match="has ended"), env:
        pass


async def test_an_environment_that_cannot_be_opened_leaves_the_app_alone(
    app: dq.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: object) -> None:
        raise RuntimeError("no Lua today")

    monkeypatch.setattr("durableq.testing.server.MemoryServer.open", refuse)
    with pytest.raises(RuntimeError, match="no Lua today"):
        await TestEnv(app).__aenter__()
    await asyncio.to_thread(_refused, app)
    assert app.client._connections.doors == []


def _refused(app: dq.App) -> None:
    with pytest.raises(RuntimeError, match="no Lua today"):
        TestEnv(app).__enter__()


def test_an_environment_that_was_not_entered(app: dq.App) -> None:
    env = TestEnv(app)
    with pytest.raises(EnvError, match="has not begun: write `with TestEnv"):
        env.send("order/created")
    with pytest.raises(EnvError, match="has not begun"):
        env.runs


def test_an_environment_entered_twice(app: dq.App) -> None:
    with TestEnv(app) as env, pytest.raises(EnvError, match="has begun already"), env:
        pass


async def test_the_blocking_form_in_a_running_loop_names_the_other(app: dq.App) -> None:
    with pytest.raises(dq.SyncInLoop, match="async with TestEnv"), TestEnv(app):
        pass


def test_a_blocking_verb_in_a_running_loop_names_the_other(app: dq.App) -> None:
    with TestEnv(app) as env:

        async def wrong() -> None:
            env.send("order/created")

        with pytest.raises(dq.SyncInLoop, match=r"await env.send\(…\)"):
            asyncio.run(wrong())


def test_an_awaited_environment_in_another_loop(app: dq.App) -> None:
    kept: list[AsyncTestEnv] = []

    async def keep() -> None:
        kept.append(await TestEnv(app).__aenter__())

    async def use() -> None:
        await kept[0].run_until_idle()

    asyncio.run(keep())
    with pytest.raises(EnvError, match="another event loop"):
        asyncio.run(use())


def test_code_that_waits_for_nothing_durable_is_named_when_patience_is_over(app: dq.App) -> None:
    with TestEnv(app, patience="200ms") as env:
        env.send("stuck/wanted")
        with pytest.raises(
            EnvFailure, match=r"shop/stuck \w+ \(last step begun: 'wait-for-ever'\): executing for 0.2 s"
        ):
            env.run_until_idle()


async def test_the_same_in_an_async_test(app: dq.App) -> None:
    async with TestEnv(app, patience="200ms") as env:
        await env.send("stuck/wanted")
        with pytest.raises(EnvFailure, match="shop/stuck"):
            await env.run_until_idle()


def test_functions_that_start_each_other_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durableq.testing.stage.TURNS_MAX", 20)
    app = dq.App("ring")

    @app.function("f", triggers=[dq.EventTrigger("again")])
    async def f(ctx: dq.Context) -> None:
        await ctx.step.send_event("again", dq.Event("again"))

    with TestEnv(app) as env:
        env.send("again")
        with pytest.raises(EnvFailure, match=r"20 turns of runs were executed at .* Do functions start each other"):
            env.run_until_idle()


@pytest.mark.parametrize("missing", ["fakeredis", "lupa"])
def test_without_fakeredis_the_extra_is_named(missing: str) -> None:
    code = f"import sys; sys.modules['{missing}'] = None; from durableq.testing import TestEnv"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert 'pip install "durableq[testing]"' in done.stderr.splitlines()[-1]


def test_a_name_that_is_not_there() -> None:
    import durableq.testing

    for name in durableq.testing.__all__:
        assert getattr(durableq.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Env'"):
        durableq.testing.Env
    assert set(durableq.testing.__all__) <= set(dir(durableq.testing))
