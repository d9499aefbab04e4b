"""Cron ticks under kill -9: each has exactly one run, whoever performs it and whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from durableq.model.event import decode_event
from durableq.store.crons import Crons
from durableq.store.registry import Registry
from tests.acceptance.crons import FUNCTIONS, app
from tests.acceptance.harness import REPOSITORY, Stage, until
from tests.store.invariants import assert_invariants

MINUTE_MS = 60_000
BEHIND = 900
CRONS = "tests.acceptance.crons:app"


async def deployed(stage: Stage, *functions: str) -> Crons:
    """The app's cron triggers, registered as a worker does. None named: all of them."""
    calls = await stage.calls()
    chosen = {
        name: function.declaration() for name, function in app.functions.items() if name in (functions or app.functions)
    }
    await Registry(calls).register_app(app.id, "r1", chosen)
    return Crons(calls)


async def ticks(stage: Stage) -> Counter[tuple[str, int]]:
    """How many runs there are per (function, time of the tick)."""
    calls, found = await stage.calls(), Counter[tuple[str, int]]()
    keys = await calls.read("KEYS", calls.key("input") + "*")
    for start in range(0, len(keys), 500):
        for blob in await calls.read("MGET", *keys[start : start + 500]):
            event = decode_event(blob)
            found[event.data["function_id"], event.ts or 0] += 1
    return found


def every_minute(after_ms: int, upto_ms: int) -> list[int]:
    first = (after_ms // MINUTE_MS + 1) * MINUTE_MS
    return list(range(first, upto_ms + 1, MINUTE_MS))


async def test_a_backlog_of_ticks_has_one_run_each_though_schedulers_are_killed(stage: Stage) -> None:
    """Three real schedulers, killed one after the other while they perform what was due during an outage."""
    crons = await deployed(stage)
    calls = await stage.calls()
    began: dict[str, int] = {}
    for row in await crons.listed():
        began[row.trigger] = row.upto_ms - BEHIND * MINUTE_MS
        await calls.read("HSET", calls.key("cron", row.trigger), "upto", began[row.trigger])

    async def settled() -> int:
        return sum((row.upto_ms - began[row.trigger]) // MINUTE_MS for row in await crons.listed())

    schedulers = [stage.scheduler() for _ in range(3)]
    killed = 0
    while (done := await settled()) < FUNCTIONS * BEHIND:
        if done > (killed + 1) * FUNCTIONS * BEHIND // 10:
            # One that is at work, if its log says so in time.
            schedulers.sort(key=lambda scheduler: bool(scheduler.log("cron.ticked")))
            schedulers.pop().kill_group()
            schedulers.insert(0, stage.scheduler())
            killed += 1
        await asyncio.sleep(0.002)
    assert killed >= 5, "schedulers were killed while there was something to do"
    found = await ticks(stage)
    assert set(found.values()) == {1}
    for row in await crons.listed():
        function = row.trigger.partition(" ")[0].partition("/")[2]
        assert sorted(at for name, at in found if name == function) == every_minute(began[row.trigger], row.upto_ms)
    await assert_invariants(calls)


async def test_a_hundred_minutes_have_a_tick_each_though_schedulers_are_killed(stage: Stage) -> None:
    """Three tickers for which a minute passes in a tenth of a second; at every tenth tick one of them is killed."""
    calls = await stage.calls()
    began_at_s = time.time()
    crons = await deployed(stage, "every-0", "every-1")
    began = {row.trigger: row.upto_ms for row in await crons.listed()}

    def ticker() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.acceptance.hurried", stage.server.url, repr(began_at_s)]
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)

    async def passed() -> int:
        return min((row.upto_ms - began[row.trigger]) // MINUTE_MS for row in await crons.listed())

    tickers = [ticker() for _ in range(3)]
    killed, deadline_s = 0, time.monotonic() + 60
    try:
        while (minutes := await passed()) < 100:
            assert time.monotonic() < deadline_s, await crons.listed()
            if minutes >= (killed + 1) * 10:
                oldest = tickers.pop(0)
                oldest.send_signal(signal.SIGKILL)
                oldest.wait()
                killed += 1
                tickers.append(ticker())
            await asyncio.sleep(0.01)
    finally:
        for left in tickers:
            left.kill()
            left.wait()
    assert killed >= 5
    found = await ticks(stage)
    assert set(found.values()) == {1}
    for row in await crons.listed():
        function = row.trigger.partition(" ")[0].partition("/")[2]
        assert sorted(at for name, at in found if name == function) == every_minute(began[row.trigger], row.upto_ms)
    await assert_invariants(calls)


@pytest.mark.slow
async def test_a_real_minute_ticks_in_time_and_once_with_three_schedulers(stage: Stage) -> None:
    """As users have it: real processes, the server's clock, a worker that executes; the scheduler that ticked is killed."""
    schedulers = [stage.scheduler() for _ in range(3)]
    await asyncio.gather(*(scheduler.says("scheduler.working") for scheduler in schedulers))
    await stage.worker(app=CRONS).working()
    for minute in (1, 2):
        await until(lambda: stage.ledger.count("ticked") >= FUNCTIONS * minute, "a minute begins", within_s=75)
        ticked = [scheduler for scheduler in schedulers if scheduler.running and scheduler.log("cron.ticked")]
        ticked[-1].kill_group()
    ticked_at = Counter(line.step for line in stage.ledger.lines() if line.kind == "ticked")
    assert list(ticked_at.values()) == [FUNCTIONS] * 2
    found = await ticks(stage)
    assert set(found.values()) == {1}
    late_ms = [
        line.at_ms - (line.at_ms // MINUTE_MS) * MINUTE_MS for line in stage.ledger.lines() if line.kind == "ticked"
    ]
    assert max(late_ms) < 7_000
    assert min(late_ms) < 500
