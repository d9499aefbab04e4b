"""Waiting: for one step in a run that is alone, and from `send` to the first step on an idle system.

Both are timed inside user code; the monotonic clock is one for all processes of a machine. The round trips of a step alone
are the scripts that the server counted while it ran.
"""

from __future__ import annotations

import asyncio
import random
import time

import durableq as dq
from scripts.bench_parts.app import STEPS_ALONE
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure, percentile
from scripts.bench_parts.gauge import Gauge, of_process
from scripts.bench_parts.processes import Server, Worker
from scripts.bench_parts.setting import Setting


async def measure(setting: Setting) -> list[list[Figure]]:
    """Milliseconds, by the middle and by the slowest in a hundred."""
    rounds = []
    with Server(setting.server, setting.first) as server, Worker(server, uvloop=setting.uvloop) as worker:
        async with Driver(server) as driver:
            await _steps_alone(server, worker, driver, 1)
            await _first_steps(driver, 20, 0)
            sent = 20
            for done in range(setting.rounds):
                figures = await _steps_alone(server, worker, driver, 2 + done)
                count = setting.size(300, 100)
                figures += await _first_steps(driver, count, sent)
                sent += count
                rounds.append(figures)
    return rounds


async def _steps_alone(server: Server, worker: Worker, driver: Driver, number: int) -> list[Figure]:
    gauge = Gauge(server, of_process(worker.child))
    await driver.client.send(dq.Event("bench/alone"))
    newest = (await driver.completed("alone", number, 1))[0]
    used = gauge.read()
    took_ms = [took_ns / 1e6 for took_ns in newest.result[1:]]
    return [
        Figure("step alone, p50", percentile(took_ms, 0.5), "ms", 0.4),
        Figure("step alone, p99", percentile(took_ms, 0.99), "ms"),
        Figure("step alone, round trips", used.commands.get("evalsha", 0) / STEPS_ALONE, ""),
        Figure("step alone, worker CPU", used.python_s / STEPS_ALONE * 1e6, "us"),
        Figure("step alone, Redis CPU", used.redis_s / STEPS_ALONE * 1e6, "us"),
    ]


async def _first_steps(driver: Driver, count: int, before: int) -> list[Figure]:
    for _ in range(count):
        await driver.client.send(dq.Event("bench/first-step", {"sent_ns": time.monotonic_ns()}))
        await asyncio.sleep(random.uniform(0.02, 0.05))
    runs = await driver.completed("first-step", before + count, count)
    waited_ms = [run.result / 1e6 for run in runs]
    return [
        Figure("send to first step when idle, p50", percentile(waited_ms, 0.5), "ms", 2),
        Figure("send to first step when idle, p99", percentile(waited_ms, 0.99), "ms", 5),
    ]
