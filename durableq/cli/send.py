"""`durableq send NAME`: one event from the command line."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from durableq.cli.options import explained, place, redis_options
from durableq.client import Client
from durableq.model.event import Event
from durableq.words.errors import EventError


@click.command("send")
@click.argument("name")
@click.option("--data", default="{}", metavar="JSON", help="The event's data, a JSON object; '-' reads it from stdin.")
@click.option("--id", "event_id", default=None, help="Deduplicates: the same name and id start nothing again for 24 h.")
@click.option(
    "--ts", type=int, default=None, metavar="MS", help="Unix ms; in the future it delays the runs that start."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@redis_options
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
    """Send the event NAME and print its id."""
    event: Event[Any] = Event(name, _data(data), id=event_id, ts=ts)
    found = place(redis_url, namespace)

    async def send() -> list[str]:
        async with Client(found.redis_url, namespace=found.namespace) as client:
            return await client.send(event)

    (accepted,) = asyncio.run(send())
    click.echo(json.dumps({"id": accepted, "name": name}) if as_json else accepted)


def _data(text: str) -> dict[str, Any]:
    source = click.get_text_stream("stdin").read() if text == "-" else text
    try:
        value = json.loads(source)
    except ValueError as error:
        raise EventError(f"--data must be JSON: {error}") from None
    if not isinstance(value, dict):
        raise EventError(f"--data must be a JSON object, not {type(value).__name__}")
    return value
