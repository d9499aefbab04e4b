"""`durableq signal SIGNAL`: a signal from the command line, to the run that waits for it."""

from __future__ import annotations

import json
import sys

import click

from durableq.cli.asking import ask
from durableq.cli.given import json_given
from durableq.cli.options import EXIT_FAILED, explained, json_option, redis_or_dev_options
from durableq.cli.places import find
from durableq.client import Client
from durableq.words.errors import CodecError, ConfigError, LimitExceeded


@click.command("signal")
@click.argument("signal")
@click.argument("data", default="null", metavar="[DATA]")
@json_option
@redis_or_dev_options
@explained
def command(signal: str, data: str, as_json: bool, redis_url: str | None, namespace: str | None) -> None:
    """Give SIGNAL to the run that waits for it, and print that run's id.

    DATA is what the signal brings, any JSON: '@FILE' reads it from a file, '-' from stdin. A signal is not kept: when nobody
    waits for it, the exit code is 1.
    """
    given = json_given(data, "DATA")
    found = find(redis_url, namespace, or_dev=True)

    async def send(client: Client) -> str | None:
        try:
            return await client.send_signal(signal, given)
        except (CodecError, LimitExceeded, ConfigError) as error:
            raise click.UsageError(str(error)) from None

    run_id = ask(found, send)
    if as_json:
        click.echo(json.dumps({"signal": signal, "run": run_id}))
    elif run_id is not None:
        click.echo(run_id)
    if run_id is None:
        if not as_json:
            click.echo(
                f"durableq: no run waits for signal {signal!r} in namespace {found.namespace!r}. It is not kept: give it again "
                "when one does, or use an event",
                err=True,
            )
        sys.exit(EXIT_FAILED)
