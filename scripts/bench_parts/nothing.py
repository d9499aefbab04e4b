"""Runs of a function that does nothing: claimed, called, finished. The queue is filled first, then drained by one child.

The child is frozen while the queue is filled, so the meters show the drain alone. A round to warm up comes first: it also
fills the 10,000 finished runs that a function keeps, so that from then on each finish deletes an old one, as it does for ever
in real life.
"""

from __future__ import annotations

import time

import durableq as dq
from scripts.bench_parts.app import payload
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure
from scripts.bench_parts.gauge import Gauge, of_process
from scripts.bench_parts.processes import Server, Worker
from scripts.bench_parts.setting import Setting

FUNCTION = "nothing-0"


async def measure(setting: Setting) -> list[list[Figure]]:
    """Runs a second, and processor time and commands per run."""
    count = setting.size(10_000, 4_000)
    rounds = []
    with Server(setting.server, setting.first) as server, Worker(server, uvloop=setting.uvloop) as worker:
        async with Driver(server) as driver:
            await _drain(server, worker, driver, setting.size(12_000, 11_000))
            for _ in range(setting.rounds):
                rounds.append(await _drain(server, worker, driver, count))
    return rounds


async def _drain(server: Server, worker: Worker, driver: Driver, count: int) -> list[Figure]:
    worker.pause()
    await driver.send([dq.Event(f"bench/{FUNCTION}", payload(index)) for index in range(count)])
    gauge = Gauge(server, time.process_time)
    await driver.route()
    routing = gauge.read()
    gauge = Gauge(server, of_process(worker.child))
    worker.go_on()
    await driver.drained(FUNCTION)
    used = gauge.read()
    return [
        Figure("no-op runs drained", count / used.wall_s, "/s", 8_000, more_is_better=True),
        Figure("no-op run, worker CPU", used.python_s / count * 1e6, "us", 90),
        Figure("no-op run, Redis CPU", used.redis_s / count * 1e6, "us", 50),
        Figure("routing of its event, router CPU", routing.python_s / count * 1e6, "us"),
        Figure("routing of its event, Redis CPU", routing.redis_s / count * 1e6, "us"),
        Figure("no-op run, scripts called", used.calls / count, ""),
        Figure("no-op run, commands inside scripts", used.inner / count, ""),
    ]
