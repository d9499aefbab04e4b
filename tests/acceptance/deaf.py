"""An app whose bodies go on whatever cancels them, under limits of one: each says in the ledger whether it is alone."""

from __future__ import annotations

import asyncio
import os
import time

import durableq as dq
from tests.acceptance.harness import alive
from tests.acceptance.ledger import VARIABLE, Ledger

app = dq.App("acceptance")
ledger = Ledger(os.environ.get(VARIABLE, os.devnull))


def others(step: str, run_id: str) -> bool:
    """Whether a body of this step executes in a process that lives: it has begun, and has not ended."""
    over = {(line.run_id, line.pid) for line in ledger.lines("end", step=step)}
    return any(
        (line.run_id, line.pid) not in over and alive(line.pid)
        for line in ledger.lines("start", step=step)
        if (line.run_id, line.pid) != (run_id, os.getpid())
    )


def begin(step: str, run_id: str) -> None:
    if others(step, run_id):
        ledger.write("overlap", run_id, step)
    ledger.write("start", run_id, step)


async def awaits(run_id: str, seconds: float) -> None:
    begin("async", run_id)
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    ledger.write("end", run_id, "async")


def blocks(run_id: str, seconds: float) -> None:
    begin("def", run_id)
    time.sleep(seconds)
    ledger.write("end", run_id, "def")


@app.function("deaf", triggers=[dq.EventTrigger("work/deaf")], concurrency=1, retries=0)
async def deaf(ctx: dq.Context) -> None:
    await ctx.step.run("body", awaits, ctx.run_id, ctx.event.data["seconds"])


@app.function("deaf-def", triggers=[dq.EventTrigger("work/deaf")], concurrency=1, retries=0)
def deaf_plainly(ctx: dq.SyncContext) -> None:
    ctx.step.run("body", blocks, ctx.run_id, ctx.event.data["seconds"])
