"""The ticker: cron triggers of a deployment become runs, at their times, once, whoever performs them and whatever happens."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog
from structlog.testing import capture_logs

from durableq import App, Context, CronTrigger, Event, EventTrigger
from durableq.model.cron.plan import COUNTED_MAX
from durableq.model.event import decode_event
from durableq.services.declared import Declared
from durableq.services.scheduler import Scheduler
from durableq.services.ticker import FULL_PAUSE_S, IDLE_S, Ticker
from durableq.store.calls import Calls
from durableq.store.crons import Crons
from durableq.store.link import Link
from durableq.store.opening import calls_on
from durableq.store.registry import Registry
from durableq.store.upkeep import Upkeep
from durableq.words import codec
from tests.servers import Server, on
from tests.store.invariants import assert_invariants

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
START = datetime(2026, 3, 1, 0, 0, 30, tzinfo=UTC)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def app_of(**functions: list[CronTrigger | EventTrigger]) -> App:
    app = App("shop")

    async def handler(ctx: Context) -> None: ...

    for name, triggers in functions.items():
        app.function(name, triggers=triggers)(handler)
    return app


async def deploy(calls: Calls, release: str = "r1", **functions: list[CronTrigger | EventTrigger]) -> None:
    app = app_of(**functions)
    declarations = {function.id: function.declaration() for function in app.functions.values()}
    await Registry(calls).register_app("shop", release, declarations)


class Bench:
    """A few tickers, a clock that is moved, and what they made."""

    def __init__(self, calls: Calls, tickers: int = 1) -> None:
        self.calls = calls
        declared = Declared(Registry(calls))
        self.tickers = [Ticker(Crons(calls), declared, structlog.get_logger()) for _ in range(tickers)]

    async def settle(self) -> None:
        """Every ticker does what there is to do now, all of them at once."""
        for _ in range(100):
            delays = await asyncio.gather(*(ticker.run_once() for ticker in self.tickers))
            if min(delays) > 0:
                return
        raise AssertionError("the tickers never rest")

    async def until(self, end_ms: int) -> None:
        """Let the time pass to there, stopping wherever somebody wants to be woken."""
        await self.settle()
        while True:
            due = await Crons(self.calls).next_at_ms()
            if due is None or due > end_ms:
                break
            assert due > self.now_ms
            self.calls.now_ms = due
            await self.settle()
        self.calls.now_ms = end_ms
        await self.settle()

    @property
    def now_ms(self) -> int:
        assert self.calls.now_ms is not None
        return self.calls.now_ms

    async def events(self) -> list[Event[Any]]:
        """The events of all runs, by their time."""
        prefix = self.calls.key("input")
        keys = await self.calls.read("KEYS", f"{prefix}*")
        found = [decode_event(await self.calls.read("GET", key)) for key in keys]
        return sorted(found, key=lambda event: (event.ts, event.id))

    async def times(self) -> list[datetime]:
        return [datetime.fromtimestamp((event.ts or 0) / 1000, UTC) for event in await self.events()]


@pytest.fixture
def bench(calls: Calls) -> Bench:
    calls.now_ms = ms(START)
    return Bench(calls)


async def test_a_month_of_ticks_in_paris_comes_at_its_times(bench: Bench) -> None:
    await deploy(bench.calls, report=[CronTrigger("30 2 * * *", timezone="Europe/Paris")])
    await bench.until(ms(START) + 31 * DAY_MS)
    paris = ZoneInfo("Europe/Paris")
    wanted = [datetime(2026, 3, day, 2, 30, tzinfo=paris) for day in (*range(1, 29), 30, 31)]
    wanted.append(datetime(2026, 3, 29, 3, 0, tzinfo=paris))
    assert await bench.times() == sorted(wanted)
    await assert_invariants(bench.calls)


async def test_what_a_run_is_told(bench: Bench) -> None:
    await deploy(bench.calls, report=[CronTrigger("30 2 * * *", timezone="Europe/Paris", jitter="30m")])
    await bench.until(ms(START) + DAY_MS)
    (event,) = await bench.events()
    assert (event.name, event.ts) == ("durableq/cron.tick", ms(datetime(2026, 3, 1, 1, 30, tzinfo=UTC)))
    assert (
        event.data.items()
        >= {
            "cron": "30 2 * * *",
            "timezone": "Europe/Paris",
            "scheduled_at": "2026-03-01T02:30:00+01:00",
            "function_id": "report",
            "app_id": "shop",
        }.items()
    )
    assert "2026-03-01T02:30:00+01:00" <= event.data["due_at"] < "2026-03-01T03:00:00+01:00"


@on("redis7", "fake")
async def test_with_three_schedulers_each_tick_has_one_run(calls: Calls) -> None:
    calls.now_ms = ms(START)
    bench = Bench(calls, tickers=3)
    await deploy(
        calls, a=[CronTrigger("* * * * *", jitter="20s"), CronTrigger("*/7 * * * *")], b=[CronTrigger("@hourly")]
    )
    await bench.until(ms(START) + 5 * HOUR_MS)
    events = await bench.events()
    assert len({event.id for event in events}) == len(events) == 300 + 45 + 5
    await assert_invariants(calls)


async def test_two_crons_and_an_event_on_one_function_are_apart(bench: Bench) -> None:
    triggers = [CronTrigger("0 * * * *"), CronTrigger("0 */2 * * *"), EventTrigger("x/y")]
    await deploy(bench.calls, f=triggers)
    await bench.until(ms(START) + 4 * HOUR_MS)
    crons = [event.data["cron"] for event in await bench.events()]
    assert sorted(crons) == ["0 * * * *"] * 4 + ["0 */2 * * *"] * 2


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
async def test_ticks_of_an_outage_are_caught_up_with_as_asked(bench: Bench, catch_up: Any) -> None:
    await deploy(bench.calls, f=[CronTrigger("* 0-2 * * *", catch_up=catch_up)])
    await bench.settle()
    bench.calls.now_ms = ms(datetime(2026, 3, 1, 15, tzinfo=UTC))  # 00:01 to 02:59 are over, and nobody was there
    await bench.settle()
    all_of_them = [datetime(2026, 3, 1, 0, 1, tzinfo=UTC) + timedelta(minutes=n) for n in range(179)]
    assert await bench.times() == {"none": [], "latest": all_of_them[-1:], "all": all_of_them}[catch_up]
    (row,) = await Crons(bench.calls).listed()
    assert row.missed == {"none": COUNTED_MAX, "latest": COUNTED_MAX - 1, "all": 0}[catch_up]
    await bench.until(ms(datetime(2026, 3, 2, 0, 0, tzinfo=UTC)))
    assert (await bench.times())[-1] == datetime(2026, 3, 2, tzinfo=UTC)


@on("redis7")
async def test_of_a_long_outage_the_newest_thousand_are_caught_up_with(bench: Bench) -> None:
    await deploy(bench.calls, f=[CronTrigger("* * * * *", catch_up="all")])
    await bench.settle()
    bench.calls.now_ms = bench.now_ms + 30 * DAY_MS
    await bench.settle()
    times = await bench.times()
    end = (START + timedelta(days=30)).replace(second=0)
    assert times == [end - timedelta(minutes=n) for n in range(999, -1, -1)]


async def test_a_tick_within_a_minute_is_not_late(bench: Bench) -> None:
    await deploy(bench.calls, f=[CronTrigger("0 1 * * *", catch_up="none")])
    await bench.settle()
    bench.calls.now_ms = ms(datetime(2026, 3, 1, 1, 1, tzinfo=UTC))
    await bench.settle()
    assert await bench.times() == [datetime(2026, 3, 1, 1, tzinfo=UTC)]
    bench.calls.now_ms = ms(datetime(2026, 3, 2, 1, 1, 0, 1000, tzinfo=UTC))
    with capture_logs() as logs:
        await bench.settle()
    assert len(await bench.times()) == 1
    assert [entry["event"] for entry in logs] == ["cron.missed"]


async def test_a_deploy_at_the_time_of_a_tick_loses_and_doubles_nothing(bench: Bench) -> None:
    """The same expression in five releases, the scheduler away for some of them."""
    for release in range(5):
        await deploy(bench.calls, f"r{release}", f=[CronTrigger("* * * * *", jitter=f"{release}s", catch_up="all")])
        bench.calls.now_ms = ms(START) + 30_000 + release * MINUTE_MS
        if release % 2:
            await deploy(bench.calls, f"r{release}b", f=[CronTrigger("*/1 0-23 * * *", catch_up="all")])
        else:
            await bench.settle()
    await bench.until(ms(START) + 6 * MINUTE_MS)
    times = await bench.times()
    assert times == [START.replace(second=0) + timedelta(minutes=n) for n in range(1, 7)]


async def test_a_changed_expression_is_followed_from_the_deploy_on(bench: Bench) -> None:
    await deploy(bench.calls, "r1", f=[CronTrigger("0 * * * *")])
    await bench.until(ms(START) + HOUR_MS)
    await deploy(bench.calls, "r2", f=[CronTrigger("30 * * * *")])
    await deploy(bench.calls, "r1", f=[CronTrigger("0 * * * *")])  # a worker of the old release starts again
    await bench.until(ms(START) + 3 * HOUR_MS)
    assert [at.strftime("%H:%M") for at in await bench.times()] == ["01:00", "01:30", "02:30"]


async def test_a_removed_trigger_ticks_no_more(bench: Bench) -> None:
    await deploy(bench.calls, "r1", f=[CronTrigger("0 * * * *"), EventTrigger("x/y")])
    await bench.until(ms(START) + HOUR_MS)
    await deploy(bench.calls, "r2", f=[EventTrigger("x/y")])
    await bench.until(ms(START) + 9 * HOUR_MS)
    assert len(await bench.times()) == 1


async def test_jitter_is_the_same_for_everybody_and_shorter_than_the_gap(bench: Bench) -> None:
    await deploy(
        bench.calls, f=[CronTrigger("*/10 * * * *", jitter="9m59s")], g=[CronTrigger("*/10 * * * *", jitter="9m59s")]
    )
    await bench.until(ms(START) + 10 * HOUR_MS)
    delays: dict[str, list[float]] = {"f": [], "g": []}
    for event in await bench.events():
        late = datetime.fromisoformat(event.data["due_at"]) - datetime.fromisoformat(event.data["scheduled_at"])
        delays[event.data["function_id"]].append(late.total_seconds())
    for found in delays.values():
        assert len(found) >= 59
        assert 0 <= min(found) < 60
        assert 500 < max(found) < 599
    assert delays["f"] != delays["g"]


@pytest.mark.parametrize("busy", [True, False])
async def test_a_run_that_is_not_finished_holds_ticks_off_where_asked(bench: Bench, busy: bool) -> None:
    overlap: Any = "skip" if busy else "allow"
    await deploy(bench.calls, f=[CronTrigger("* * * * *", overlap=overlap)])
    with capture_logs() as logs:
        await bench.until(ms(START) + 10 * MINUTE_MS)
    assert len(await bench.times()) == (1 if busy else 10)
    (row,) = await Crons(bench.calls).listed()
    assert (row.skipped, row.ticks) == ((9, 1) if busy else (0, 10))
    assert [entry["event"] for entry in logs].count("cron.skipped") == row.skipped


async def test_ticks_that_a_closed_gate_refuses_are_caught_up_with(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [1000.0]
    monkeypatch.setattr("durableq.services.ticker.time.monotonic", lambda: clock_s[0])
    await deploy(bench.calls, f=[CronTrigger("0 * * * *")])
    await bench.settle()
    bench.calls.now_ms = bench.now_ms + 3 * HOUR_MS
    upkeep = Upkeep(bench.calls)
    await upkeep.set_gate(0.9, prunable=False)
    (ticker,) = bench.tickers
    with capture_logs() as logs:
        assert await ticker.run_once() == FULL_PAUSE_S
        clock_s[0] += 1
        assert await ticker.run_once() == FULL_PAUSE_S - 1  # a hint does not cut it short
    assert [entry["event"] for entry in logs] == ["cron.refused"]
    assert await bench.times() == []
    await upkeep.set_gate(0.1, prunable=False)
    clock_s[0] += FULL_PAUSE_S
    await bench.settle()
    assert [at.hour for at in await bench.times()] == [3]


async def test_a_trigger_that_cannot_be_read_is_left_to_others_and_told_once(bench: Bench) -> None:
    strange = codec.encode({"triggers": [{"cron": "0 * * * *", "key": "k", "timezone": "Mars/Olympus"}]})
    await Registry(bench.calls).register_app("shop", "r1", {"f": strange})
    await Registry(bench.calls).register_app(
        "sound", "r1", {"f": app_of(f=[CronTrigger("* * * * *")]).functions["f"].declaration()}
    )
    with capture_logs() as logs:
        await bench.until(ms(START) + 2 * MINUTE_MS)
    assert [entry["function"] for entry in logs if entry["event"] == "cron.unreadable"] == ["shop/f"]
    assert len(await bench.times()) == 2


async def test_nothing_is_asked_between_ticks_but_for_a_look_now_and_then(bench: Bench) -> None:
    (ticker,) = bench.tickers
    assert await ticker.run_once() == IDLE_S
    await deploy(bench.calls, f=[CronTrigger("0 9 * * *")])
    assert await ticker.run_once() == 0.0
    assert await ticker.run_once() == IDLE_S
    bench.calls.now_ms = ms(datetime(2026, 3, 1, 8, 59, 59, tzinfo=UTC))
    assert await ticker.run_once() == pytest.approx(1.0005)


@on("redis7", "valkey")
async def test_a_new_trigger_wakes_a_scheduler_that_is_idle(server: Server) -> None:
    pool = server.client().connection_pool
    calls, bell_calls = (calls_on(Link(lambda: pool.make_connection()), "default") for _ in range(2))
    await calls.open()
    bell_calls.identity = calls.identity
    lost: list[BaseException] = []
    scheduler = Scheduler(calls, bell_calls, structlog.get_logger(), lost.append)
    scheduler.start()

    async def looked_at(function: str) -> None:
        deadline_s = time.monotonic() + IDLE_S / 3
        while not any(row.next_ms for row in await Crons(calls).listed() if row.function == f"shop/{function}"):
            assert time.monotonic() < deadline_s, "nobody looks at the trigger"
            await asyncio.sleep(0.02)

    try:
        await deploy(calls, "r1", f=[CronTrigger("0 9 29 2 *")])
        await looked_at("f")  # perhaps by the first look of all
        await deploy(calls, "r2", f=[CronTrigger("0 9 29 2 *")], g=[CronTrigger("0 9 29 2 *")])
        await looked_at("g")  # by no other than the bell
    finally:
        await scheduler.stop()
        await asyncio.gather(calls.link.close(), bell_calls.link.close())
    assert lost == []
