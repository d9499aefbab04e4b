"""`durableq runs list`, `durableq runs show ID` and `durableq runs cancel [RUN…]`; `rerun` and `resume` lie in rerunning.py."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from durableq.cli import plain, texts
from durableq.cli.asking import ask
from durableq.cli.bulk import bulk, bulk_options
from durableq.cli.flow_text import listed_status
from durableq.cli.naming import full_id, whole_id
from durableq.cli.options import EXIT_FAILED, explained, json_option, redis_or_dev_options
from durableq.cli.places import Found, find
from durableq.cli.rerunning import rerun, resume
from durableq.cli.run_filter import filter_given, filter_options, named_or_meant
from durableq.cli.run_text import run_text
from durableq.client import Client
from durableq.runs import LIST_MAX, states_of
from durableq.services.cancelling import Cancellation
from durableq.services.views import RunView
from durableq.store.cancels import ABSENT
from durableq.words.errors import ConfigError


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
    """List and show runs; cancel, rerun or resume some."""


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
        only = (
            None
            if function is None
            else full_id(function, [view.id for view in await client.functions()], "--function")
        )
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
        run = await client.runs.get(await whole_id(client, run_id))
        if run.status != "queued" or as_json:
            return run, None
        return run, next((known.workers for known in await client.functions() if known.id == run.function), 0)

    run, workers = ask(find(redis_url, namespace, or_dev=True), found)
    if as_json:
        click.echo(plain.to_json(plain.whole_run(run)))
    else:
        click.echo(run_text(run, time.time_ns() // 1_000_000, workers))


@command.command("cancel")
@click.argument("runs", nargs=-1, metavar="[RUN…]")
@filter_options
@bulk_options
@json_option
@redis_or_dev_options
@explained
def cancel(
    runs: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    as_json: bool,
    redis_url: str | None,
    namespace: str | None,
    **flags: Any,
) -> None:
    """Cancel runs, named or meant by flags: queued, waiting, or executing now.

    The end of an id will do, as the log of `durableq dev` shows it. A run that had ended stays as it was, which is said. Exit
    code 1: one of them is not there; the others are cancelled all the same.

    Meant by flags they are counted first, and asked for; what is created meanwhile is not meant. Cut off (130), it can be
    done again.
    """
    selection = named_or_meant(runs, filter_given(**flags))
    found = find(redis_url, namespace, or_dev=True)
    if selection is None:
        _cancel_named(runs, found, as_json)
    else:
        bulk("cancel", selection, found, yes=yes, dry_run=dry_run, as_json=as_json)


def _cancel_named(runs: tuple[str, ...], place: Found, as_json: bool) -> None:
    async def cancelled(client: Client) -> tuple[list[Cancellation], str]:
        named = [await whole_id(client, given) for given in runs]
        return await client._cancel(list(dict.fromkeys(named)), "by the command line")

    found, at = ask(place, cancelled)
    if as_json:
        click.echo(
            plain.to_json([{"id": one.run_id, "status": one.status, "cancelled": one.cancelled} for one in found])
        )
    else:
        for one in found:
            click.echo(texts.clean(_came_to(one, at)), err=one.status == ABSENT)
    if any(one.status == ABSENT for one in found):
        sys.exit(EXIT_FAILED)


command.add_command(rerun)
command.add_command(resume)


def _came_to(one: Cancellation, namespace: str) -> str:
    if one.status == ABSENT:
        return f"durableq: no run {one.run_id!r} in namespace {namespace!r}: it never was, or its retention is over"
    return f"{one.run_id} {one.status}" if one.cancelled else f"{one.run_id} had ended: {one.status}"


def _row(run: RunView) -> tuple[str, ...]:
    took = texts.length(run.ended_at_ms - run.started_at_ms) if run.ended_at_ms and run.started_at_ms else "-"
    return (run.id, run.function, listed_status(run), texts.when(run.created_at_ms), took)
