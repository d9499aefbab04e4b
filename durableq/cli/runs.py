"""`durableq runs list` and `durableq runs show ID`."""

from __future__ import annotations

import difflib
import time
from typing import Final

import click

from durableq.cli import plain, texts
from durableq.cli.asking import ask
from durableq.cli.options import explained, json_option, redis_or_dev_options
from durableq.cli.places import find
from durableq.cli.run_text import run_text
from durableq.client import LIST_MAX, Client, states_of
from durableq.services.views import RunView
from durableq.words.errors import ConfigError, DurableqError

RUN_TAIL: Final = 6
"""As much of an id as the log of `durableq dev` shows."""
RUN_ID_LENGTH: Final = 26


class AmbiguousRun(DurableqError):
    """Several runs have an id that ends like that. The message names them."""


class UnknownFunction(DurableqError):
    """No function has this id. The message says which is near, or how to list them."""


def _statuses(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[str] | None:
    """Names of states, separated by commas."""
    names = None if value is None else [name.strip().lower() for name in value.split(",")]
    try:
        states_of(names)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None
    return names


@click.group("runs", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List runs, show one."""


@command.command("list")
@click.option(
    "--function",
    metavar="ID",
    default=None,
    envvar="DURABLEQ_RUNS_FUNCTION",
    show_envvar=True,
    help="Only of this function: `app/function`, or `function`.",
)
@click.option(
    "--status",
    callback=_statuses,
    metavar="S,…",
    default=None,
    envvar="DURABLEQ_RUNS_STATUS",
    show_envvar=True,
    help="Only these, separated by commas: queued, running, waiting, completed, failed, cancelled.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, LIST_MAX),
    default=20,
    show_default=True,
    envvar="DURABLEQ_RUNS_LIMIT",
    show_envvar=True,
    help="At most so many.",
)
@json_option
@redis_or_dev_options
@explained
def list_runs(
    function: str | None,
    status: list[str] | None,
    limit: int,
    as_json: bool,
    redis_url: str | None,
    namespace: str | None,
) -> None:
    """List the newest runs."""

    async def listed(client: Client) -> list[RunView]:
        only = None if function is None else await _full_id(client, function)
        return await client.runs.list(function=only, status=status, limit=limit)

    runs = ask(find(redis_url, namespace, or_dev=True), listed)
    if as_json:
        click.echo(plain.to_json([plain.listed_run(run) for run in runs]))
    elif not runs:
        click.echo("no runs" + ("" if function is None and status is None else " that match"))
    else:
        head = ("id", "function", "status", "created", "took")
        click.echo(texts.table(head, [_row(run) for run in runs]))


@command.command("show")
@click.argument("run_id", metavar="ID")
@json_option
@redis_or_dev_options
@explained
def show(run_id: str, as_json: bool, redis_url: str | None, namespace: str | None) -> None:
    """Show one run: its event, its steps in order, what it waits for, its result or error.

    The end of an id will do, as the log of `durableq dev` shows it, for one of the newest 1,000 runs.
    """

    async def found(client: Client) -> tuple[RunView, int | None]:
        run = await client.runs.get(await _whole_id(client, run_id))
        if run.status != "queued" or as_json:
            return run, None
        return run, next((known.workers for known in await client.functions() if known.id == run.function), 0)

    run, workers = ask(find(redis_url, namespace, or_dev=True), found)
    if as_json:
        click.echo(plain.to_json(plain.whole_run(run)))
    else:
        click.echo(run_text(run, time.time_ns() // 1_000_000, workers))


async def _whole_id(client: Client, given: str) -> str:
    """The id of the one run whose id ends so, or what was given.

    Raises AmbiguousRun when there are several.
    """
    if not RUN_TAIL <= len(given) < RUN_ID_LENGTH:
        return given
    ending = given.upper()
    meant = [run for run in await client.runs.list(limit=LIST_MAX) if run.id.endswith(ending)]
    if len(meant) > 1:
        named = ", ".join(f"{run.id} ({run.function})" for run in meant[:5])
        raise AmbiguousRun(f"{given!r} is the end of {len(meant)} ids: name one of {named}")
    return meant[0].id if meant else given


async def _full_id(client: Client, given: str) -> str:
    """The full id of a function given by its full or short id.

    Raises UnknownFunction for one that is not registered, or a short id that two apps have.
    """
    known = [view.id for view in await client.functions()]
    if given in known:
        return given
    meant = [full for full in known if full.partition("/")[2] == given]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UnknownFunction(f"--function {given!r} is a function of several apps: write one of {', '.join(meant)}")
    near = difflib.get_close_matches(given, [*known, *(full.partition("/")[2] for full in known)], 1)
    hint = f"did you mean {near[0]!r}?" if near else "`durableq functions` lists those that are registered"
    raise UnknownFunction(f"--function {given!r}: no such function here; {hint}")


def _row(run: RunView) -> tuple[str, ...]:
    took = texts.length(run.ended_at_ms - run.started_at_ms) if run.ended_at_ms and run.started_at_ms else "-"
    return (run.id, run.function, run.status, texts.when(run.created_at_ms), took)
