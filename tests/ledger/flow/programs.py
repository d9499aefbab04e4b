"""The app of `scripts/ledger flow`: each row of names.PROGRAMS as `async def` and as `def` (with `-def` in its id).

What a run does is in its event: `acts` is a list of what to do in turn, each with its seconds: `work` (a step), `toil` (code
between steps), `sleep` (a durable one), `fail` (the first attempt raises, behind its seconds), and `stubborn` (a step that
goes on for as long although it is told to stop). Every turn and every body of a step is noted.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import durableq as dq
from tests.acceptance.ledger import VARIABLE as LEDGER
from tests.ledger.flow import names
from tests.ledger.flow.names import APP_ID, KEY, PLAIN, PROGRAMS, Program, event_name
from tests.ledger.flow.notes import FOLDER, Notes

app = dq.App(APP_ID)
GENERATION = int(os.environ.get(names.VARIABLE, "0"))
folder = Path(os.environ[LEDGER]).parent / FOLDER
folder.mkdir(exist_ok=True)
notes = Notes(folder)
DEAF_S = 0.02


def _seconds(ms: int) -> float:
    return ms / 1000


def options_of(program: Program, generation: int) -> dict[str, Any]:
    """What `app.function` is given."""
    found: dict[str, Any] = {
        "concurrency": [
            dq.Concurrency(limit.numbers[generation], key=limit.key, scope=limit.scope, hold=limit.hold)  # type: ignore[arg-type]
            for limit in program.limits
        ]
    }
    if program.throttle:
        limit, period_ms, burst = program.throttle[generation]
        found["throttle"] = dq.Throttle(limit, period=_seconds(period_ms), burst=burst, key=program.throttle_by)
    if program.rate:
        limit, period_ms = program.rate[generation]
        found["rate_limit"] = dq.RateLimit(limit, period=_seconds(period_ms), key=KEY)
    if program.debounce:
        period_ms, timeout_ms = program.debounce[generation]
        found["debounce"] = dq.Debounce(_seconds(period_ms), key=KEY, timeout=_seconds(timeout_ms))
    if program.batch:
        size, timeout_ms = program.batch[generation]
        found["batch"] = dq.Batch(size, timeout=_seconds(timeout_ms), key=KEY)
    if program.single:
        found["singleton"] = dq.Singleton(program.single, key=KEY)  # type: ignore[arg-type]
    if program.idempotency:
        found["idempotency"] = f"event.data.{program.idempotency}"
    if program.priority:
        found["priority"] = program.priority
    return {name: value for name, value in found.items() if value}


class Meant(Exception):
    """The event asked for it."""


async def perform(ctx: dq.Context) -> str:
    """What every `async def` program does."""
    function = ctx.event.name
    with notes.body(ctx.run_id, function, "turn", [event.id or "" for event in ctx.events]):
        for place, (act, seconds) in enumerate(ctx.event.data["acts"]):
            if act == "work":
                await ctx.step.run(f"work-{place}", work, ctx.run_id, f"work-{place}", seconds)
            elif act == "stubborn":
                await ctx.step.run(f"stubborn-{place}", insist, ctx.run_id, f"stubborn-{place}", seconds)
            elif act == "sleep":
                await ctx.step.sleep(f"sleep-{place}", seconds)
            else:
                await asyncio.sleep(seconds)
                if act == "fail" and ctx.attempt == 0:
                    raise Meant()
    return "done"


async def work(run_id: str, step: str, seconds: float) -> str:
    with notes.body(run_id, "", step):
        await asyncio.sleep(seconds)
    return step


async def insist(run_id: str, step: str, seconds: float) -> str:
    """Goes on for its whole time, whatever it is told."""
    until_s = time.monotonic() + seconds
    told: asyncio.CancelledError | None = None
    with notes.body(run_id, "", step):
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                await asyncio.sleep(left_s)
            except asyncio.CancelledError as error:
                told = error
        if told is not None:
            raise told
    return step


def perform_plainly(ctx: dq.SyncContext) -> str:
    """What every `def` program does."""
    function = ctx.event.name
    with notes.body(ctx.run_id, function, "turn", [event.id or "" for event in ctx.events]):
        for place, (act, seconds) in enumerate(ctx.event.data["acts"]):
            if act == "work":
                ctx.step.run(f"work-{place}", toil, ctx, f"work-{place}", seconds)
            elif act == "stubborn":
                ctx.step.run(f"stubborn-{place}", insist_plainly, ctx.run_id, f"stubborn-{place}", seconds)
            elif act == "sleep":
                ctx.step.sleep(f"sleep-{place}", seconds)
            else:
                time.sleep(seconds)
                if act == "fail" and ctx.attempt == 0:
                    raise Meant()
    return "done"


def toil(ctx: dq.SyncContext, step: str, seconds: float) -> str:
    """Stops when it is told to."""
    until_s = time.monotonic() + seconds
    with notes.body(ctx.run_id, "", step):
        while (left_s := until_s - time.monotonic()) > 0:
            if ctx.cancelled.wait(min(DEAF_S, left_s)):
                raise InterruptedError("told to stop")
    return step


def insist_plainly(run_id: str, step: str, seconds: float) -> str:
    with notes.body(run_id, "", step):
        time.sleep(seconds)
    return step


def declare(to: dq.App, app_id: str) -> None:
    """Each program that this app has, twice."""
    for name, program in PROGRAMS.items():
        if app_id not in program.apps:
            continue
        options = {"backoff": dq.Backoff.fixed("200ms"), **options_of(program, GENERATION)}
        to.function(name, triggers=[dq.EventTrigger(event_name(name, app_id))], **options)(perform)
        plainly = dq.EventTrigger(event_name(name + PLAIN, app_id))
        to.function(name + PLAIN, triggers=[plainly], **options)(perform_plainly)


declare(app, APP_ID)
