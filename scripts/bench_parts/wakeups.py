"""Wake-ups: 1,000 a second among 100,000 sleepers, fired by a real scheduler.

Sleepers are real runs: accepted, routed, claimed, and put to sleep with the verbs of a child. How late each one was is read
from its memo, which holds the server's time at which the script made it ready, and when it was due.
"""

from __future__ import annotations

import asyncio
import time

import durableq as dq
from durableq.engine.records import Sleep
from durableq.store.leases import Leases
from durableq.store.records import memo
from durableq.store.runs import Runs, SuspendWrite
from durableq.words.ids import step_key
from scripts.bench_parts.app import app
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure, percentile
from scripts.bench_parts.gauge import Gauge, of_process
from scripts.bench_parts.processes import BenchError, Scheduler, Server
from scripts.bench_parts.setting import Setting

A_SECOND = 1000
FAR_MS = 3_600_000
KEY = step_key("nap", 0)
LEASE = "bench"


async def measure(setting: Setting) -> list[list[Figure]]:
    """Milliseconds late. One round of many wake-ups."""
    sleepers, woken = setting.size(100_000, 12_000), setting.size(10_000, 3_000)
    with Server(setting.server, setting.first) as server:
        async with Driver(server) as driver:
            await driver.register()
            await _sleepers(driver, [round(time.time() * 1000) + FAR_MS + index for index in range(sleepers - woken)])
            # Time enough to put the last ones to sleep before the first of them is due.
            begin_ms = round(time.time() * 1000) + 3_000 + woken
            due_at_ms = [begin_ms + index * 1000 // A_SECOND for index in range(woken)]
            asleep = await _sleepers(driver, due_at_ms)
            if time.time() * 1000 > begin_ms:
                raise BenchError("this machine is too slow to put the sleepers to sleep in time")
            with Scheduler(server) as scheduler:
                gauge = Gauge(server, of_process(scheduler.pid))
                await asyncio.sleep(max(0, due_at_ms[-1] / 1000 + 2 - time.time()))
                used = gauge.read()
            late_ms = await _lateness(driver, asleep)
    return [
        [
            Figure("wake-ups, early", sum(late < 0 for late in late_ms), "", 0),
            Figure("wake-ups, late, p50", percentile(late_ms, 0.5), "ms"),
            Figure("wake-ups, late, p99", percentile(late_ms, 0.99), "ms", 20),
            Figure("wake-up, scheduler CPU", used.python_s / woken * 1e6, "us"),
            Figure("wake-up, Redis CPU", used.redis_s / woken * 1e6, "us"),
        ]
    ]


async def _sleepers(driver: Driver, due_at_ms: list[int]) -> dict[str, int]:
    """Make runs and put them to sleep. Returns when each is due, by run id."""
    runs, leases = Runs(driver.calls), Leases(driver.calls)
    await leases.register_lease(LEASE, "bench", [app.id], "bench", [f"{app.id}/sleeper"], FAR_MS)
    asleep: dict[str, int] = {}
    number = 0
    for start in range(0, len(due_at_ms), 10_000):
        part = due_at_ms[start : start + 10_000]
        await driver.fill([dq.Event("bench/sleeper", {}) for _ in part])
        while part:
            number += 1
            claimed = (await runs.claim_runs(LEASE, number, 100, False, 0, [app.id])).runs
            writes = [
                SuspendWrite(run.id, run.epoch, 0, KEY, "w", Sleep("sleep", "nap", due).encode(), due, b"", 1)
                for run, due in zip(claimed, part, strict=False)
            ]
            answers = await runs.suspend_runs(LEASE, writes)
            if any(answer is not None for answer in answers.items):
                raise BenchError("a sleeper could not be put to sleep")
            asleep.update((write.run_id, write.due_at_ms) for write in writes)
            part = part[len(claimed) :]
    await leases.close_lease(LEASE, crashed=False, reason="done", keep_failed=1)
    return asleep


async def _lateness(driver: Driver, asleep: dict[str, int]) -> list[int]:
    late_ms = []
    for run_id, due_at_ms in asleep.items():
        found = memo(await driver.calls.read("HGET", driver.calls.key("steps", run_id), KEY))
        if not found.number:
            raise BenchError(f"run {run_id} was never woken")
        late_ms.append(found.at_ms - due_at_ms)
    return late_ms
