"""One thing done to all runs of a filter: counted, in hundreds, and again where it was cut off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import durableq as dq
from durableq.services.bulk import BulkReport
from durableq.testing import TestEnv

START = "2026-01-01T00:00:00+00:00"
Env = Any


class PaymentDeclined(Exception):
    """The card says no."""


class Cut(Exception):
    """Somebody has had enough."""


class CardExpired(PaymentDeclined):
    """A special case of it."""


class Shop:
    """Functions that end, wait and fail as their events say, at work in a test environment."""

    def __init__(self) -> None:
        self.app = dq.App("shop")
        self.executed: Counter[str] = Counter()
        self.mended = False

        @self.app.function("pays", retries=0, triggers=[dq.EventTrigger("pay")])
        async def pays(ctx: dq.Context) -> int:
            data = ctx.event.data
            self.executed[f"pays {data.get('n')}"] += 1
            n = await ctx.step.run("charge", self.charge, data.get("error"))
            await ctx.step.run("ship", self.ship, data.get("ship"))
            return n

        @self.app.function("naps", triggers=[dq.EventTrigger("nap")], concurrency=1)
        async def naps(ctx: dq.Context) -> None:
            await ctx.step.sleep("nap", ctx.event.data.get("for", "1d"))

        @self.app.function("parked", triggers=[dq.EventTrigger("park")], throttle=dq.Throttle(1, period="1d"))
        async def parked(ctx: dq.Context) -> None:
            self.executed["parked"] += 1

    def charge(self, error: str | None) -> int:
        self.executed["charge"] += 1
        if error and not self.mended:
            raise {"declined": PaymentDeclined, "expired": CardExpired}[error]("not today")
        return 1

    def ship(self, error: str | None) -> None:
        self.executed["ship"] += 1
        if error and not self.mended:
            raise LookupError("no lorry")

    @property
    def client(self) -> dq.Client:
        return self.app.client


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def env(shop: Shop) -> AsyncIterator[Env]:
    async with TestEnv(shop.app, now=START, concurrency=20) as env:
        yield env


async def sent(env: Env, name: str, *each: dict[str, Any]) -> None:
    await env.send([dq.Event(name, data) for data in each])
    await env.run_until_idle()


def counted(report: BulkReport) -> dict[str, int]:
    names = ("met", "done", "already", "gone", "skipped", "failed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


# ---- which runs


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"completed": 2, "failed": 3, "waiting": 1, "queued": 2}),
        ({"function": "shop/pays"}, {"completed": 1, "failed": 3}),
        ({"function": ["shop/pays", "shop/naps"]}, {"completed": 1, "failed": 3, "waiting": 1}),
        ({"app": "shop", "status": ["queued", "waiting"]}, {"waiting": 1, "queued": 2}),
        ({"app": "other"}, {}),
        ({"status": "failed"}, {"failed": 3}),
        ({"error": PaymentDeclined}, {"failed": 2}),
        ({"error": "PaymentDeclined"}, {"failed": 2}),
        ({"error": "CardExpired"}, {"failed": 1}),
        ({"error": "tests.test_client_bulk.CardExpired", "status": "failed"}, {"failed": 1}),
        ({"error": Exception}, {"failed": 3}),
        ({"where": "event.data.n >= 2"}, {"failed": 2}),
        ({"where": "run.error.message.contains('lorry')"}, {"failed": 1}),
        ({"where": "run.status == 'failed' && event.data.error == 'declined'"}, {"failed": 1}),
        ({"where": "run.app == 'shop' && run.function == 'shop/naps' && run.parent == null"}, {"waiting": 1}),
        ({"since": "30m"}, {"queued": 2, "completed": 1}),
        ({"until": "90m"}, {"completed": 1, "failed": 3, "waiting": 1}),
        ({"since": "2026-01-01T00:30:00+00:00"}, {"queued": 2, "completed": 1}),
        ({"until": datetime(2026, 1, 1, 0, 30, tzinfo=UTC)}, {"completed": 1, "failed": 3, "waiting": 1}),
        ({"since": timedelta(hours=3), "until": 3600 * 1.5}, {"completed": 1, "failed": 3, "waiting": 1}),
        ({"until": "30d"}, {}),
    ],
    ids=str,
)
async def test_a_filter_means_these_runs(shop: Shop, env: Env, given: Any, expected: dict[str, int]) -> None:
    await sent(env, "pay", {"n": 1}, {"n": 2, "error": "declined"}, {"n": 3, "error": "expired"}, {"ship": "no"})
    await sent(env, "nap", {})
    await env.advance("2h")
    await sent(env, "park", {}, {}, {})
    found = await shop.client.runs.count(dq.RunFilter(**given))
    assert dict(found.by_status) == expected
    assert found.total == sum(expected.values()) == sum(found.by_function.values())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"function": "pays"}, "function 'pays' must be a full id, app/function"),
        ({"function": []}, "must be a function or a list of them"),
        ({"function": [7]}, "must be a function or its id, not int: 7"),
        ({"app": "Shop"}, "'shop' would do"),
        ({"since": "2h", "until": "5h"}, "since '2h' is later than RunFilter until '5h'"),
        ({"since": "2026-11-22T10:00Z", "until": "2026-11-22T09:00Z"}, "is later than RunFilter until"),
        ({"status": "ended"}, "status must be one of queued, running, .* not 'ended'"),
        ({"status": []}, "status is empty"),
        ({"since": "yesterday"}, "since 'yesterday' is neither a duration, such as '2h', nor a time in ISO 8601"),
        ({"since": "2026-01-01"}, "has no time zone"),
        ({"since": -1}, "since must be"),
        ({"until": []}, "until must be a duration or a time, not list"),
        ({"error": 7}, "error must be an error's class or its name, not 7"),
        ({"error": "X", "status": ["failed", "queued"]}, "leave out status queued, or error"),
        ({"where": "event.data.n >"}, r"\n  event\.data\.n >\n +\^"),
        (
            {"where": "event.n > 1"},
            r"an event has no field 'n' here.*did you mean event\.data\.n\?\n  event\.n > 1\n +\^",
        ),
        ({"where": "event.data.n > 1 && event.n > 1"}, r"\n  event\.data\.n > 1 && event\.n > 1\n {28}\^"),
        ({"where": "run.state == 'x'"}, r"a run has no field 'state' here.*did you mean run\.status\?"),
        ({"where": "async.data.n"}, "async"),
        ({"where": 7}, "where must be an expression in a string, not int"),
    ],
    ids=str,
)
def test_a_filter_that_means_nothing_is_refused_when_it_is_made(given: Any, says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        dq.RunFilter(**given)


async def test_a_filter_that_names_no_function_that_there_is_says_which_is_near(shop: Shop, env: Env) -> None:
    with pytest.raises(dq.FunctionNotFound, match="was 'shop/pays' meant"):
        await shop.client.runs.count(dq.RunFilter(function="shop/pay"))


async def test_of_a_batch_any_event_will_do() -> None:
    app = dq.App("shop")

    @app.function("collects", triggers=[dq.EventTrigger("go")], batch=dq.Batch(2, timeout="1m"))
    async def collects(ctx: dq.Context) -> None: ...

    async with TestEnv(app) as env:
        await sent(env, "go", {"n": 1}, {"n": 2}, {"n": 3}, {"n": 4})
        for n, runs in ((1, 1), (2, 1), (5, 0)):
            found = await app.client.runs.count(dq.RunFilter(where=f"event.data.n == {n}"))
            assert found.total == runs


# ---- what is done to them


async def test_living_runs_are_cancelled_parked_and_waiting_ones_among_them(shop: Shop, env: Env) -> None:
    await sent(env, "nap", {}, {})
    await sent(env, "park", {}, {}, {})
    report = await shop.client.bulk.cancel(dq.RunFilter(app="shop"))
    assert counted(report) == {"met": 4, "done": 4}
    assert (report.operation, report.finished) == ("cancel", True)
    assert (await shop.client.runs.count(dq.RunFilter())).by_status == {"cancelled": 4, "completed": 1}
    await env.advance("3d")
    assert shop.executed["parked"] == 1


async def test_failed_runs_are_done_again_each_once(shop: Shop, env: Env) -> None:
    await sent(env, "pay", *({"n": n, "error": "declined"} for n in range(250)), {"n": 250})
    shop.mended = True
    seen: list[int] = []
    report = await shop.client.bulk.rerun(
        dq.RunFilter(function="shop/pays", status="failed"), on_progress=lambda report: seen.append(report.met)
    )
    await env.run_until_idle()
    assert counted(report) == {"met": 250, "done": 250}
    assert seen == [100, 200, 250, 250], "told after each hundred, and at the end"
    assert {n for n, times in shop.executed.items() if n.startswith("pays") and times != 2} == {"pays 250"}


async def test_failed_runs_go_on_from_where_they_failed(shop: Shop, env: Env) -> None:
    await sent(env, "pay", {"n": 1, "ship": "no"}, {"n": 2, "error": "declined"})
    assert (shop.executed["charge"], shop.executed["ship"]) == (2, 1)
    shop.mended = True
    report = await shop.client.bulk.resume(dq.RunFilter(app="shop"))
    await env.run_until_idle()
    assert counted(report) == {"met": 2, "done": 2}
    assert (shop.executed["charge"], shop.executed["ship"]) == (3, 3)
    assert (await shop.client.runs.count(dq.RunFilter())).by_status == {"completed": 2, "failed": 2}


async def test_a_bulk_that_is_done_again_under_its_id_starts_nothing_twice(shop: Shop, env: Env) -> None:
    """Not even the reruns that have failed meanwhile, which the filter would mean."""
    await sent(env, "pay", *({"n": n, "error": "declined"} for n in range(150)))
    failed = dq.RunFilter(status="failed")

    told: list[BulkReport] = []

    def cut(report: BulkReport) -> None:
        told.append(report)
        raise Cut

    with pytest.raises(Cut):
        await shop.client.bulk.rerun(failed, on_progress=cut)
    bulk_id = told[0].bulk_id
    await env.run_until_idle()
    assert (await shop.client.runs.count(failed)).total == 250
    report = await shop.client.bulk.rerun(failed, bulk_id=bulk_id)
    assert counted(report) == {"met": 150, "done": 50, "already": 100}
    await env.run_until_idle()
    assert {times for n, times in shop.executed.items() if n.startswith("pays")} == {2}
    newest = dq.RunFilter(status="failed", where="run.rerun_as == null")
    assert counted(await shop.client.bulk.rerun(newest)) == {"met": 150, "done": 150}
    assert counted(await shop.client.bulk.rerun(failed)) == {"met": 300, "done": 300}


async def test_what_is_triggered_after_it_began_is_not_meant(shop: Shop, env: Env) -> None:
    await sent(env, "nap", {})

    await env.advance("1s")
    bulk_id = (await shop.client.bulk.rerun(dq.RunFilter(app="shop"))).bulk_id
    await env.advance("1s")
    await sent(env, "pay", {"n": 1})
    assert counted(await shop.client.bulk.rerun(dq.RunFilter(app="shop"), bulk_id=bulk_id)) == {}


async def test_what_flow_control_leaves_out_is_counted_with_its_reason(shop: Shop, env: Env) -> None:
    await sent(env, "pay", {"n": 1}, {"n": 2})
    await shop.client.pause("shop/pays", new="skip")
    report = await shop.client.bulk.rerun(dq.RunFilter(app="shop"))
    assert counted(report) == {"met": 2, "skipped": 2}
    assert report.reasons == {"paused": 2}
    await shop.client.resume("shop/pays")
    assert counted(await shop.client.bulk.rerun(dq.RunFilter(app="shop"), bulk_id=report.bulk_id)) == {
        "met": 2,
        "done": 2,
    }


@pytest.mark.parametrize(
    ("operation", "status", "says"),
    [
        ("cancel", "failed", "cancel is for queued, running, waiting runs, and the filter asks for failed ones"),
        ("rerun", ["failed", "queued"], "rerun is for completed, failed, cancelled runs, .* asks for queued ones"),
        ("resume", "completed", "resume is for failed, cancelled runs, and the filter asks for completed ones"),
    ],
)
async def test_an_operation_refuses_runs_that_it_is_not_for(
    shop: Shop, env: Env, operation: str, status: Any, says: str
) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        await getattr(shop.client.bulk, operation)(dq.RunFilter(status=status))


async def test_what_is_no_filter_and_no_bulk_s_id_is_refused_before_anything_is_asked() -> None:
    client = dq.Client("redis://127.0.0.1:1")
    with pytest.raises(dq.ConfigError, match=r"bulk\.cancel takes a RunFilter, not str: 'failed'"):
        await client.bulk.cancel("failed")  # type: ignore[arg-type]
    with pytest.raises(dq.ConfigError, match=r"RunFilter\(\) is every run of the namespace.*RunFilter\(where='true'\)"):
        await client.bulk.cancel(dq.RunFilter())
    with pytest.raises(dq.ConfigError, match="on_progress must be a function of a BulkReport, not 5"):
        await client.bulk.cancel(dq.RunFilter(where="true"), on_progress=5)  # type: ignore[arg-type]
    with pytest.raises(dq.ConfigError, match=r"runs\.count takes a RunFilter, not dict"):
        await client.runs.count({})  # type: ignore[arg-type]
    with pytest.raises(dq.ConfigError, match="bulk_id must be one that a bulk operation has reported, not 'x'"):
        await client.bulk.rerun(dq.RunFilter(app="shop"), bulk_id="x")


async def test_plain_code_does_likewise(shop: Shop, env: Env) -> None:
    await sent(env, "pay", {"n": 1, "error": "declined"})
    await sent(env, "nap", {})
    sync, everything = shop.app.sync, dq.RunFilter(app="shop")
    assert (await asyncio.to_thread(sync.runs.count, everything)).total == 2
    assert counted(await asyncio.to_thread(sync.bulk.cancel, everything)) == {"met": 1, "done": 1}
    assert counted(await asyncio.to_thread(sync.bulk.resume, everything)) == {"met": 2, "done": 2}
    assert counted(await asyncio.to_thread(sync.bulk.rerun, everything)) == {"met": 2, "done": 2}
