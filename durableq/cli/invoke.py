"""`durableq invoke FUNCTION`: one run from the command line, and what it comes to."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Final

import click

from durableq.cli import plain, texts
from durableq.cli.asking import explain
from durableq.cli.given import object_given
from durableq.cli.naming import full_id
from durableq.cli.options import EXIT_INTERRUPTED, exit_code, explained, json_option, redis_or_dev_options, seconds
from durableq.cli.places import Found, find
from durableq.client import Client
from durableq.handles import RunHandle
from durableq.words.errors import (
    ConfigError,
    DurableqError,
    EventError,
    LimitExceeded,
    RedisRefused,
    RedisUnavailable,
    ResultTimeout,
    RunCancelled,
    RunFailed,
    RunSkipped,
)

LOOK_AFTER_S: Final = 3.0
"""A run that is queued for so long may have nobody to execute it, which a person wants to know."""


def _timeout(ctx: click.Context, param: click.Parameter, value: Any) -> float | None:
    return None if value is None else seconds(ctx, param, value)


@click.command("invoke")
@click.argument("function")
@click.argument("data", default="{}", metavar="[DATA]")
@click.option(
    "--timeout",
    callback=_timeout,
    default=None,
    metavar="DURATION",
    envvar="DURABLEQ_INVOKE_TIMEOUT",
    show_envvar=True,
    help="Wait no longer than this for the result; the run goes on.",
)
@click.option(
    "--no-wait",
    is_flag=True,
    envvar="DURABLEQ_INVOKE_NO_WAIT",
    show_envvar=True,
    help="Print the run's id, and leave.",
)
@json_option
@redis_or_dev_options
@explained
def command(
    function: str,
    data: str,
    timeout: float | None,
    no_wait: bool,
    as_json: bool,
    redis_url: str | None,
    namespace: str | None,
) -> None:
    """Start a run of FUNCTION, `app/function` or `function`, and print what it returns.

    DATA is what the run finds in its event, a JSON object: '@FILE' reads it from a file, '-' from stdin. The result is
    printed as JSON, the run's id beside it on stderr. Exit code 1: the run failed; 3: it was cancelled; 4: flow control
    did not start it; 124: it had not ended within --timeout.
    """
    if no_wait and timeout is not None:
        raise click.UsageError("--timeout is for waiting, and --no-wait does not wait: leave one out")
    given = object_given(data, "DATA")
    invoked = _Invoked(find(redis_url, namespace, or_dev=True), as_json)
    try:
        asyncio.run(invoked.run(function, given, no_wait, timeout))
    except KeyboardInterrupt:
        if invoked.run_id:
            click.echo(
                f"durableq: run {invoked.run_id} goes on. Look at it: durableq runs show {invoked.run_id}", err=True
            )
        sys.exit(EXIT_INTERRUPTED)


class _Invoked:
    """One run that the command has started."""

    def __init__(self, found: Found, as_json: bool) -> None:
        self._found = found
        self._as_json = as_json
        self.run_id = ""
        self._function = ""

    async def run(self, function: str, data: dict[str, Any], no_wait: bool, timeout: float | None) -> None:
        async with Client(self._found.redis_url, namespace=self._found.namespace) as client:
            try:
                self._function = full_id(function, await client._registered(), "FUNCTION")
                handle = await client.invoke(self._function, data=data)
                self.run_id = handle.run_id
                if no_wait:
                    self._say("queued")
                else:
                    await self._wait(client, handle, timeout)
            except (RedisUnavailable, RedisRefused) as error:
                raise await explain(error, self._found) from error.__cause__
            except RunSkipped as error:
                self._say_skipped(error)
            except (EventError, LimitExceeded, ConfigError) as error:
                raise click.UsageError(str(error)) from None

    async def _wait(self, client: Client, handle: RunHandle[Any], timeout: float | None) -> None:
        if not self._as_json:
            click.echo(f"run {handle.run_id}", err=True)
        looking = asyncio.create_task(self._look(client, handle))
        try:
            self._say("completed", result=await handle.result(timeout))
        except (RunFailed, RunCancelled, ResultTimeout) as error:
            self._say_end(error, await handle.status() if isinstance(error, ResultTimeout) else "")
        finally:
            looking.cancel()

    async def _look(self, client: Client, handle: RunHandle[Any]) -> None:
        """Say so if nobody can execute it."""
        await asyncio.sleep(LOOK_AFTER_S)
        try:
            if await handle.status() != "queued":
                return
            workers = next((known.workers for known in await client.functions() if known.id == self._function), 0)
        except DurableqError:
            return
        if not workers:
            click.echo(
                f"durableq: no worker that runs now has {self._function}: the run is queued until one does", err=True
            )

    def _say_skipped(self, error: RunSkipped) -> None:
        """Which limit has left it out, for which key and run, and leave."""
        about = {"reason": error.reason, "key": error.key, "run": error.run_id}
        named = {"name": type(error).__name__, "message": str(error), "stack": ""}
        self._say("skipped", error={**named, **about})
        if not self._as_json:
            click.echo(f"durableq: {texts.clean(str(error))}", err=True)
            if error.run_id:
                click.echo(f"  Look at that run: durableq runs show {error.run_id}", err=True)
        sys.exit(exit_code(error))

    def _say_end(self, error: DurableqError, status: str) -> None:
        """How it did not complete, and leave."""
        if isinstance(error, RunFailed):
            self._say("failed", error={"name": error.name, "message": error.message, "stack": error.stack})
        else:
            status = status or "cancelled"
            self._say(status, error={"name": type(error).__name__, "message": str(error), "stack": ""})
        if not self._as_json:
            click.echo(f"durableq: {texts.clean(str(error))}", err=True)
            if isinstance(error, RunFailed) and error.stack:
                click.echo(texts.clean_lines(error.stack, "  "), err=True)
        sys.exit(exit_code(error))

    def _say(self, status: str, *, result: Any = None, error: dict[str, str] | None = None) -> None:
        if self._as_json:
            said = {"id": self.run_id or None, "function": self._function, "status": status}
            click.echo(plain.to_json({**said, "result": plain.plain(result), "error": error}))
        elif status == "queued":
            click.echo(self.run_id)
        elif status == "completed":
            click.echo(json.dumps(plain.plain(result), ensure_ascii=False))
