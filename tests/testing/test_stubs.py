"""Replacing the bodies of steps."""

from __future__ import annotations

import pytest

import durableq as dq
from durableq.testing import EnvFailure, TestEnv
from tests.testing.shop import BankAway, World


def test_a_stub_returns_in_place_of_the_body(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.stub_step("charge", returns="stubbed")
        env.send("order/created")
        env.run_to_end()
        assert env.run_of("order").result == "stubbed, shipped"
        assert env.step("charge").calls == 1
    assert "charge 100" not in world.done


def test_none_is_a_value_to_return(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.stub_step("charge", returns=None)
        env.send("order/created")
        env.run_until_idle()
        assert env.step("charge").result is None


@pytest.mark.parametrize("error", [BankAway, BankAway("closed on Sundays")])
def test_a_stub_raises_at_each_attempt(app: dq.App, error: type[Exception] | Exception) -> None:
    with TestEnv(app) as env:
        env.stub_step("ask", raises=error)
        env.send("flaky/wanted", {"until": 0})
        env.run_to_end()
        assert env.step("ask").calls == 4
        assert env.only_run.status == "failed"
        failed = env.step("ask").error
        assert failed is not None
        assert failed.name == "BankAway"


def test_a_stub_for_some_attempts_makes_way_for_the_body(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.stub_step("ask", raises=BankAway, times=2)
        env.send("flaky/wanted", {"until": 0})
        env.run_to_end()
        assert (env.step("ask").calls, env.step("ask").result) == (3, "answer")
    assert world.done == ["ask 2"]


def test_the_newest_stub_comes_first(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.stub_step("ask", returns="then this")
        env.stub_step("ask", raises=BankAway, times=1)
        env.send("flaky/wanted", {"until": 0})
        env.run_to_end()
        assert (env.step("ask").calls, env.step("ask").result) == (2, "then this")


def test_a_callable_is_given_the_arguments_of_the_body(app: dq.App) -> None:
    async def fake_ship(payment: str) -> str:
        return f"{payment}, carried"

    with TestEnv(app) as env:
        env.stub_step("charge", lambda cents: f"{cents} taken")
        env.stub_step("ship", fake_ship)
        env.send("order/created", {"cents": 7})
        env.run_to_end()
        assert env.run_of("order").result == "7 taken, carried"


def test_def_functions_have_stubs_too(app: dq.App, world: World) -> None:
    with TestEnv(app) as env:
        env.stub_step("first", returns="one")
        env.stub_step("second", lambda what, gives: f"{what} {gives}")
        env.send("report/requested")
        env.run_to_end()
        assert env.only_run.result == ["one", "second 2"]
    assert world.done == ["print"]


def test_a_stub_keeps_an_event_from_being_sent(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.stub_step("announce", returns=[])
        env.send("order/created")
        env.run_to_end()
        assert env.only_run.status == "completed"
        assert env.events_of("order/shipped") == []


def test_what_a_stub_returns_is_checked_like_any_result(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.stub_step("charge", returns=object())
        env.send("order/created")
        env.run_until_idle()
        assert env.only_run.status == "failed"


def test_a_stub_that_nobody_asks_for_fails_the_test(app: dq.App) -> None:
    env = TestEnv(app).__enter__()
    env.stub_step("chrge", returns="x")
    env.send("order/created")
    env.run_until_idle()
    with pytest.raises(EnvFailure, match=r"stub_step\('chrge'\) was never used\. Steps whose bodies began: 'charge'"):
        env.__exit__(None, None, None)


def test_an_error_of_the_test_is_not_hidden_behind_an_unused_stub(app: dq.App) -> None:
    def fails() -> None:
        with TestEnv(app) as env:
            env.stub_step("chrge", returns="x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "not none of them"),
        ({"returns": 1, "raises": BankAway}, "not returns and raises"),
        ({"raises": "BankAway"}, "raises must be an exception or its class, not 'BankAway'"),
        ({"returns": 1, "times": 0}, "times must be 1 or more, not 0"),
    ],
)
def test_a_stub_that_cannot_be_is_refused(app: dq.App, arguments: dict[str, object], message: str) -> None:
    with TestEnv(app) as env, pytest.raises(dq.ConfigError, match=message):
        env.stub_step("charge", **arguments)


def test_a_value_in_the_place_of_a_callable_is_refused(app: dq.App) -> None:
    with TestEnv(app) as env, pytest.raises(dq.ConfigError, match="write returns='paid' for a value"):
        env.stub_step("charge", "paid")
