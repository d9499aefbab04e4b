"""Sending events: one awaited after the other, and in lists. No worker runs; the producer has one core, Redis the other."""

from __future__ import annotations

import os
import time

import durableq as dq
from scripts.bench_parts.app import payload
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure
from scripts.bench_parts.gauge import Gauge
from scripts.bench_parts.processes import Server, cores, pin
from scripts.bench_parts.setting import Setting


async def measure(setting: Setting) -> list[list[Figure]]:
    """Events a second, and processor time per event."""
    everywhere = os.sched_getaffinity(0)
    rounds = []
    with Server(setting.server, setting.first) as server:
        async with Driver(server) as driver:
            pin(os.getpid(), cores()[0], setting.first)
            try:
                await driver.send(_events(1_000))
                for _ in range(setting.rounds):
                    figures = []
                    for size in (1, 100, 1000):
                        figures += await _send(server, driver, setting, size)
                    rounds.append(figures)
            finally:
                for thread in os.listdir("/proc/self/task"):
                    os.sched_setaffinity(int(thread), everywhere)
                    if setting.first:
                        os.sched_setscheduler(int(thread), os.SCHED_OTHER, os.sched_param(0))
    return rounds


async def _send(server: Server, driver: Driver, setting: Setting, size: int) -> list[Figure]:
    count = setting.size(4_000, 1_500) if size == 1 else setting.size(40_000, 10_000)
    events = _events(count)
    gauge = Gauge(server, time.process_time)
    if size == 1:
        for event in events:
            await driver.client.send(event)
    else:
        for start in range(0, count, size):
            await driver.client.send(events[start : start + size])
    used = gauge.read()
    how = "single" if size == 1 else f"lists of {size:,}"
    return [
        Figure(f"events sent, {how}", count / used.wall_s, "/s", 4_000 if size == 1 else 40_000, more_is_better=True),
        Figure(f"event sent, {how}, producer CPU", used.python_s / count * 1e6, "us"),
        Figure(f"event sent, {how}, Redis CPU", used.redis_s / count * 1e6, "us"),
    ]


def _events(count: int) -> list[dq.Event]:
    return [dq.Event("bench/nothing-0", payload(index)) for index in range(count)]
