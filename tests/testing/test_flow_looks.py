"""`env.flow`: what is parked, held back and left out, as tests see it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import durableq as dq
from durableq.testing import TestEnv
from durableq.words.errors import ConfigError

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
USER = "event.data.user"

app = dq.App("shop")


@app.function("mail", triggers=[dq.EventTrigger("signup")], concurrency=dq.Concurrency(1, key=USER, hold="run"))
async def mail(ctx: dq.Context) -> None:
    await ctx.step.sleep("nap", "1h")


@app.function("alert", triggers=[dq.EventTrigger("alarm")], rate_limit=dq.RateLimit(1, period="1h", key=USER))
def alert(ctx: dq.SyncContext) -> None:
    """Nothing but a start."""


@app.function("index", triggers=[dq.EventTrigger("edited")], debounce=dq.Debounce("10s", key="event.data.doc"))
async def index(ctx: dq.Context) -> None:
    """Nothing but a start."""


@app.function("sync", triggers=[dq.EventTrigger("changed")], throttle=dq.Throttle(1, period="1m"))
async def sync(ctx: dq.Context) -> None:
    """Nothing but a start."""


def test_a_parked_run_says_for_whose_slot_it_waits() -> None:
    with TestEnv(app, now=NOON.isoformat()) as env:
        for user in ("ada", "ada", "bob"):
            env.send("signup", {"user": user})
        env.run_until_idle()
        first, second, _ = env.runs
        (parked,) = env.flow.parked
        assert parked.id == second.id
        assert parked.held_up is not None
        assert (parked.held_up.reason, parked.held_up.key, parked.held_up.limit) == ("concurrency", "ada", 1)
        assert [holder.run for holder in parked.held_up.holders] == [first.id]
        assert env.run(second.id).held_up == parked.held_up
        assert [(key.key, key.taken, key.parked) for key in env.flow.of(mail).limits] == [("ada", 1, 1), ("bob", 1, 0)]
        env.run_to_end()
        assert (env.flow.parked, env.flow.limits) == ([], [])


def test_a_throttled_run_says_when_its_turn_is() -> None:
    with TestEnv(app, now=NOON.isoformat()) as env:
        env.send("changed", {})
        env.send("changed", {})
        env.run_until_idle()
        (parked,) = env.flow.of("sync").parked
        assert parked.held_up is not None
        assert parked.held_up.reason == "throttle"
        assert NOON_MS + 59_000 < parked.held_up.opens_at_ms < NOON_MS + 61_000
        assert env.flow.of("mail").parked == []
        env.advance("61s")
        assert env.flow.parked == []


def test_what_was_left_out_is_listed_oldest_first_with_reason_and_key() -> None:
    with TestEnv(app) as env:
        for number, user in enumerate(("ada", "ada", "bob", "bob")):
            env.send(dq.Event("alarm", {"user": user}, id=f"alarm-{number}"))
        env.run_until_idle()
        assert [(skip.function, skip.event_id, skip.reason, skip.key) for skip in env.flow.skips] == [
            ("shop/alert", "alarm-1", "rate_limit", "ada"),
            ("shop/alert", "alarm-3", "rate_limit", "bob"),
        ]
        assert env.flow.of(index).skips == []


async def test_what_is_held_back_says_when_it_fires() -> None:
    async with TestEnv(app, now=NOON.isoformat()) as env:
        await env.send("edited", {"doc": "a b"})
        await env.send("edited", {"doc": "a b"})
        await env.run_until_idle()
        (held,) = env.flow.held_back
        assert (held.function, held.kind, held.key, held.events) == ("shop/index", "debounce", "a b", 1)
        assert 9_000 < held.fires_at_ms - NOON_MS < 11_000
        assert [skip.reason for skip in env.flow.skips] == ["debounce"]
        await env.advance("10s")
        assert env.flow.held_back == []
        assert env.run_of("index").id == held.run


def test_a_function_that_is_not_there_is_refused() -> None:
    with TestEnv(app) as env, pytest.raises(ConfigError, match="'male' names no one function"):
        env.flow.of("male")


def test_what_is_no_function_is_refused() -> None:
    with TestEnv(app) as env, pytest.raises(ConfigError, match="a function or its id is meant, not NoneType: None"):
        env.flow.of(None)  # type: ignore[arg-type]
