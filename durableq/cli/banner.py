"""What `durableq dev` says to the person who started it: which server runs and where, and the line to paste.

On stderr, so that stdout stays one log. Said when it is true: the line to paste names an event that a worker waits for.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from typing import Final

import click

from durableq.cli.places import DEV_DIRECTORY, url_variable
from durableq.client import Client
from durableq.services.views import FunctionView
from durableq.store.address import hide_password
from durableq.store.opening import calls_on, open_link
from durableq.store.upkeep import Upkeep
from durableq.words.errors import DurableqError

LOOK_S: Final = 0.1


def say(text: str) -> None:
    """One line to the person."""
    click.echo(f"durableq dev: {text}", err=True)


async def tell(url: str, namespace: str, *, own: bool) -> None:
    """Say where the server is as soon as it answers, and what to send as soon as a worker waits for it.

    `own`: the server was started here.
    """
    try:
        name = await _server_name(url, namespace)
        kept = f", its data in {DEV_DIRECTORY}/" if own else ""
        say(f"{name} at {hide_password(url)}{kept}")
        async with Client(url, namespace=namespace) as client:
            served = await _served(client)
            while not served:
                await asyncio.sleep(LOOK_S)
                served = await _served(client)
    except DurableqError as error:
        say(f"what runs cannot be told: {error}")
        return
    say(f"ready, {len(served)} function{'s' * (len(served) > 1)}. To send an event, in this directory:")
    click.echo(f"\n    {paste_line(url, namespace, served)}\n    durableq runs list\n", err=True)


async def _served(client: Client) -> list[FunctionView]:
    return [view for view in await client.functions() if view.workers]


def paste_line(url: str, namespace: str, functions: list[FunctionView]) -> str:
    """The command that sends an event which starts one of these functions."""
    triggers = [trigger for view in functions for trigger in view.triggers]
    # Without a condition if there is such a trigger: it is met by any data.
    trigger = min(triggers, key=lambda trigger: " if " in trigger)
    words = ["durableq", "send", _event_name(trigger), "--data", "{}"]
    if url_variable(os.environ):
        # A variable that names another Redis comes before what dev has written down.
        words += ["--redis-url", url]
    if namespace != "default":
        words += ["--namespace", namespace]
    return shlex.join(words)


def _event_name(trigger: str) -> str:
    """An event name that meets this trigger, a name or a pattern, with or without a condition."""
    name = trigger.partition(" if ")[0]
    return f"{name[:-1]}example" if name.endswith("*") else name


async def _server_name(url: str, namespace: str) -> str:
    link = open_link(url, "dev")
    try:
        calls = calls_on(link, namespace)
        await calls.open()
        about = await Upkeep(calls).server()
    finally:
        await link.close()
    valkey = about.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {about.get('redis_version', 'of an unknown version')}"
