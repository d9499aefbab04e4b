"""The app that acceptance tests and scripts/chaos run: functions that act by word, each body noted in the ledger.

`event.data` says how long bodies take (`seconds`; a list: the first execution, the second …) and whatever else a program
wants to know. Step ids are unique within a
run, so that (run, step) names one memo and one line of bodies in the ledger.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import deque
from typing import Any

import durableq as dq
from tests.acceptance.ledger import VARIABLE, Ledger

app = dq.App("acceptance")
ledger = Ledger(os.environ[VARIABLE])
SOON = dq.Backoff.fixed("300ms", jitter=0)


Seconds = float | list[float]


async def work(run_id: str, step: str, seconds: Seconds) -> str:
    with ledger.body(run_id, step):
        await asyncio.sleep(_now(run_id, step, seconds))
    return step


def toil(run_id: str, step: str, seconds: Seconds) -> str:
    """`work` for threads."""
    with ledger.body(run_id, step):
        time.sleep(_now(run_id, step, seconds))
    return step


def _now(run_id: str, step: str, seconds: Seconds) -> float:
    if not isinstance(seconds, list):
        return seconds
    executions = ledger.starts()[run_id, step]
    return seconds[min(executions, len(seconds)) - 1]


@app.function("one", triggers=[dq.EventTrigger("work/one")])
async def one(ctx: dq.Context) -> str:
    """One step."""
    result = await ctx.step.run("work", work, ctx.run_id, "work", ctx.event.data.get("seconds", 0.0))
    ledger.write("returned", ctx.run_id)
    return result


@app.function("chain", triggers=[dq.EventTrigger("work/chain")])
async def chain(ctx: dq.Context) -> list[str]:
    """Steps one after another, a sleep, steps side by side, a step."""
    seconds = ctx.event.data.get("seconds", 0.0)
    done = [await ctx.step.run(step, work, ctx.run_id, step, seconds) for step in ("first", "second")]
    await ctx.step.sleep("nap", ctx.event.data.get("nap", 0.3))
    done += await asyncio.gather(
        *(ctx.step.run(step, work, ctx.run_id, step, seconds) for step in ("left", "middle", "right"))
    )
    done.append(await ctx.step.run("last", work, ctx.run_id, "last", seconds))
    ledger.write("returned", ctx.run_id)
    return done


@app.function("plain", triggers=[dq.EventTrigger("work/plain")])
def plain(ctx: dq.SyncContext) -> list[str]:
    """A `def` function: steps in its thread, a sleep, steps in threads side by side."""
    seconds = ctx.event.data.get("seconds", 0.0)
    done = [ctx.step.run("first", toil, ctx.run_id, "first", seconds)]
    ctx.step.sleep("nap", ctx.event.data.get("nap", 0.3))
    done += ctx.parallel(
        lambda: ctx.step.run("left", toil, ctx.run_id, "left", seconds),
        lambda: ctx.step.run("right", toil, ctx.run_id, "right", seconds),
    )
    ledger.write("returned", ctx.run_id)
    return done


@app.function("stubborn", triggers=[dq.EventTrigger("work/stubborn")], retries=3, backoff=SOON)
async def stubborn(ctx: dq.Context) -> str:
    """A step that succeeds at its third attempt."""

    async def attempt() -> str:
        with ledger.body(ctx.run_id, "stubborn"):
            await asyncio.sleep(ctx.event.data.get("seconds", 0.0))
            if ctx.attempt < 2:
                raise RuntimeError(f"attempt {ctx.attempt} was not to be")
        return "at last"

    before = await ctx.step.run("before", work, ctx.run_id, "before", 0)
    result = await ctx.step.run("stubborn", attempt)
    ledger.write("returned", ctx.run_id)
    return before + result


@app.function("hopeless", triggers=[dq.EventTrigger("work/hopeless")], retries=1, backoff=SOON)
async def hopeless(ctx: dq.Context) -> None:
    """A step that never succeeds: the run fails."""

    async def attempt() -> None:
        with ledger.body(ctx.run_id, "hopeless"):
            await asyncio.sleep(ctx.event.data.get("seconds", 0.0))
            raise RuntimeError("never")

    await ctx.step.run("before", work, ctx.run_id, "before", 0)
    await ctx.step.run("hopeless", attempt)


@app.function("deadly", triggers=[dq.EventTrigger("work/deadly")])
async def deadly(ctx: dq.Context) -> None:
    """Takes its process with it, in its second step."""
    await ctx.step.run("innocent", work, ctx.run_id, "innocent", 0)

    async def exits() -> None:
        ledger.write("start", ctx.run_id, "fatal")
        os._exit(3)

    await ctx.step.run("fatal", exits)


@app.function("blocking", triggers=[dq.EventTrigger("work/blocking")])
async def blocking(ctx: dq.Context) -> str:
    """An `async` body that keeps the loop from turning, by sleeping or by holding the GIL all the while."""
    seconds, how = ctx.event.data["seconds"], ctx.event.data["how"]

    async def blocks() -> str:
        with ledger.body(ctx.run_id, "blocks"):
            if how == "sleep":
                time.sleep(seconds)  # the line that blocks by sleeping
            else:
                hold_gil(seconds)
        return how

    result = await ctx.step.run("blocks", blocks)
    await ctx.step.run("after", work, ctx.run_id, "after", 0)
    ledger.write("returned", ctx.run_id)
    return result


def hold_gil(seconds: float) -> None:
    """Calls into C of about six seconds each, which let no other thread of Python in, until the time is over."""
    count, took_s, over_s = 1_000_000, 0.0, time.perf_counter() + seconds
    while took_s < 0.1:
        count *= 4
        took_s = _timed(count)
    while time.perf_counter() < over_s:
        _timed(int(count * 6 / took_s))


def _timed(count: int) -> float:
    started_s = time.perf_counter()
    deque(itertools.repeat(None, count), maxlen=0)  # the line that holds the GIL
    return time.perf_counter() - started_s


hoard: list[bytes] = []


@app.function("greedy", triggers=[dq.EventTrigger("work/greedy")])
async def greedy(ctx: dq.Context) -> int:
    """Leaks memory."""

    async def leak() -> int:
        with ledger.body(ctx.run_id, "leak"):
            hoard.append(b"x" * ctx.event.data["bytes"])
            await asyncio.sleep(ctx.event.data.get("seconds", 0.0))
        return len(hoard)

    return await ctx.step.run("leak", leak)


@app.function("spawning", triggers=[dq.EventTrigger("work/spawning")])
async def spawning(ctx: dq.Context) -> Any:
    """Starts a process and terminates it, politely."""

    async def spawn() -> int:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        process.terminate()
        return await asyncio.wait_for(process.wait(), 5)

    return await ctx.step.run("spawn", spawn)
