"""Redis goes away, under load: workers wait and go on, nothing that can still be recorded is executed again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

import durableq as dq
from tests.acceptance.checks import check
from tests.acceptance.harness import Stage, now_ms, until
from tests.servers import RealServer

PRODUCER_S = 2.0
"""A producer has its answer by then, whatever it is."""
SCHEDULING_S = 0.3


@pytest.fixture
async def stage(start_server: Callable[..., RealServer], tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage whose server may be killed without losing what it acknowledged.

    With `everysec` a write is held back while a sync is under way, so kill -9 can lose a second or two: that is what
    `everysec` says. Here the kernel has every write before its reply leaves. TCP, as outages mostly are.
    """
    made = Stage(start_server("redis7", tcp=True, appendfsync="no"), tmp_path)
    yield made
    await made.close()


async def under_load(stage: Stage) -> None:
    """Two workers and two schedulers in the middle of many runs, some of which sleep across what is to come."""
    for _ in range(2):
        stage.scheduler()
    workers = [stage.worker(concurrency=20) for _ in range(2)]
    for worker in workers:
        await worker.working()
    for nth in range(8):
        await stage.send("chain", 5, seconds=0.2 + nth / 10, nap=nth / 2)
        await stage.send("plain", 2, seconds=0.2 + nth / 10, nap=nth / 2)
        await stage.send("stubborn", 1, seconds=0.3)
    await until(lambda: _open(stage) >= 20 and stage.ledger.count("end") > 30, "work is in full swing", within_s=20)


def _open(stage: Stage) -> int:
    """Bodies under way."""
    return stage.ledger.count("start") - stage.ledger.count("end") - stage.ledger.count("cut")


Outage = Callable[[Stage, float], Awaitable[None]]


async def killed(stage: Stage, seconds: float) -> None:
    """kill -9, and restarted on its files."""
    stage.server.kill()
    await asyncio.sleep(seconds)
    stage.server.start()


async def frozen(stage: Stage, seconds: float) -> None:
    """Connections stay open and nothing is answered, as when a cable is cut."""
    stage.server.pause()
    await asyncio.sleep(seconds)
    stage.server.resume()


@pytest.mark.parametrize(
    ("outage", "seconds"),
    [
        pytest.param(killed, 0, id="restarted"),
        pytest.param(killed, 10, id="killed for 10 s"),
        pytest.param(frozen, 12, id="frozen for 12 s"),
        pytest.param(killed, 60, id="killed for 60 s", marks=pytest.mark.slow),
        pytest.param(frozen, 60, id="frozen for 60 s", marks=pytest.mark.slow),
    ],
)
async def test_workers_go_on_when_redis_is_back(stage: Stage, outage: Outage, seconds: float) -> None:
    await under_load(stage)
    await outage(stage, seconds)
    back_ms = now_ms()
    begun = await until(lambda: stage.ledger.lines("start", since_ms=back_ms), "a new body begins", within_s=10)
    assert begun[0].at_ms - back_ms < 2000
    await stage.all_end(within_s=30)
    figures = await check(stage)
    # Only the attempts that are meant to fail came twice: what was under way could be recorded after the outage.
    assert figures.again == 2 * 8
    assert all(process.running for process in stage.processes)
    assert not [entry for process in stage.processes for entry in process.log(level="error")]


@pytest.mark.parametrize("outage", ["killed", "frozen"])
async def test_producers_fail_clearly_and_soon(stage: Stage, outage: str) -> None:
    """What never left a producer was not stored; what it wrote to a connection before it knew of the outage may have been."""
    known, new = stage.client(), stage.client()
    await known.send(dq.Event("work/one", {}))
    if outage == "killed":
        stage.server.kill()
    else:
        stage.server.pause()
    for client, unsure in ((known, True), (new, False), (known, outage == "frozen")):
        asked_s = time.monotonic()
        with pytest.raises(dq.SendError) as failed:
            await client.send([dq.Event("work/one", {}) for _ in range(3)])
        assert time.monotonic() - asked_s < PRODUCER_S + SCHEDULING_S
        error = failed.value
        assert (len(error.sent), len(error.not_sent), len(error.unknown)) == ((0, 0, 3) if unsure else (0, 3, 0))
        assert ("0 not stored, 3 may have been stored" if unsure else "3 not stored, 0 may have been stored") in str(
            error
        )
    with pytest.raises(dq.SendError):
        await asyncio.to_thread(stage.client().sync.send, dq.Event("work/one", {}))


async def test_what_was_not_sent_can_be_sent_again(stage: Stage) -> None:
    """The ids that SendError carries make it once, though the first copies had reached Redis after all."""
    client = stage.client()
    await client.send(dq.Event("work/one", {}))
    stage.server.pause()
    with pytest.raises(dq.SendError) as failed:
        await client.send([dq.Event("work/one", {}) for _ in range(5)])
    stage.server.resume()
    again = [*failed.value.not_sent, *failed.value.unknown]
    assert len(again) == 5
    await client.send(again)
    calls = await stage.calls()
    assert await calls.read("XLEN", calls.key("events")) == 6


async def test_a_worker_that_finds_no_redis_waits_and_says_so(stage: Stage) -> None:
    stage.server.kill()
    worker, scheduler = stage.worker("--with-scheduler"), stage.scheduler()
    for process in (worker, scheduler):
        waiting = await process.says("redis.away", count=2)
        assert waiting["url"] == stage.server.url
    stage.server.start()
    await worker.working()
    await scheduler.says("scheduler.working")
    await stage.send("one")
    await stage.all_end(within_s=5)
    await check(stage)


async def test_a_worker_that_waits_for_redis_can_be_told_to_leave(stage: Stage) -> None:
    stage.server.kill()
    worker, scheduler = stage.worker(), stage.scheduler()
    for process in (worker, scheduler):
        await process.says("redis.away")
        process.signal_group(15)
        assert await process.exits(within_s=2) == 0


async def test_a_drain_without_redis_leaves_in_time(stage: Stage) -> None:
    worker = await stage.worker("--grace", "1s", "--with-scheduler").working()
    await stage.send("one", seconds=60)
    await until(lambda: stage.ledger.count("start") == 1, "the step has begun", within_s=10)
    stage.server.kill()
    told_s = time.monotonic()
    worker.signal_group(15)
    assert await worker.exits(within_s=6) == 0
    assert time.monotonic() - told_s < 3 + SCHEDULING_S


async def test_a_flushed_redis_ends_workers_and_schedulers_loudly(stage: Stage) -> None:
    """The namespace is not the one they knew: 75, and not a key is written any more."""
    scheduler = stage.scheduler()
    worker = await stage.worker().working()
    await scheduler.says("scheduler.working")
    await stage.send("one", 3, seconds=0.1)
    await stage.send("one", 3, seconds=30)
    await until(lambda: stage.ledger.count("end") == 3, "three are done, three are in hand", within_s=10)
    with stage.server.sync_client() as client:
        client.flushall()
        assert await worker.exits(within_s=8) == 75
        assert await scheduler.exits(within_s=8) == 75
        assert client.dbsize() == 0
    for process in (worker, scheduler):
        (said,) = process.log("state.lost")
        assert "restart this process" in said["error"]
