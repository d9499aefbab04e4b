"""One thing done to many runs from the command line: counted first, agreed to, and told how far it is."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from durableq.cli import plain, texts
from durableq.cli.asking import ask
from durableq.cli.naming import full_id
from durableq.cli.options import EXIT_FAILED, EXIT_INTERRUPTED
from durableq.cli.patience import told_to_stop
from durableq.cli.places import Found
from durableq.cli.run_filter import Selection
from durableq.client import Client
from durableq.model.run_filter import RunFilter
from durableq.runs import READ_PATIENCE_S
from durableq.services.bulk import Bulk, BulkReport, Operation, check_bulk_id, new_bulk_id, picking
from durableq.services.picking import RunCount

F = TypeVar("F", bound=Callable[..., Any])

TOLD_EVERY_S: Final = 5.0
"""Where no terminal shows one line that changes."""
REDRAWN_EVERY_S: Final = 0.1
"""Where one does."""

_DONE: Final = {"cancel": "cancelled", "rerun": "done again", "resume": "resumed"}
_ALREADY: Final = {
    "cancel": "had ended by their turn",
    "rerun": "this bulk had done again before",
    "resume": "this bulk had resumed before, or went on",
}


def bulk_options(command: F) -> F:
    """--yes and --dry-run."""
    command = click.option(
        "--dry-run",
        is_flag=True,
        envvar="DURABLEQ_DRY_RUN",
        show_envvar=True,
        help="Only count the runs that the flags mean.",
    )(command)
    return click.option(
        "--yes",
        is_flag=True,
        envvar="DURABLEQ_YES",
        show_envvar=True,
        help="Do not ask before. Without a terminal nothing is done without it.",
    )(command)


def bulk_id_option(command: F) -> F:
    """--bulk-id."""
    return click.option(
        "--bulk-id",
        metavar="ID",
        default=None,
        envvar="DURABLEQ_BULK_ID",
        show_envvar=True,
        help="Go on with one that was cut off, under the id that it has told. The other flags must be the same.",
    )(command)


def bulk(
    operation: Operation,
    selection: Selection,
    found: Found,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    bulk_id: str | None = None,
) -> None:
    """Count, ask, do it, tell, and leave with the exit code that it came to."""
    known = None if bulk_id is None else check_bulk_id(bulk_id)
    counting = _Progress(0, as_json)
    try:
        wanted, begun, count = ask(
            found, lambda client: _counted(client, operation, selection, known, counting.looked_at), None
        )
    finally:
        counting.end()
    if dry_run or not count.total:
        if dry_run or not as_json:
            _say_count(operation, count, as_json)
        else:  # a program reads the same object, however many there are
            _say_report(BulkReport(operation, begun, finished=True), count, as_json)
        return
    _agree(operation, count, yes)
    if operation != "cancel":
        click.echo(f"durableq: bulk {begun}. Cut off, it goes on with --bulk-id {begun}", err=True)
    progress = _Progress(count.total, as_json)

    async def perform(client: Client) -> BulkReport:
        calls, stopping = await client._calls(READ_PATIENCE_S), told_to_stop()
        return await Bulk(
            calls,
            client._limits,
            operation,
            wanted,
            begun,
            why="by the command line",
            tell=progress.tell,
            stopping=stopping,
        ).perform()

    try:
        report = ask(found, perform, None)
    finally:
        progress.end()
    _say_report(report, count, as_json)
    if not report.finished:
        sys.exit(EXIT_INTERRUPTED)
    if report.failed:
        sys.exit(EXIT_FAILED)


async def _counted(
    client: Client,
    operation: Operation,
    selection: Selection,
    bulk_id: str | None,
    tell: Callable[[int], object],
) -> tuple[RunFilter, str, RunCount]:
    """The filter with full ids, the bulk's id, and how many runs it is for."""
    wanted = selection.wanted
    if selection.functions:
        known = [view.id for view in await client.functions()]
        names = [full_id(name, known, "--function") for name in selection.functions]
        wanted = dataclasses.replace(wanted, function=names)
    calls = await client._calls(READ_PATIENCE_S)
    begun = bulk_id or await new_bulk_id(calls)
    return wanted, begun, await picking(calls, operation, wanted, begun, tell).count()


