"""Many keys: 10,000 of them with a limit of one and 10 runs each; and one tenant's backlog before another's first run."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path

import durableq as dq
from durableq.store.leases import Leases
from durableq.store.runs import FinishWrite, Runs
from scripts.bench_parts.app import app
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure, percentile
from scripts.bench_parts.gauge import Gauge
from scripts.bench_parts.processes import BenchError, Server, Worker
from scripts.bench_parts.setting import Setting

KEYS, RUNS_OF_A_KEY = 10_000, 10
FEW_KEYS = 100
AT_ONCE = 50
ONE_MORE = 1.1
"""How many times the commands of a few keys those of many may be: a scan of what is blocked would need a hundred times."""

BACKLOG = 100_000
TRIALS = 200
FIRST_MS = 50
PATIENCE_S = 30.0


async def measure(setting: Setting) -> list[list[Figure]]:
    """Both, once: they are long, and what counts is not the machine's speed."""
    found = await _many_keys(setting)
    return [found + await _tenants(setting)]


async def _many_keys(setting: Setting) -> list[Figure]:
    few = await _drained(setting, FEW_KEYS)
    keys = setting.size(KEYS, KEYS // 10)
    commands, redis_us, claims, claim_ms = await _drained(setting, keys)
    of = f"{keys:,} keys, {RUNS_OF_A_KEY} runs each"
    runs = keys * RUNS_OF_A_KEY
    return [
        Figure(f"{of}: claims of {AT_ONCE} for each {AT_ONCE} runs", claims * AT_ONCE / runs, "", ONE_MORE),
        Figure(f"{of}: commands inside scripts per run", commands, ""),
        Figure(f"{of}: as many as with {FEW_KEYS} keys, times", commands / few[0], "", ONE_MORE),
        Figure(f"{of}: Redis CPU per run", redis_us, "us"),
        Figure(f"{of}: claim, p99", claim_ms, "ms"),
    ]


async def _drained(setting: Setting, keys: int) -> tuple[float, float, int, float]:
    """What claims and finishes cost a run: commands, microseconds; claims, and their p99."""
    runs = keys * RUNS_OF_A_KEY
    with Server(setting.server, setting.first) as server:
        async with Driver(server) as driver:
            await driver.register()
            await driver.fill([dq.Event("bench/flow-narrow", {"key": n % keys}) for n in range(runs)])
            store, function = Runs(driver.calls), f"{app.id}/flow-narrow"
            await Leases(driver.calls).register_lease("bench", "bench", [app.id], "bench", [function])
            gauge, done, claims, took_ms = Gauge(server, time.process_time), 0, 0, list[float]()
            while done < runs:
                claims += 1
                began = time.perf_counter()
                claim = await store.claim_runs("bench", claims, AT_ONCE, False, 0, [app.id])
                took_ms.append((time.perf_counter() - began) * 1e3)
                if not claim.runs:
                    raise BenchError(f"{runs - done} runs of {keys} keys are left, and a claim finds none")
                writes = [FinishWrite(run.id, run.epoch, "c", b"") for run in claim.runs]
                await store.finish_runs("bench", writes, 1000, 1000)
                done += len(claim.runs)
            used = gauge.read()
    return used.inner / runs, used.redis_s / runs * 1e6, claims, percentile(took_ms, 0.99)


async def _tenants(setting: Setting) -> list[Figure]:
    backlog, trials = setting.size(BACKLOG, BACKLOG // 5), setting.size(TRIALS, 50)
    with (
        tempfile.TemporaryDirectory(prefix="durableq-bench-") as folder,
        Server(setting.server, setting.first) as server,
        Worker(server, uvloop=setting.uvloop) as worker,
    ):
        report = Path(folder, "begun")
        _touch(report)
        async with Driver(server) as driver:
            worker.pause()
            await driver.fill([dq.Event("bench/flow-tenant", {"tenant": "large"}) for _ in range(backlog)])
            worker.go_on()
            before = server.client.scard(driver.calls.key("gated", f"{app.id}/flow-tenant"))
            for number in range(trials):
                data = {"tenant": f"small-{number}", "report": str(report), "sent_ns": time.monotonic_ns()}
                await driver.client.send(dq.Event("bench/flow-tenant", data))
                await _lines(report, number + 1)
                await asyncio.sleep(random.uniform(0, 0.005))
            left = server.client.scard(driver.calls.key("gated", f"{app.id}/flow-tenant"))
            waited_ms = [int(line) / 1e6 for line in _read(report).splitlines()]
    if not left:
        raise BenchError(f"the backlog of {before:,} was gone before all trials were made")
    behind = f"another's first run behind {backlog:,} of one tenant"
    return [
        Figure(f"{behind}, p50", percentile(waited_ms, 0.5), "ms"),
        Figure(f"{behind}, p99", percentile(waited_ms, 0.99), "ms", FIRST_MS),
        Figure("of the backlog left at the last trial", left, ""),
    ]


async def _lines(report: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while _read(report).count("\n") < count:
        if time.monotonic() > deadline:
            raise BenchError(f"trial {count} did not begin within {PATIENCE_S:.0f} s")
        await asyncio.sleep(0.001)


def _touch(report: Path) -> None:
    report.touch()


def _read(report: Path) -> str:
    return report.read_text()
