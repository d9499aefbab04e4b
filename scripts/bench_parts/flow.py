"""Flow control: what a run of a function with limits costs more than a plain one, and what it does with many keys.

The functions do nothing, and drain through a real worker as in `nothing`: a slice of each in turn, several times a round, so
that whatever else the machine does meets all alike. Of a function's slices the one counts that only a quarter are below; what
is shown is the difference to the plain one. The limits let everything through: waiting is not what is measured here.
"""

from __future__ import annotations

import time

import durableq as dq
from scripts.bench_parts import flow_keys
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure, percentile
from scripts.bench_parts.gauge import Gauge, of_process
from scripts.bench_parts.processes import Server, Worker
from scripts.bench_parts.setting import Setting

PLAIN = "flow-none"
LIMITED = {
    "flow-concurrency": "concurrency",
    "flow-throttle": "concurrency, throttle",
    "flow-all": "concurrency, throttle, idempotency",
    "flow-keyed": "the same, each of 500 keys",
}
REDIS_US, WORKER_US = 15, 10
BOUNDED = "flow-all"
SLICES = 8


async def measure(setting: Setting) -> list[list[Figure]]:
    """Microseconds that limits add to a run; then what flow_keys.py measures."""
    rounds = []
    count = setting.size(1_000, 500)
    sent = 0
    with Server(setting.server, setting.first) as server, Worker(server, uvloop=setting.uvloop) as worker:
        async with Driver(server) as driver:
            for number in range(setting.rounds + 1):
                costs: dict[str, list[tuple[float, float]]] = {}
                for _ in range(setting.size(SLICES, SLICES // 2)):
                    for function in (PLAIN, *LIMITED):
                        cost = await _drain(server, worker, driver, function, count, sent)
                        costs.setdefault(function, []).append(cost)
                        sent += count
                if number > 0:  # the first warms up
                    rounds.append(_figures({function: _quiet(slices) for function, slices in costs.items()}))
    return rounds + await flow_keys.measure(setting)


async def _drain(
    server: Server, worker: Worker, driver: Driver, function: str, count: int, sent: int
) -> tuple[float, float]:
    """Microseconds per run of Redis, and of router and worker."""
    worker.pause()
    await driver.send([dq.Event(f"bench/{function}", {"order": sent + n, "user": n % 500}) for n in range(count)])
    gauge = Gauge(server, time.process_time)
    await driver.route()
    routing = gauge.read()
    gauge = Gauge(server, of_process(worker.child))
    worker.go_on()
    await driver.drained(function)
    used = gauge.read()
    redis_s, python_s = routing.redis_s + used.redis_s, routing.python_s + used.python_s
    return redis_s / count * 1e6, python_s / count * 1e6


def _quiet(slices: list[tuple[float, float]]) -> tuple[float, float]:
    redis_us, python_us = zip(*slices, strict=True)
    return percentile(redis_us, 0.25), percentile(python_us, 0.25)


def _figures(costs: dict[str, tuple[float, float]]) -> list[Figure]:
    redis_us, python_us = costs[PLAIN]
    found = [
        Figure("a plain run, routed and executed, Redis CPU", redis_us, "us"),
        Figure("a plain run, routed and executed, router and worker CPU", python_us, "us"),
    ]
    for function, named in LIMITED.items():
        bounded = function == BOUNDED
        redis, python = costs[function]
        found.append(Figure(f"{named}: added Redis CPU", redis - redis_us, "us", REDIS_US if bounded else None))
        found.append(Figure(f"{named}: added Python CPU", python - python_us, "us", WORKER_US if bounded else None))
    return found