def _agree(operation: Operation, count: RunCount, yes: bool) -> None:
    runs = "this run" if count.total == 1 else f"these {count.total:,} runs"
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"{_counted_text(count)}. Without a terminal --yes must say that they are meant")
    click.echo(_counted_text(count), err=True)
    if not yes:
        click.confirm(f"{operation.capitalize()} {runs}?", abort=True, err=True)


def _counted_text(count: RunCount) -> str:
    runs = "1 run matches" if count.total == 1 else f"{count.total:,} runs match"
    if not count.total:
        return "no runs match"
    statuses = ", ".join(f"{number:,} {status}" for status, number in count.by_status.items())
    functions = [
        f"{number:,} of {name}" for name, number in sorted(count.by_function.items(), key=lambda each: -each[1])
    ]
    more = f" and {len(functions) - 5} functions more" if len(functions) > 5 else ""
    return f"{runs}: {statuses}; {', '.join(functions[:5])}{more}"


def _say_count(operation: Operation, count: RunCount, as_json: bool) -> None:
    if not as_json:
        click.echo(_counted_text(count))
        return
    said = {"operation": operation, "dry_run": True, "matched": count.total}
    click.echo(plain.to_json({**said, "by_status": dict(count.by_status), "by_function": dict(count.by_function)}))


def _say_report(report: BulkReport, count: RunCount, as_json: bool) -> None:
    if as_json:
        said = dataclasses.asdict(report)
        del said["waiting"]
        click.echo(plain.to_json({"matched": count.total, **said}))
    else:
        parts = [
            (report.done, _DONE[report.operation]),
            (report.already, _ALREADY[report.operation]),
            (report.gone, "gone, their retention is over"),
            (report.skipped, "skipped"),
            (report.failed, "failed"),
        ]
        told = ", ".join(f"{number:,} {what}" for number, what in parts if number or what == parts[0][1])
        click.echo(f"{report.met:,} of {max(count.total, report.met):,} runs: {told}")
        for reason, number in sorted(report.reasons.items(), key=lambda each: -each[1]):
            click.echo(texts.clean(f"  {number:,}: {reason}"))
    if not report.finished:
        how = "do it again" if report.operation == "cancel" else f"add --bulk-id {report.bulk_id} to the same command"
        click.echo(f"durableq: stopped after {report.met:,} of {count.total:,} runs. To go on, {how}", err=True)


class _Progress:
    """Tells on stderr how far it is: on a terminal in one line, elsewhere now and then; nothing for programs."""

    def __init__(self, total: int, as_json: bool) -> None:
        self._total = total
        self._quiet = as_json
        self._in_place = sys.stderr.isatty()
        self._told_at_s = time.monotonic()
        self._waiting = ""
        self._width = 0

    def tell(self, report: BulkReport) -> None:
        began_to_wait = report.waiting != self._waiting
        self._waiting = report.waiting
        if not report.finished:
            waiting = f". {report.waiting}" if report.waiting else ""
            self._say(f"{report.met:,} of {self._total:,} runs{waiting}", at_once=began_to_wait)

    def looked_at(self, runs: int) -> None:
        """While they are counted."""
        self._say(f"counting: {runs:,} runs looked at")

    def _say(self, line: str, *, at_once: bool = False) -> None:
        soon = not at_once and time.monotonic() - self._told_at_s < (
            REDRAWN_EVERY_S if self._in_place else TOLD_EVERY_S
        )
        if self._quiet or soon:
            return
        self._told_at_s = time.monotonic()
        if self._in_place:
            click.echo(f"\r{line.ljust(self._width)}", nl=False, err=True)
            self._width = len(line)
        else:
            click.echo(f"durableq: {line}", err=True)

    def end(self) -> None:
        """Leave the line that changes."""
        if self._width:
            click.echo(f"\r{' ' * self._width}\r", nl=False, err=True)
