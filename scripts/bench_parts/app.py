"""The functions that are measured. Loaded by a real `durableq worker`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import durableq as dq

app = dq.App("bench")

NOTHING = 2
"""How many functions do nothing: a function keeps 10,000 finished runs, and memory is measured over 20,000."""
STEPS_PER_RUN = 10
STEPS_ALONE = 500


async def _nothing(_ctx: dq.Context) -> None:
    return None


for number in range(NOTHING):
    app.function(f"nothing-{number}", triggers=[dq.EventTrigger(f"bench/nothing-{number}")])(_nothing)


async def _answer(number: int) -> int:
    return number


@app.function("ten-steps", triggers=[dq.EventTrigger("bench/ten-steps")])
async def ten_steps(ctx: dq.Context) -> int:
    """Ten steps, one after the other."""
    total = 0
    for number in range(STEPS_PER_RUN):
        total += await ctx.step.run(f"step-{number}", _answer, number)
    return total


@app.function("alone", triggers=[dq.EventTrigger("bench/alone")])
async def alone(ctx: dq.Context) -> list[int]:
    """How long each of its steps took, in ns."""
    took_ns = []
    for number in range(STEPS_ALONE):
        began_ns = time.monotonic_ns()
        await ctx.step.run(f"step-{number}", _answer, number)
        took_ns.append(time.monotonic_ns() - began_ns)
    return took_ns


async def _since(sent_ns: int) -> int:
    return time.monotonic_ns() - sent_ns


@app.function("first-step", triggers=[dq.EventTrigger("bench/first-step")])
async def first_step(ctx: dq.Context) -> int:
    """How long after `send` was called its first step began, in ns. The monotonic clock is one for all processes."""
    return await ctx.step.run("begin", _since, ctx.event.data["sent_ns"])


@app.function("sleeper", triggers=[dq.EventTrigger("bench/sleeper")])
async def sleeper(ctx: dq.Context) -> None:
    """Never executed: the driver claims its runs and puts them to sleep with the store's own verbs."""
    await ctx.step.sleep("nap", "1h")


@app.function("waiter", triggers=[dq.EventTrigger("bench/waiter")])
async def waiter(ctx: dq.Context) -> None:
    """Never executed either: the driver begins its waits."""
    await ctx.step.sleep("nap", "1h")


MANY = 1_000_000
"""A limit that lets everything through."""

_CONCURRENCY = dq.Concurrency(MANY)
_THROTTLE = dq.Throttle(MANY, period="1s", burst=MANY)
for name, options in {
    "flow-none": {},
    "flow-concurrency": {"concurrency": _CONCURRENCY},
    "flow-throttle": {"concurrency": _CONCURRENCY, "throttle": _THROTTLE},
    "flow-all": {"concurrency": _CONCURRENCY, "throttle": _THROTTLE, "idempotency": "event.data.order"},
    "flow-keyed": {
        "concurrency": dq.Concurrency(MANY, key="event.data.user"),
        "throttle": dq.Throttle(MANY, period="1s", burst=MANY, key="event.data.user"),
        "idempotency": "event.data.order",
    },
    "flow-narrow": {"concurrency": dq.Concurrency(1, key="event.data.key")},
}.items():
    app.function(name, triggers=[dq.EventTrigger(f"bench/{name}")], **options)(_nothing)


def _report(path: str, took_ns: int) -> None:
    with open(path, "a") as report:
        report.write(f"{took_ns}\n")


@app.function(
    "flow-tenant",
    triggers=[dq.EventTrigger("bench/flow-tenant")],
    concurrency=dq.Concurrency(50, key="event.data.tenant"),
)
async def flow_tenant(ctx: dq.Context) -> None:
    """Writes how long after `send` it began, where it is told to; else it takes a little while."""
    data = ctx.event.data
    if "report" in data:
        _report(data["report"], time.monotonic_ns() - data["sent_ns"])
    else:
        await asyncio.sleep(0.01)


def payload(index: int) -> dict[str, Any]:
    """About 200 bytes, as an order might have."""
    return {
        "order_id": index,
        "customer_id": f"customer-{index % 1000:06d}",
        "total": 129.5,
        "currency": "EUR",
        "note": "x" * 112,
    }
