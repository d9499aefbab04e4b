"""`durableq dev`: a server, a worker and a scheduler in one command and one log, for development.

The server is a real Redis or Valkey with an append-only file in `.durableq/`, so that runs and sleeps outlast a restart.
The variables that name a production Redis are not looked at: a developer's shell may well have them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

import click

from durableq.cli.banner import say, tell
from durableq.cli.discovery import named_apps
from durableq.cli.logs import configure_logs
from durableq.cli.options import EXIT_UNAVAILABLE, eviction_option, explained, log_options, namespace_option
from durableq.cli.patience import ignore_stops, told_to_stop
from durableq.cli.places import DEV_DIRECTORY, find, remove_dev_url, write_dev_url
from durableq.cli.worker import run_worker
from durableq.embedded import EmbeddedServer, EmbeddedServerError
from durableq.model.config import Place
from durableq.services.settings import WorkerSettings
from durableq.words.telemetry import get_log

GRACE_S: Final = 5.0
"""Shorter than a worker's: whoever presses Ctrl-C sits there and waits. What is handed back goes on at the next start."""


@click.command("dev")
@click.argument("apps", nargs=-1, metavar="[MODULE:APP]...")
@click.option(
    "--redis-url",
    metavar="URL",
    default=None,
    help="Work on this Redis instead of starting one. DURABLEQ_URL, REDIS_URL and the like are not looked at.",
)
@namespace_option
@eviction_option
@log_options
@explained
def command(
    apps: tuple[str, ...],
    redis_url: str | None,
    namespace: str | None,
    allow_eviction: bool,
    log_format: str,
    log_level: str,
) -> None:
    """Start a server, a worker and a scheduler for the apps named MODULE:APP, or in DURABLEQ_APP.

    The server's data is kept in .durableq/ here, and its address in .durableq/url, where `durableq send`, `runs` and
    `functions` find it. Ctrl-C and SIGTERM end everything that was started; a second Ctrl-C does not wait for steps.
    """
    named = named_apps(apps)
    settings = WorkerSettings(
        apps=named.references,
        directory=named.directory,
        redis_url="" if redis_url is None else find(redis_url, namespace).redis_url,
        namespace=Place(None, namespace).resolved(os.environ).namespace,
        with_scheduler=True,
        grace_s=GRACE_S,
        allow_eviction=allow_eviction,
        log_format=log_format,
        log_level=log_level,
    )
    configure_logs(log_format, log_level)
    try:
        sys.exit(asyncio.run(run_dev(settings)))
    except EmbeddedServerError as error:
        click.echo(f"durableq: {error}", err=True)
        sys.exit(EXIT_UNAVAILABLE)


async def run_dev(settings: WorkerSettings) -> int:
    """All of it, from start to exit code. A `redis_url` of "" asks for a server of our own.

    Raises EmbeddedServerError, and what settings and servers are refused with.
    """
    stopping = told_to_stop()
    async with _server(settings.redis_url) as url:
        telling = asyncio.create_task(tell(url, settings.namespace, own=not settings.redis_url), name="durableq-banner")
        try:
            return await run_worker(replace(settings, redis_url=url), get_log(worker=os.getpid()), stopping)
        finally:
            ignore_stops()
            telling.cancel()
            await asyncio.wait((telling,))


@contextlib.asynccontextmanager
async def _server(given: str) -> AsyncIterator[str]:
    """The URL of the Redis to work on, which the other commands are told for as long as this runs."""
    server = None if given else EmbeddedServer(DEV_DIRECTORY)
    url = given
    try:
        if server is not None:
            url = await server.start()
        write_dev_url(url)
        yield url
    finally:
        if server is None or await server.stop():
            remove_dev_url(url)
        else:
            say(f"the server goes on, since somebody else is connected to it: {url}")
