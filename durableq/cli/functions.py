"""`durableq functions`: what is registered in a namespace, and whether anybody executes it; `show ID`: one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from durableq.cli import plain, texts
from durableq.cli.asking import ask
from durableq.cli.function_show import show
from durableq.cli.options import explained, json_option, redis_or_dev_options
from durableq.cli.pausing import pause, resume
from durableq.cli.places import find
from durableq.client import Client
from durableq.model.flow_text import flow_line
from durableq.services.views import CronView, FunctionView
from durableq.words.clock import SystemClock
from durableq.words.periods import format_ms

_HEAD = ("function", "triggers", "retries", "queued", "waiting", "completed", "failed", "cancelled", "workers")
_CRON_HEAD = ("function", "cron", "next tick", "last tick", "ticks", "skipped", "missed")


@click.group("functions", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@json_option
@redis_or_dev_options
@click.pass_context
@explained
def command(ctx: click.Context, as_json: bool, redis_url: str | None, namespace: str | None) -> None:
    """List registered functions: triggers, runs in each place, workers that have them, and when crons tick next."""
    if ctx.invoked_subcommand is not None:
        # Flags before the command's name are meant for it.
        given = {"as_json": as_json, "redis_url": redis_url, "namespace": namespace}
        ctx.default_map = dict.fromkeys(command.commands, given)
        return
    found = find(redis_url, namespace, or_dev=True)

    async def listed(client: Client) -> list[FunctionView]:
        return await client.functions()

    functions = ask(found, listed)
    if as_json:
        click.echo(plain.to_json([plain.function(view) for view in functions]))
    elif not functions:
        click.echo(
            f"no functions in namespace {found.namespace!r}: a worker registers those of its apps when it starts"
        )
    else:
        click.echo(_text(functions))


command.add_command(show)
command.add_command(pause)
command.add_command(resume)


def _text(functions: Sequence[FunctionView]) -> str:
    rows = [_row(view) for view in functions]
    remarks = [line for view in functions for line in _remarks(view)]
    crons = [_cron(view, cron) for view in functions for cron in view.crons]
    tables = [texts.table(_HEAD, rows), *([texts.table(_CRON_HEAD, crons)] if crons else [])]
    return "\n".join(["\n\n".join(tables), *remarks])


def _row(view: FunctionView) -> tuple[str, ...]:
    counts = (view.retries, view.queued, view.waiting, view.completed, view.failed, view.cancelled, view.workers)
    return (view.id, texts.started_by(view.id, view.triggers, ", ") or "-", *map(str, counts))


def _cron(view: FunctionView, cron: CronView) -> tuple[str, ...]:
    """Times are those of the machine that asks; the expression's are those of its zone."""
    return (
        view.id,
        f"{cron.cron} {cron.timezone}",
        texts.ahead(cron.due_at_ms, SystemClock().wall_ms()) if cron.due_at_ms else "when a scheduler has looked",
        f"{texts.when(cron.last_tick_ms)} run {cron.last_run}" if cron.ticks else "-",
        *map(str, (cron.ticks, cron.skipped, cron.missed)),
    )


def _remarks(view: FunctionView) -> list[str]:
    found = [f"{view.id}: {'; '.join(ends)}"] if (ends := list(_ends(view))) else []
    if view.flow:
        found.append(_limits(view))
    if view.paused:
        meanwhile = "left out" if view.paused == "skip" else "queued"
        found.append(
            f"{view.id}: paused since {texts.when(view.paused_at_ms)}; what is triggered meanwhile is {meanwhile}"
        )
    if view.queued and not view.workers:
        runs = "1 run waits" if view.queued == 1 else f"{view.queued} runs wait"
        found.append(f"{view.id}: {runs} for a worker, and none that runs now has this function")
    if view.faults:
        times = "once" if view.faults == 1 else f"{view.faults} times"
        found.append(
            f"{view.id}: a trigger could not be evaluated {times}, the last time: {texts.clean(view.last_fault)}"
        )
    return found


def _limits(view: FunctionView) -> str:
    return f"{view.id}: {texts.clean(flow_line(view.flow))}"


def _ends(view: FunctionView) -> Iterator[str]:
    """What ends its runs from outside, and what follows a failure."""
    for listener in view.cancel_on:
        yield f"cancelled on {texts.clean(listener)}"
    if view.start_within_ms:
        yield f"cancelled unless it starts within {format_ms(view.start_within_ms)}"
    if view.finish_within_ms:
        yield f"cancelled unless it finishes within {format_ms(view.finish_within_ms)}"
    if view.on_failure:
        yield f"a failure starts {view.on_failure}"
