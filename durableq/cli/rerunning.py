"""`durableq runs rerun [RUN…]` and `durableq runs resume [RUN…]`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import click

from durableq.cli import plain, texts
from durableq.cli.asking import ask
from durableq.cli.bulk import bulk, bulk_id_option, bulk_options
from durableq.cli.given import object_given
from durableq.cli.naming import whole_id
from durableq.cli.options import (
    EXIT_CANCELLED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_SKIPPED,
    explained,
    json_option,
    redis_or_dev_options,
)
from durableq.cli.places import find
from durableq.cli.run_filter import filter_given, filter_options, named_or_meant
from durableq.client import Client
from durableq.handles import RunHandle
from durableq.model.rerunning import KEPT
from durableq.words.errors import (
    ConfigError,
    EventError,
    FunctionNotFound,
    LimitExceeded,
    RunCancelled,
    RunFailed,
    RunNotFound,
    RunSkipped,
)

Again = Callable[[Client, str], Awaitable[RunHandle[Any]]]
REFUSALS = (RunNotFound, FunctionNotFound, RunSkipped, ConfigError)
"""What concerns one run: the others are done all the same."""


def _wait_option(variable: str) -> Callable[..., Any]:
    return click.option(
        "--wait",
        is_flag=True,
        envvar=variable,
        show_envvar=True,
        help="Wait for the ends of the new runs, and print what they come to.",
    )


@click.command("rerun")
@click.argument("runs", nargs=-1, metavar="[RUN…]")
@click.option(
    "--from-step",
    metavar="ID",
    default=None,
    envvar="DURABLEQ_RERUN_FROM_STEP",
    show_envvar=True,
    help="Keep what was recorded before this step, named as `durableq runs show` prints it; `ID:2` for its second time.",
)
@click.option(
    "--data",
    metavar="JSON",
    default=None,
    envvar="DURABLEQ_RERUN_DATA",
    show_envvar=True,
    help="Put this object in place of the event's data; '@FILE' reads it from a file, '-' from stdin.",
)
@_wait_option("DURABLEQ_RERUN_WAIT")
@filter_options
@bulk_options
@bulk_id_option
@json_option
@redis_or_dev_options
@explained
def rerun(
    runs: tuple[str, ...],
    from_step: str | None,
    data: str | None,
    wait: bool,
    yes: bool,
    dry_run: bool,
    bulk_id: str | None,
    as_json: bool,
    redis_url: str | None,
    namespace: str | None,
    **flags: Any,
) -> None:
    """Do runs again, named or meant by flags: each as a new run with the same event. The old ones stay as they are.

    The end of an id will do. Exit code 1: one of them could not be done again, the others are; with --wait also: a new run
    has failed; 3: one was cancelled; 4: flow control has left one out.

    Meant by flags, runs that have ended are counted first, and asked for. Cut off (130), it goes on with --bulk-id: nothing
    is started twice.
    """
    selection = named_or_meant(runs, filter_given(**flags))
    if selection is not None:
        for flag, given in (("--from-step", from_step), ("--data", data), ("--wait", wait)):
            if given:
                raise click.UsageError(f"{flag} is for runs that are named")
        place = find(redis_url, namespace, or_dev=True)
        bulk("rerun", selection, place, yes=yes, dry_run=dry_run, as_json=as_json, bulk_id=bulk_id)
        return
    how = {} if from_step is None else {"from_step": from_step}
    edited = KEPT if data is None else object_given(data, "--data")
    _named(
        runs, lambda client, run: client.rerun(run, data=edited, **how), "again", wait, as_json, redis_url, namespace
    )


@click.command("resume")
@click.argument("runs", nargs=-1, metavar="[RUN…]")
@_wait_option("DURABLEQ_RESUME_WAIT")
@filter_options
@bulk_options
@bulk_id_option
@json_option
@redis_or_dev_options
@explained
def resume(
    runs: tuple[str, ...],
    wait: bool,
    yes: bool,
    dry_run: bool,
    bulk_id: str | None,
    as_json: bool,
    redis_url: str | None,
    namespace: str | None,
    **flags: Any,
) -> None:
    """Have failed and cancelled runs go on, named or meant by flags: each as a new run, from where it failed.

    It keeps what was recorded until then, and tries the step that failed it anew. Ids, exit codes and --bulk-id are as for
    `rerun`.
    """
    selection = named_or_meant(runs, filter_given(**flags))
    if selection is not None:
        if wait:
            raise click.UsageError("--wait is for runs that are named")
        place = find(redis_url, namespace, or_dev=True)
        bulk("resume", selection, place, yes=yes, dry_run=dry_run, as_json=as_json, bulk_id=bulk_id)
        return
    _named(runs, lambda client, run: client.runs.resume(run), "goes on", wait, as_json, redis_url, namespace)


def _named(
    runs: Sequence[str],
    again: Again,
    verb: str,
    wait: bool,
    as_json: bool,
    redis_url: str | None,
    namespace: str | None,
) -> None:
    done = _Done(again, verb, as_json)
    place = find(redis_url, namespace, or_dev=True)
    try:
        ask(place, lambda client: done.start(client, runs), None)
        if wait:
            ask(place, done.wait, None)
    except (EventError, LimitExceeded) as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        click.echo("durableq: the new runs go on", err=True)
        sys.exit(EXIT_INTERRUPTED)
    finally:
        done.say_all()
    sys.exit(done.code)


class _Done:
    """What became of runs that were named."""

    def __init__(self, again: Again, verb: str, as_json: bool) -> None:
        self._again = again
        self._verb = verb
        self._as_json = as_json
        self._said: list[dict[str, Any]] = []
        self.code = 0

    async def start(self, client: Client, runs: Sequence[str]) -> None:
        """Start them, one after the other."""
        for given in dict.fromkeys([await whole_id(client, given) for given in runs]):
            try:
                handle = await self._again(client, given)
            except REFUSALS as error:
                self._say(f"durableq: {error}", err=True)
                self._said.append({"id": given, "rerun": None, "reason": str(error)})
                skipped = isinstance(error, RunSkipped) and self.code in (0, EXIT_SKIPPED)
                self.code = EXIT_SKIPPED if skipped else EXIT_FAILED
            else:
                self._say(f"{given} {self._verb} as {handle.run_id}")
                self._said.append({"id": given, "rerun": handle.run_id, "reason": None})

    async def wait(self, client: Client) -> None:
        """Wait for those that were started."""
        await asyncio.gather(*(self._wait(client, said) for said in self._said if said["rerun"]))

    async def _wait(self, client: Client, said: dict[str, Any]) -> None:
        run = said["rerun"]
        try:
            result = plain.plain(await client.handle(run).result())
        except (RunFailed, RunCancelled) as error:
            failed = isinstance(error, RunFailed)
            self.code = EXIT_FAILED if failed or self.code else EXIT_CANCELLED
            said.update(status="failed" if failed else "cancelled", result=None, reason=str(error))
            self._say(f"durableq: {error}", err=True)
        else:
            said.update(status="completed", result=result)
            self._say(f"{run} completed: {json.dumps(result, ensure_ascii=False)}")

    def _say(self, text: str, *, err: bool = False) -> None:
        if not self._as_json:
            click.echo(texts.clean(text), err=err)

    def say_all(self) -> None:
        """The same for programs."""
        if self._as_json and self._said:
            click.echo(plain.to_json(self._said))
