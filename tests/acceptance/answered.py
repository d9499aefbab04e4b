"""Two apps whose functions wait for each other and for events, each as `async def` and as `def` (`-def` in its id).

A body that holds goes on when its gate is opened: a file beside the ledger.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import durableq as dq
from tests.acceptance.ledger import VARIABLE, Ledger

asking = dq.App("asking")
helping = dq.App("helping")
ledger = Ledger(os.environ[VARIABLE])
SAME_KEY = "event.data.key == async.data.key"


def gate(name: str) -> Path:
    """The file that opens a gate."""
    return ledger.path.parent / f"gate-{name}"


async def hold(run_id: str, step: str, name: str) -> str:
    with ledger.body(run_id, step):
        while not gate(name).exists():
            await asyncio.sleep(0.01)
    return step


def hold_plainly(run_id: str, step: str, name: str) -> str:
    """Whatever happens to its run."""
    with ledger.body(run_id, step):
        while not gate(name).exists():
            time.sleep(0.01)
    return step


# --- a wait, a gate before it and a step behind it


@asking.function("wait", triggers=[dq.EventTrigger("asking/wait")])
async def wait(ctx: dq.Context) -> Any:
    await ctx.step.run("before", hold, ctx.run_id, "before", "before")
    event = await ctx.step.wait_for_event("answer", "asking/answer", timeout="10m", if_=SAME_KEY)
    await ctx.step.run("after", hold, ctx.run_id, "after", "after")
    return None if event is None else event.data["n"]


@asking.function("wait-def", triggers=[dq.EventTrigger("asking/wait")])
def wait_plainly(ctx: dq.SyncContext) -> Any:
    ctx.step.run("before", hold_plainly, ctx.run_id, "before", "before")
    event = ctx.step.wait_for_event("answer", "asking/answer", timeout="10m", if_=SAME_KEY)
    ctx.step.run("after", hold_plainly, ctx.run_id, "after", "after")
    return None if event is None else event.data["n"]


# --- events one by one


@asking.function("read", triggers=[dq.EventTrigger("asking/read")])
async def read(ctx: dq.Context) -> list[int]:
    found = []
    while len(found) < ctx.event.data["count"]:
        line = await ctx.step.wait_for_event("line", "asking/line", timeout="10m", if_=SAME_KEY)
        assert line is not None
        found.append(line.data["n"])
        ledger.write("read", ctx.run_id, str(line.data["n"]))
    return found


@asking.function("read-def", triggers=[dq.EventTrigger("asking/read")])
def read_plainly(ctx: dq.SyncContext) -> list[int]:
    found: list[int] = []
    while len(found) < ctx.event.data["count"]:
        line = ctx.step.wait_for_event("line", "asking/line", timeout="10m", if_=SAME_KEY)
        assert line is not None
        found.append(line.data["n"])
        ledger.write("read", ctx.run_id, str(line.data["n"]))
    return found


# --- a function of the other app


@asking.function("ask", triggers=[dq.EventTrigger("asking/ask")])
async def ask(ctx: dq.Context) -> Any:
    n = ctx.event.data["n"]
    return await asyncio.gather(*(ctx.step.invoke("help", "helping/help", data={"n": n, "of": i}) for i in range(3)))


@asking.function("ask-def", triggers=[dq.EventTrigger("asking/ask")])
def ask_plainly(ctx: dq.SyncContext) -> Any:
    n = ctx.event.data["n"]
    return [ctx.step.invoke("help", "helping/help-def", data={"n": n, "of": i}) for i in range(3)]


@helping.function("help", triggers=[dq.EventTrigger("helping/help")])
async def help_(ctx: dq.Context) -> int:
    n, of = ctx.event.data["n"], ctx.event.data["of"]
    await ctx.step.run("work", hold, ctx.run_id, "work", "help")
    return 10 * int(n) + int(of)


@helping.function("help-def", triggers=[dq.EventTrigger("helping/help-def")])
def help_plainly(ctx: dq.SyncContext) -> int:
    n, of = ctx.event.data["n"], ctx.event.data["of"]
    ctx.step.run("work", hold_plainly, ctx.run_id, "work", "help")
    return 10 * int(n) + int(of)
