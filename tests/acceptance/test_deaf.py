"""Bodies that ignore their cancellation, under limits of one: nobody else begins before they end, or their process does."""

from __future__ import annotations

import os
import signal

from tests.acceptance.harness import Process, Stage, until

APP = "tests.acceptance.deaf:app"
KINDS = ("async", "def")
IGNORES_S = 8.0


async def crew(stage: Stage, count: int = 2, *options: str) -> list[Process]:
    workers = [stage.worker("--with-scheduler", *options, app=APP) for _ in range(count)]
    return [await worker.working() for worker in workers]


async def begun(stage: Stage, count: int, *, within_s: float = 10) -> None:
    """Wait until so many bodies of each kind have begun."""
    await until(
        lambda: all(stage.ledger.count("start", step=kind) >= count for kind in KINDS),
        f"{count} bodies of each kind have begun",
        within_s=within_s,
    )


def alone(stage: Stage) -> None:
    assert stage.ledger.lines("overlap") == []


async def test_nobody_begins_before_a_cancelled_body_has_ended(stage: Stage) -> None:
    """8 s: it is given up on after 5, and hands are compared every 2."""
    await crew(stage)
    await stage.send("deaf", seconds=IGNORES_S)
    await begun(stage, 1)
    await stage.send("deaf", 3, seconds=0.0)
    for line in stage.ledger.lines("start"):
        await stage.client().cancel(line.run_id)
    await stage.all_end(within_s=IGNORES_S + 10, count=8)
    alone(stage)
    for kind in KINDS:
        first, second, *_ = stage.ledger.lines("start", step=kind)
        (ended, *_) = stage.ledger.lines("end", step=kind)
        assert (ended.run_id, first.run_id) == (first.run_id, first.run_id)
        assert ended.at_ms - first.at_ms > IGNORES_S * 1000 - 100
        assert ended.at_ms <= second.at_ms < ended.at_ms + 2000, "its slot came back at once"
        assert stage.ledger.count("start", step=kind) == 4


async def test_the_end_of_its_process_frees_what_a_cancelled_body_holds(stage: Stage) -> None:
    await crew(stage)
    await stage.send("deaf", seconds=600.0)
    await begun(stage, 1)
    await stage.send("deaf", seconds=0.0)
    firsts = stage.ledger.lines("start")
    for line in firsts:
        await stage.client().cancel(line.run_id)
    for pid in {line.pid for line in firsts}:
        os.kill(pid, signal.SIGKILL)
    await stage.all_end(within_s=15, count=4)
    alone(stage)
    assert stage.ledger.count("start") == 4


async def test_who_is_told_to_stop_hands_a_body_over_when_its_process_is_gone(stage: Stage) -> None:
    first, *_ = await crew(stage, 1, "--grace", "500ms")
    await stage.send("deaf", seconds=20.0)
    await begun(stage, 1)
    await crew(stage, 1)
    first.signal_group(signal.SIGTERM)
    assert await first.exits(within_s=5) == 0
    await begun(stage, 2, within_s=5)
    alone(stage)
    assert all(run.row.deaths == 0 for run in await stage.runs())
