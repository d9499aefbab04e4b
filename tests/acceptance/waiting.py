"""An app of functions that wait, for tests of races and of cancellation, each as `async def` and as `def` (`-def` in its id).

A body that holds goes on when its gate is opened: a file beside the ledger, so that tests decide what comes before what.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import durableq as dq
from tests.acceptance.ledger import VARIABLE, Ledger

app = dq.App("waiting")
ledger = Ledger(os.environ[VARIABLE])
LIMIT = float(os.environ.get("WAITING_START_S", "0"))
SAME_KEY = "event.data.key == async.data.key"
CANCEL_ON = [dq.CancelOn("waiting/cancel", if_=SAME_KEY)]


def gate(name: str) -> Path:
    """The file that opens a gate."""
    return ledger.path.parent / f"gate-{name}"


async def hold(run_id: str, step: str, name: str) -> str:
    with ledger.body(run_id, step):
        while not gate(name).exists():
            await asyncio.sleep(0.01)
    return step


def hold_plainly(ctx: dq.SyncContext, step: str, name: str) -> str:
    with ledger.body(ctx.run_id, step):
        while not gate(name).exists():
            if ctx.cancelled.wait(0.01):
                raise InterruptedError("told to stop")
    return step


async def note(run_id: str, step: str) -> str:
    ledger.write("start", run_id, step)
    await asyncio.sleep(0)
    ledger.write("end", run_id, step)
    return step


def note_plainly(run_id: str, step: str) -> str:
    ledger.write("start", run_id, step)
    time.sleep(0)
    ledger.write("end", run_id, step)
    return step


# --- an event against a timeout, with a step behind it that a kill may hit


@app.function("answer", triggers=[dq.EventTrigger("waiting/answer")], cancel_on=CANCEL_ON)
async def answer(ctx: dq.Context) -> list[Any]:
    event = await ctx.step.wait_for_event("answer", "waiting/answered", timeout=ctx.event.data["timeout"], if_=SAME_KEY)
    told = None if event is None else event.data["mark"]
    ledger.write(f"told {told}", ctx.run_id)
    await ctx.step.run("after", hold, ctx.run_id, "after", "after")
    return [told]


@app.function("answer-def", triggers=[dq.EventTrigger("waiting/answer")], cancel_on=CANCEL_ON)
def answer_plainly(ctx: dq.SyncContext) -> list[Any]:
    event = ctx.step.wait_for_event("answer", "waiting/answered", timeout=ctx.event.data["timeout"], if_=SAME_KEY)
    told = None if event is None else event.data["mark"]
    ledger.write(f"told {told}", ctx.run_id)
    ctx.step.run("after", hold_plainly, ctx, "after", "after")
    return [told]


# --- a body that a cancel meets


@app.function("busy", triggers=[dq.EventTrigger("waiting/busy")], cancel_on=CANCEL_ON)
async def busy(ctx: dq.Context) -> str:
    await ctx.step.run("held", hold, ctx.run_id, "held", ctx.event.data["key"])
    return await ctx.step.run("next", note, ctx.run_id, "next")


@app.function("busy-def", triggers=[dq.EventTrigger("waiting/busy")], cancel_on=CANCEL_ON)
def busy_plainly(ctx: dq.SyncContext) -> str:
    ctx.step.run("held", hold_plainly, ctx, "held", ctx.event.data["key"])
    return ctx.step.run("next", note_plainly, ctx.run_id, "next")


@app.function("quick", triggers=[dq.EventTrigger("waiting/quick")])
async def quick(ctx: dq.Context) -> str:
    return await ctx.step.run("only", note, ctx.run_id, "only")


@app.function("quick-def", triggers=[dq.EventTrigger("waiting/quick")])
def quick_plainly(ctx: dq.SyncContext) -> str:
    return ctx.step.run("only", note_plainly, ctx.run_id, "only")


# --- a signal


@app.function("signalled", triggers=[dq.EventTrigger("waiting/signalled")])
async def signalled(ctx: dq.Context) -> Any:
    await ctx.step.run("held", hold, ctx.run_id, "held", "signal")
    try:
        signal = await ctx.step.wait_for_signal("go", ctx.event.data["key"], timeout="1h")
    except dq.StepError as error:
        return f"taken: {error.matches(dq.SignalTaken)}"
    assert signal is not None
    return signal.data


@app.function("signalled-def", triggers=[dq.EventTrigger("waiting/signalled-def")])
def signalled_plainly(ctx: dq.SyncContext) -> Any:
    ctx.step.run("held", hold_plainly, ctx, "held", "signal")
    try:
        signal = ctx.step.wait_for_signal("go", ctx.event.data["key"], timeout="1h")
    except dq.StepError as error:
        return f"taken: {error.matches(dq.SignalTaken)}"
    assert signal is not None
    return signal.data


# --- a parent and its children


@app.function("parent", triggers=[dq.EventTrigger("waiting/parent")])
async def parent(ctx: dq.Context) -> Any:
    given = {"key": ctx.event.data["key"]}
    return await asyncio.gather(
        ctx.step.invoke("busy", busy, data=given), ctx.step.invoke("plainly", "busy-def", data=given)
    )


@app.function("parent-def", triggers=[dq.EventTrigger("waiting/parent")])
def parent_plainly(ctx: dq.SyncContext) -> Any:
    given = {"key": ctx.event.data["key"]}
    return ctx.parallel(
        lambda: ctx.step.invoke("busy", busy, data=given),
        lambda: ctx.step.invoke("plainly", "waiting/busy-def", data=given),
    )
