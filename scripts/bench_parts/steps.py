"""Steps of many runs at once: 100 and 1,000 runs of ten steps in flight in one child, the queue filled before.

The figures per step are gross: each carries a tenth of its run's claim, start and finish.
"""

from __future__ import annotations

import durableq as dq
from scripts.bench_parts.app import STEPS_PER_RUN, payload
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure
from scripts.bench_parts.gauge import Gauge, of_process
from scripts.bench_parts.processes import Server, Worker
from scripts.bench_parts.setting import Setting

FUNCTION = "ten-steps"


async def measure(setting: Setting) -> list[list[Figure]]:
    """Steps a second, and processor time and commands per step."""
    found: list[list[Figure]] = []
    for in_flight, target in ((100, 12_000), (1000, None)):
        with (
            Server(setting.server, setting.first) as server,
            Worker(server, in_flight, uvloop=setting.uvloop) as worker,
        ):
            async with Driver(server) as driver:
                await _drain(server, worker, driver, setting.size(1_000, 300), in_flight, target)
                for _ in range(setting.rounds):
                    found.append(await _drain(server, worker, driver, setting.size(3_000, 600), in_flight, target))
    return found


async def _drain(
    server: Server, worker: Worker, driver: Driver, runs: int, in_flight: int, target: float | None
) -> list[Figure]:
    worker.pause()
    await driver.fill([dq.Event(f"bench/{FUNCTION}", payload(index)) for index in range(runs)])
    gauge = Gauge(server, of_process(worker.child))
    worker.go_on()
    await driver.drained(FUNCTION)
    used = gauge.read()
    steps = runs * STEPS_PER_RUN
    at = f"{in_flight:,} runs in flight"
    return [
        Figure(f"steps, {at}", steps / used.wall_s, "/s", target, more_is_better=True),
        Figure(f"step, {at}, worker CPU", used.python_s / steps * 1e6, "us", 50),
        Figure(f"step, {at}, Redis CPU", used.redis_s / steps * 1e6, "us", 20),
        Figure(f"step, {at}, scripts called", used.calls / steps, ""),
        Figure(f"step, {at}, commands inside scripts", used.inner / steps, ""),
    ]
