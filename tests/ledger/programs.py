"""The app of scripts/ledger: functions that wait in every way, each as `async def` and as `def` (with `-def` in its id).

The run's event says what its driver means to do: `key` names the run in the conditions, `lag` is how long it sleeps before it
waits, `timeout` how long it waits, `nap` what a race sleeps. What answers carries a `mark`, and `fail` if the run shall fail.
Each returns `{"by": what ended its wait, "marks": [what answers it was given]}`. The body of each step is noted in the ledger.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from typing import Any

import durableq as dq
from tests.acceptance.ledger import VARIABLE, Ledger
from tests.ledger.names import ANNOUNCED, ANSWERED, APP_ID, CANCELLED, CONDITIONS, FINISH_S

app = dq.App(APP_ID)
ledger = Ledger(os.environ[VARIABLE])


class Unwanted(Exception):
    """An answer said that the run shall fail."""


async def mourn(ctx: dq.Context) -> str:
    """What on_failure starts."""
    await ctx.step.run("mourn", work, ctx.run_id, "mourn")
    return str(ctx.event.data["run_id"])


def mourn_plainly(ctx: dq.SyncContext) -> str:
    ctx.step.run("mourn", toil, ctx.run_id, "mourn")
    return str(ctx.event.data["run_id"])


def program(name: str, **options: Any) -> Callable[[Callable[..., Any]], dq.Function[Any]]:
    """Declares a function that is cancelled by its key. The id of a `def` one ends in `-def`."""

    def declare(handler: Callable[..., Any]) -> dq.Function[Any]:
        on_failure = mourn if inspect.iscoroutinefunction(handler) else mourn_plainly
        return app.function(
            name,
            triggers=[dq.EventTrigger(f"ledger/{name}")],
            cancel_on=[dq.CancelOn(CANCELLED, if_=CONDITIONS[CANCELLED])],
            on_failure=on_failure,
            **options,
        )(handler)

    return declare


async def work(run_id: str, step: str) -> str:
    with ledger.body(run_id, step):
        await asyncio.sleep(0.01)
    return step


def toil(run_id: str, step: str) -> str:
    with ledger.body(run_id, step):
        time.sleep(0.01)
    return step


def told(*answers: Any) -> dict[str, Any]:
    """What a run returns. Raises when an answer asks for that. An answer is an Event, a Signal, or None for a timeout."""
    given = [answer.data for answer in answers if answer is not None]
    if any(data.get("fail") for data in given):
        raise dq.NonRetriableError("an answer said so") from Unwanted()
    by = "answer" if len(given) == len(answers) else "timeout"
    return {"by": by, "marks": [data["mark"] for data in given]}


# --- a wait for an event, by key


async def _before(ctx: dq.Context) -> dict[str, Any]:
    data = ctx.event.data
    await ctx.step.run("before", work, ctx.run_id, "before")
    if data.get("lag"):
        await ctx.step.sleep("lag", data["lag"])
    return data


def _plainly_before(ctx: dq.SyncContext) -> dict[str, Any]:
    data = ctx.event.data
    ctx.step.run("before", toil, ctx.run_id, "before")
    if data.get("lag"):
        ctx.step.sleep("lag", data["lag"])
    return data


async def waits(ctx: dq.Context) -> dict[str, Any]:
    data = await _before(ctx)
    answer = await ctx.step.wait_for_event("answer", ANSWERED, timeout=data["timeout"], if_=CONDITIONS[ANSWERED])
    result = told(answer)
    await ctx.step.run("after", work, ctx.run_id, "after")
    return result


def waits_plainly(ctx: dq.SyncContext) -> dict[str, Any]:
    data = _plainly_before(ctx)
    answer = ctx.step.wait_for_event("answer", ANSWERED, timeout=data["timeout"], if_=CONDITIONS[ANSWERED])
    result = told(answer)
    ctx.step.run("after", toil, ctx.run_id, "after")
    return result


program("event")(waits)
program("event-def")(waits_plainly)
program("hurried", timeouts=dq.Timeouts(finish=FINISH_S))(waits)
program("hurried-def", timeouts=dq.Timeouts(finish=FINISH_S))(waits_plainly)


# --- a wait that no index finds


@program("ranged")
async def ranged(ctx: dq.Context) -> dict[str, Any]:
    data = await _before(ctx)
    return told(await ctx.step.wait_for_event("answer", ANNOUNCED, timeout=data["timeout"], if_=CONDITIONS[ANNOUNCED]))


@program("ranged-def")
def ranged_plainly(ctx: dq.SyncContext) -> dict[str, Any]:
    data = _plainly_before(ctx)
    return told(ctx.step.wait_for_event("answer", ANNOUNCED, timeout=data["timeout"], if_=CONDITIONS[ANNOUNCED]))


# --- one event after another


@program("loop")
async def loop(ctx: dq.Context) -> dict[str, Any]:
    data = await _before(ctx)
    answers = []
    for _ in range(3):
        answers.append(
            await ctx.step.wait_for_event("answer", ANSWERED, timeout=data["timeout"], if_=CONDITIONS[ANSWERED])
        )
        await ctx.step.run(f"noted-{len(answers)}", work, ctx.run_id, f"noted-{len(answers)}")
    return told(*answers)


@program("loop-def")
def loop_plainly(ctx: dq.SyncContext) -> dict[str, Any]:
    data = _plainly_before(ctx)
    answers = []
    for _ in range(3):
        answers.append(ctx.step.wait_for_event("answer", ANSWERED, timeout=data["timeout"], if_=CONDITIONS[ANSWERED]))
        ctx.step.run(f"noted-{len(answers)}", toil, ctx.run_id, f"noted-{len(answers)}")
    return told(*answers)


# --- a signal


@program("signal")
async def signal(ctx: dq.Context) -> dict[str, Any]:
    data = await _before(ctx)
    return told(await ctx.step.wait_for_signal("answer", data["key"], timeout=data["timeout"]))


@program("signal-def")
def signal_plainly(ctx: dq.SyncContext) -> dict[str, Any]:
    data = _plainly_before(ctx)
    return told(ctx.step.wait_for_signal("answer", data["key"], timeout=data["timeout"]))


# --- a child that waits


async def child(ctx: dq.Context) -> dict[str, Any]:
    data = ctx.event.data
    ledger.write("child", ctx.run_id, data["key"])
    answer = await ctx.step.wait_for_event("answer", ANSWERED, timeout=data["timeout"], if_=CONDITIONS[ANSWERED])
    return told(answer)


def child_plainly(ctx: dq.SyncContext) -> dict[str, Any]:
    data = ctx.event.data
    ledger.write("child", ctx.run_id, data["key"])
    return told(ctx.step.wait_for_event("answer", ANSWERED, timeout=data["timeout"], if_=CONDITIONS[ANSWERED]))


waiting_child = program("child")(child)
waiting_child_plainly = program("child-def")(child_plainly)


def _of_child(error: Exception) -> dict[str, Any]:
    if isinstance(error, dq.InvokeTimeout):
        return {"by": "invoke timeout", "marks": []}
    assert isinstance(error, dq.StepError)
    return {"by": "child cancelled" if error.matches(dq.RunCancelled) else "child failed", "marks": []}


@program("invoke")
async def invokes(ctx: dq.Context) -> dict[str, Any]:
    data = await _before(ctx)
    given = {"key": data["key"] + " child", "timeout": data["timeout"], "parent": ctx.run_id}
    try:
        return await ctx.step.invoke("child", waiting_child, data=given, timeout=data["patience"])
    except (dq.StepError, dq.InvokeTimeout) as error:
        return _of_child(error)


@program("invoke-def")
def invokes_plainly(ctx: dq.SyncContext) -> dict[str, Any]:
    data = _plainly_before(ctx)
    given = {"key": data["key"] + " child", "timeout": data["timeout"], "parent": ctx.run_id}
    try:
        return ctx.step.invoke("child", "waits/child-def", data=given, timeout=data["patience"])
    except (dq.StepError, dq.InvokeTimeout) as error:
        return _of_child(error)


# --- a wait against a sleep


@program("race")
async def race(ctx: dq.Context) -> dict[str, Any]:
    data = await _before(ctx)
    answer = asyncio.ensure_future(
        ctx.step.wait_for_event("answer", ANSWERED, timeout=data["timeout"], if_=CONDITIONS[ANSWERED])
    )
    nap = asyncio.ensure_future(ctx.step.sleep("nap", data["nap"]))
    done, _ = await asyncio.wait((answer, nap), return_when=asyncio.FIRST_COMPLETED)
    result = told(answer.result()) if answer in done else {"by": "sleep", "marks": []}
    await ctx.step.run("after", work, ctx.run_id, "after")
    return result


@program("race-def")
def race_plainly(ctx: dq.SyncContext) -> dict[str, Any]:
    """Both, since `parallel` waits for all: so the sleep is short."""
    data = _plainly_before(ctx)
    answer, _ = ctx.parallel(
        lambda: ctx.step.wait_for_event("answer", ANSWERED, timeout=data["timeout"], if_=CONDITIONS[ANSWERED]),
        lambda: ctx.step.sleep("nap", min(1, data["nap"])),
    )
    return told(answer)


# --- who looks on


@app.function(
    "witness", triggers=[dq.EventTrigger("inngest/function.cancelled", if_="event.data.app_id == 'waits'")], retries=0
)
async def witness(ctx: dq.Context) -> str:
    """As people write their clean-up."""
    return str(ctx.event.data["run_id"])
