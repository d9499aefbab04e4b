"""`durableq send NAME`: one event from the command line."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from durableq.cli.asking import explain
from durableq.cli.given import HOW, object_given
from durableq.cli.options import explained, json_option, redis_or_dev_options
from durableq.cli.places import find
from durableq.client import Client
from durableq.model.event import Event
from durableq.words.errors import DurableqError, EventError, LimitExceeded, RedisRefused, SendError


@click.command("send")
@click.argument("name")
@click.option(
    "--data",
    default="{}",
    show_default=True,
    metavar="JSON",
    envvar="DURABLEQ_SEND_DATA",
    show_envvar=True,
    help=f"The event's data, a JSON object; {HOW}",
)
@click.option(
    "--id",
    "event_id",
    default=None,
    envvar="DURABLEQ_SEND_ID",
    show_envvar=True,
    help="Deduplicates: the same name and id start nothing again for 24 h.",
)
@click.option(
    "--ts",
    type=int,
    default=None,
    metavar="MS",
    envvar="DURABLEQ_SEND_TS",
    show_envvar=True,
    help="Unix ms; in the future it delays the runs that start.",
)
@json_option
@redis_or_dev_options
@explained
def command(
    name: str,
    data: str,
    event_id: str | None,
    ts: int | None,
    as_json: bool,
    redis_url: str | None,
    namespace: str | None,
) -> None:
    """Send the event NAME and print its id.

    Prints it only once Redis has the event. If Redis is away it says within 2 s whether the event may have been stored.
    """
    found = find(redis_url, namespace, or_dev=True)
    event = _event(name, data, event_id, ts)

    async def send() -> list[str]:
        async with Client(found.redis_url, namespace=found.namespace) as client:
            try:
                sent = await client.send(event)
                await _warn_if_unheard(client, name)
                return sent
            except (SendError, RedisRefused) as error:
                raise await explain(error, found) from error.__cause__
            except (EventError, LimitExceeded) as error:
                raise click.UsageError(str(error)) from None

    (accepted,) = asyncio.run(send())
    click.echo(json.dumps({"id": accepted, "name": name}) if as_json else accepted)


async def _warn_if_unheard(client: Client, name: str) -> None:
    """No error, since a consumer may be deployed later; but it is a typo as a rule."""
    try:
        unheard = await client._unheard(name)
    except DurableqError:
        return  # the event is stored, and that was what had to be said
    if unheard is not None:
        meant = f" Did you mean {unheard}?" if unheard else " `durableq functions` lists what is."
        click.echo(
            f"durableq: no function is triggered by {name!r} yet: nothing starts unless one is when a worker routes it.{meant}",
            err=True,
        )


def _event(name: str, data: str, event_id: str | None, ts: int | None) -> Event[Any]:
    try:
        return Event(name, object_given(data, "--data"), id=event_id, ts=ts)
    except EventError as error:
        raise click.UsageError(str(error)) from None
