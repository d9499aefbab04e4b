"""An app under flow control, for tests with real processes: each function as `async def` and as `def` (`-def` in its id).

A body goes on until its gate is opened, a file beside the ledger. How many may execute is in the environment, so that
another deployment may say otherwise.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import durableq as dq
from tests.acceptance.ledger import VARIABLE, Ledger

APP = "tests.acceptance.limited:app"
LIMIT_VARIABLE = "LIMITED_TO"
KEY = "event.data.key"

app = dq.App("limited")
ledger = Ledger(os.environ.get(VARIABLE, os.devnull))
LIMIT = int(os.environ.get(LIMIT_VARIABLE, "1"))


def gate(folder: Path, name: str) -> Path:
    """The file that opens a gate."""
    return folder / f"gate-{name}"


def is_open(name: str) -> bool:
    return gate(ledger.path.parent, name).exists()


async def hold(run_id: str, step: str, name: str) -> None:
    with ledger.body(run_id, step):
        while not is_open(name):
            await asyncio.sleep(0.01)


def hold_plainly(ctx: dq.SyncContext, step: str, name: str) -> None:
    with ledger.body(ctx.run_id, step):
        while not is_open(name):
            if ctx.cancelled.wait(0.01):
                raise InterruptedError("told to stop")


async def insist(run_id: str, step: str, name: str) -> None:
    """Goes on until its gate is open, whatever it is told."""
    told: asyncio.CancelledError | None = None
    with ledger.body(run_id, step):
        while not is_open(name):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError as error:
                told = error
    if told is not None:
        raise told


def insist_plainly(run_id: str, step: str, name: str) -> None:
    with ledger.body(run_id, step):
        while not is_open(name):
            time.sleep(0.01)


@app.function("one", triggers=[dq.EventTrigger("limited/one")], concurrency=dq.Concurrency(LIMIT, key=KEY))
async def one(ctx: dq.Context) -> None:
    await ctx.step.run("held", hold, ctx.run_id, "one", ctx.event.data["gate"])


@app.function("one-def", triggers=[dq.EventTrigger("limited/one")], concurrency=dq.Concurrency(LIMIT, key=KEY))
def one_plainly(ctx: dq.SyncContext) -> None:
    ctx.step.run("held", hold_plainly, ctx, "one-def", ctx.event.data["gate"])


@app.function("only", triggers=[dq.EventTrigger("limited/only")], singleton=dq.Singleton("cancel", key=KEY))
async def only(ctx: dq.Context) -> None:
    await ctx.step.run("held", insist, ctx.run_id, "only", ctx.event.data["gate"])


@app.function("only-def", triggers=[dq.EventTrigger("limited/only")], singleton=dq.Singleton("cancel", key=KEY))
def only_plainly(ctx: dq.SyncContext) -> None:
    ctx.step.run("held", insist_plainly, ctx.run_id, "only-def", ctx.event.data["gate"])


@app.function("tidy", triggers=[dq.EventTrigger("limited/tidy")], concurrency=dq.Concurrency(LIMIT, key=KEY))
async def tidy(ctx: dq.Context) -> None:
    """Has something to put away whenever it leaves, also to sleep."""
    try:
        await ctx.step.sleep("nap", 0.2)
    finally:
        await hold(ctx.run_id, "tidy", ctx.event.data["gate"])


@app.function("tidy-def", triggers=[dq.EventTrigger("limited/tidy")], concurrency=dq.Concurrency(LIMIT, key=KEY))
def tidy_plainly(ctx: dq.SyncContext) -> None:
    try:
        ctx.step.sleep("nap", 0.2)
    finally:
        insist_plainly(ctx.run_id, "tidy-def", ctx.event.data["gate"])
