"""Waits for events: what an event costs Redis among 100,000 of them, by script, from the server's own slow log.

Each run waits twice: for an event with its own number (by equality, so it is filed under that value), and for one with a
greater number (nothing to file that under: whoever delivers evaluates them all, a page of 100 a call). Runs are accepted,
routed and claimed as in life; waits are begun with the verbs of a child, events are routed and delivered by the product's
own router and deliverer. Nothing executes the runs that wake up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import durableq as dq
from durableq.model.filing import Filing, file_under
from durableq.services.deliverer import Deliverer
from durableq.store.leases import Leases
from durableq.store.records import Recorded
from durableq.store.runs import Runs, SuspendWrite
from durableq.store.waits import AwaitWrite, Waits
from durableq.words.ids import step_key
from durableq.words.telemetry import get_log
from scripts.bench_parts.app import app
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure, percentile
from scripts.bench_parts.processes import BenchError, Server
from scripts.bench_parts.setting import Setting

ANSWER, GREATER = "bench/answer", "bench/greater"
CONDITIONS: Final[Mapping[str, str]] = {
    ANSWER: "event.data.number == async.data.number",
    GREATER: "async.data.number > event.data.number",
}
LEASE = "bench"
FAR_MS = 366 * 86_400_000
BEHIND_ALL = "9999999999999-0"


async def measure(setting: Setting) -> list[list[Figure]]:
    """Milliseconds of Redis. Events that wake nobody are repeated; the one that wakes many is sent once, at the end."""
    count, woken, repeated = setting.size(100_000, 10_000), setting.size(10_000, 2_000), setting.size(200, 50)
    with Server(setting.server, setting.first) as server:
        async with Driver(server) as driver:
            await driver.register()
            await _waiters(driver, count)
            meter = _Meter(server, driver)
            nobody = [await meter.costs(ANSWER, count + index) for index in range(repeated)]
            one = [await meter.costs(ANSWER, count - 1 - index) for index in range(repeated)]
            pages = [took for _ in range(setting.size(3, 1)) for took in await meter.costs(GREATER, -1)]
            many = await meter.costs(GREATER, woken - 1)
    if len(pages) < count // 100 or len(many) < woken // 50:
        raise BenchError(f"{len(pages)} calls for {count} waits, {len(many)} for {woken} of them that are answered")
    among, unanswered_ms = f"among {count:,} waits", sum(pages) / setting.size(3, 1)
    return [
        [
            Figure(f"event {among} by equality, wakes none", percentile([sum(took) for took in nobody], 0.5), "ms", 2),
            Figure(f"event {among} by equality, wakes one", percentile([sum(took) for took in one], 0.5), "ms", 2),
            Figure(
                "the slowest of these scripts, p99", percentile([max(took) for took in nobody + one], 0.99), "ms", 2
            ),
            Figure(f"event {among} without an index, wakes none, in all", unanswered_ms, "ms"),
            Figure("its scripts, a page of 100: p50", percentile(pages, 0.5), "ms"),
            Figure("its scripts, a page of 100: p99", percentile(pages, 0.99), "ms", 2),
            Figure(f"event that wakes {woken:,} runs, a run", (sum(many) - unanswered_ms) / woken * 1000, "us"),
            Figure("its scripts, 50 wake-ups a call: p99", percentile(many, 0.99), "ms", 5),
        ]
    ]


class _Meter:
    """What the scripts took that route and deliver an event, one by one."""

    def __init__(self, server: Server, driver: Driver) -> None:
        self._client = server.client
        self._driver = driver
        self._deliverer = Deliverer(Waits(driver.calls), Runs(driver.calls), get_log(), keep_failed=100)
        self._client.config_set("slowlog-max-len", 1_000_000)

    async def costs(self, name: str, number: int) -> list[float]:
        await self._driver.send([dq.Event(name, {"number": number, "note": "x" * 150})])
        self._client.config_set("slowlog-log-slower-than", 0)
        self._client.slowlog_reset()
        await self._driver.route()
        await self._deliverer.deliver()
        self._client.config_set("slowlog-log-slower-than", 10_000)
        found = self._client.slowlog_get(1_000_000)
        self._client.slowlog_reset()
        return [entry["duration"] / 1000 for entry in found if entry["command"].startswith(b"EVALSHA")]


async def _waiters(driver: Driver, count: int) -> None:
    """Make runs that wait for both events, and sleep."""
    leases = Leases(driver.calls)
    await leases.register_lease(LEASE, "bench", [app.id], "bench", [f"{app.id}/waiter"], FAR_MS)
    number = 0
    for start in range(0, count, 10_000):
        part = min(10_000, count - start)
        await driver.fill([dq.Event("bench/waiter", {"number": start + index}) for index in range(part)])
        for _ in range(part // 100):
            number += 1
            await _put_to_sleep(driver, number, start)
            start += 100
    await leases.close_lease(LEASE, crashed=False, reason="done", keep_failed=1)


async def _put_to_sleep(driver: Driver, claim: int, first: int) -> None:
    runs, waits = Runs(driver.calls), Waits(driver.calls)
    claimed = await runs.claim_runs(LEASE, claim, 100, False, 0, [app.id])
    if len(claimed.runs) != 100:
        raise BenchError(f"{len(claimed.runs)} runs to claim instead of 100")
    due = claimed.now_ms + FAR_MS
    for name in CONDITIONS:
        writes = [
            _await(run.id, run.epoch, name, file_under(name, CONDITIONS[name], {"data": {"number": index}}), due)
            for index, run in enumerate(claimed.runs, start=first)
        ]
        answers = await waits.await_events(LEASE, writes)
        if not all(isinstance(answer, Recorded) for answer in answers.items):
            raise BenchError("a wait could not begin")
    asleep = await runs.suspend_runs(LEASE, [SuspendWrite(run.id, run.epoch, 0) for run in claimed.runs])
    if any(answer is not None for answer in asleep.items):
        raise BenchError("a run that waits could not be put to sleep")


def _await(run_id: str, epoch: int, name: str, filing: Filing, due_at_ms: int) -> AwaitWrite:
    return AwaitWrite(
        run_id, epoch, 0, step_key(name, 0), b"", due_at_ms, b"", name, "1-0", BEHIND_ALL,
        filing.path, filing.bucket, filing.anyhow, filing.tail,
    )  # fmt: skip
