"""What a test can ask afterwards."""

from __future__ import annotations

import pytest

import durableq as dq
from durableq.testing import EnvFailure, NobodyListens, TestEnv


def test_events_are_seen_whoever_sent_them(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.send("order/created", {"cents": 3})
        env.run_to_end()
        assert [event.name for event in env.events] == ["order/created", "order/shipped"]
        (shipped,) = env.events_of("order/shipped")
        assert shipped.data == {"what": "paid 3, shipped"}


def test_a_step_of_several_runs_is_counted_together_and_asked_for_one_by_one(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.send([dq.Event("order/created", {"cents": n}) for n in (1, 2)])
        env.run_until_idle()
        charge = env.step("charge")
        assert (charge.calls, charge.results) == (2, ["paid 1", "paid 2"])
        with pytest.raises(EnvFailure, match=r"recorded 2 times in 2 runs: name one, env.step\('charge', run=…\)"):
            charge.result
        first, second = env.runs
        assert env.step("charge", run=first).result == "paid 1"
        assert env.step("charge", run=second.id).calls == 1


def test_an_id_that_a_run_uses_again_has_a_result_for_each_time(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.send("reminders/wanted", {"days": 3})
        env.run_to_end()
        assert env.step("remind").results == [0, 1, 2]
        with pytest.raises(EnvFailure, match="recorded 3 times in one run, or take"):
            env.step("remind").error


def test_a_sleep_is_a_step_without_a_body(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.send("order/created")
        env.run_until_idle()
        grace = env.step("grace")
        assert (grace.calls, grace.status) == (0, "sleeping")
        with pytest.raises(EnvFailure, match="no result: it is sleeping"):
            grace.result


def test_a_step_that_failed_says_so_where_its_result_is_asked_for(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.stub_step("charge", raises=dq.NonRetriableError("no money"))
        env.send("order/created")
        env.run_until_idle()
        charge = env.step("charge")
        assert charge.status == "failed"
        assert [error.message for error in charge.errors] == ["no money"]
        with pytest.raises(EnvFailure, match="it is failed, with NonRetriableError: no money"):
            charge.result


def test_an_id_that_was_not_seen_is_answered_with_those_that_were(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.send("order/created")
        env.run_until_idle()
        with pytest.raises(EnvFailure, match="no step 'chrge' was seen; there are: 'charge', 'grace'"):
            env.step("chrge")
        assert "ship" not in env.steps
        assert env.steps == ["charge", "grace"]


def test_the_only_run_is_not_one_of_several(app: dq.App) -> None:
    with TestEnv(app) as env:
        with pytest.raises(EnvFailure, match="not one run but 0"):
            env.only_run
        env.send([dq.Event("order/created")] * 2)
        env.run_until_idle()
        with pytest.raises(EnvFailure, match=r"not one run but 2: shop/order \(waiting\)"):
            env.only_run
        with pytest.raises(EnvFailure, match="not one run of shop/order but 2"):
            env.run_of("order")
        assert env.runs_of("tell") == []


def test_no_run_at_all_is_told_with_what_was_forgotten(app: dq.App) -> None:
    with TestEnv(app) as env:
        with pytest.raises(EnvFailure, match="no event was accepted; was one sent"):
            env.only_run
        with pytest.warns(NobodyListens):
            env.send("order/creatd")
        with pytest.raises(EnvFailure, match="no function is triggered by 'order/creatd'"):
            env.only_run
        env.send("order/created")
        with pytest.raises(EnvFailure, match=r"nothing was executed yet: call run_until_idle\(\) first"):
            env.only_run
        env.run_until_idle()
        with pytest.raises(EnvFailure, match="not one run of shop/tell but 0: the runs are of shop/order"):
            env.run_of("tell")


def test_functions_are_named_in_any_way_and_an_unknown_one_is_an_error(app: dq.App) -> None:
    with TestEnv(app) as env:
        env.send("order/created")
        env.run_until_idle()
        assert env.runs_of("order") == env.runs_of("shop/order") == env.runs_of(app.functions["order"]) == env.runs
        with pytest.raises(
            dq.ConfigError, match="'odrer' names no one function of this environment; did you mean 'order'"
        ):
            env.runs_of("odrer")


def test_a_run_that_is_not_there_is_an_error(app: dq.App) -> None:
    with TestEnv(app) as env, pytest.raises(dq.RunNotFound, match="no run 'x'"):
        env.step("charge", run="x")


async def test_looking_needs_no_await_inside_a_loop(app: dq.App) -> None:
    async with TestEnv(app) as env:
        assert env.runs == []
        await env.send("order/created")
        assert [event.name for event in env.events] == ["order/created"]
        await env.run_until_idle()
        assert env.only_run.status == "waiting"
        assert env.step("charge").result == "paid 100"
