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

from durableq.cli.banner import say
from durableq.cli.discovery import named_apps
from durableq.cli.logs import FRIENDLY, configure_logs, connection_log
from durableq.cli.options import EXIT_UNAVAILABLE, eviction_option, explained, log_options, namespace_option
from durableq.cli.patience import unless
from durableq.cli.places import DEV_DIRECTORY, find, note_dev, remove_dev_url, write_dev_url
from durableq.cli.reload.succession import Succession
from durableq.cli.reload.watching import Watch
from durableq.cli.stage import Stage
from durableq.cli.stops import Stops
from durableq.embedded import EmbeddedServer, EmbeddedServerError
from durableq.model.config import NAMESPACE_VARIABLE, URL_VARIABLES, Place
from durableq.services.scheduler import BELL_BLOCK_MS, Scheduler
from durableq.services.settings import WorkerSettings
from durableq.store.calls import Calls
from durableq.store.opening import calls_on, check_server, open_link, open_patiently
from durableq.words.telemetry import get_log

GRACE_S: Final = 5.0
"""Shorter than a worker's: whoever presses Ctrl-C sits there and waits. What is handed back goes on at the next start."""


@click.command("dev")
@click.argument("apps", nargs=-1, metavar="[MODULE:APP]...")
@click.option(
    "--redis-url",
    metavar="URL",
    default=None,
    envvar="DURABLEQ_DEV_URL",
    show_envvar=True,
    help="Work on this Redis instead of starting one. DURABLEQ_URL, REDIS_URL and the like are not looked at.",
)
@namespace_option
@click.option(
    "--reload/--no-reload",
    default=True,
    envvar="DURABLEQ_RELOAD",
    show_envvar=True,
    help="Start a new worker whenever a Python file of the app changes; on by default.",
)
@eviction_option
@log_options
@explained
def command(
    apps: tuple[str, ...],
    redis_url: str | None,
    namespace: str | None,
    reload: bool,
    allow_eviction: bool,
    log_format: str,
    log_level: str,
) -> None:
    """Start a server, a worker and a scheduler for the apps named MODULE:APP, or in DURABLEQ_APP.

    The server's data is kept in .durableq/ here, and its address in .durableq/url, where `durableq send`, `runs` and
    `functions` find it. A second one in this directory shares the server, and the last to stop ends it. Ctrl-C, SIGTERM
    and the end of the terminal end everything that was started; a second Ctrl-C does not wait for steps. The log is in
    words wherever it goes, unless --log-format is json.
    """
    named = named_apps(apps)
    settings = WorkerSettings(
        apps=named.references,
        directory=named.directory,
        redis_url="" if redis_url is None else find(redis_url, namespace).redis_url,
        namespace=Place(None, namespace).resolved(os.environ).namespace,
        grace_s=GRACE_S,
        allow_eviction=allow_eviction,
        in_dev=True,
        log_format="json" if log_format == "json" else FRIENDLY,
        log_level=log_level,
    )
    configure_logs(settings.log_format, log_level)
    try:
        sys.exit(asyncio.run(run_dev(settings, reload)))
    except EmbeddedServerError as error:
        click.echo(f"durableq: {error}", err=True)
        sys.exit(EXIT_UNAVAILABLE)


async def run_dev(settings: WorkerSettings, reload: bool) -> int:
    """All of it, from start to exit code. A `redis_url` of "" asks for a server of our own.

    Raises EmbeddedServerError, and what settings and servers are refused with.
    """
    stops = Stops()
    # As the shell has it, for the line to paste: our own processes get another one below.
    environment = dict(os.environ)
    noted = note_dev()
    try:
        async with _server(settings.redis_url) as (server, url):
            # What user code makes of clients beside its app must not be led elsewhere, to production, by the shell.
            os.environ.update({URL_VARIABLES[0]: url, NAMESPACE_VARIABLE: settings.namespace})
            os.environ["PYTHONUNBUFFERED"] = "1"  # what user code prints stands where it belongs among our lines
            told = replace(settings, redis_url=url)
            return await _serve(told, Stage(told, server, environment, reloads=reload), reload, stops)
    finally:
        os.close(noted)


async def _serve(settings: WorkerSettings, stage: Stage, reload: bool, stops: Stops) -> int:
    link = open_link(settings.redis_url, "dev", on_change=connection_log(get_log()))
    calls = calls_on(link, settings.namespace)

    async def begin() -> None:
        await open_patiently(calls, settings.redis_url, get_log())
        await check_server(calls, allow_eviction=settings.allow_eviction)

    try:
        if not await unless(stops.stopping, begin()):
            return 0
        await stage.opened(calls)
        workers = Succession(stage.begin, Watch(os.getcwd()) if reload else None, stage, stops)
        async with _scheduling(settings, calls, workers):
            return await workers.run()
    finally:
        stops.ignore()
        await stage.close()
        await link.close()


@contextlib.asynccontextmanager
async def _scheduling(settings: WorkerSettings, calls: Calls, workers: Succession) -> AsyncIterator[None]:
    """One scheduler for all the workers that follow each other: it runs no user code."""
    bell_link = open_link(settings.redis_url, "scheduler-bell", blocking_s=BELL_BLOCK_MS / 1000)
    bell_calls = calls_on(bell_link, settings.namespace)
    bell_calls.identity = calls.identity
    scheduler = Scheduler(calls, bell_calls, get_log(process="scheduler"), workers.state_lost, in_dev=True)
    scheduler.start()
    try:
        yield
    finally:
        await scheduler.stop()
        await bell_link.close()


@contextlib.asynccontextmanager
async def _server(given: str) -> AsyncIterator[tuple[EmbeddedServer | None, str]]:
    """A server of our own unless one is given, and its URL, which the other commands are told for as long as this runs."""
    server = None if given else EmbeddedServer(DEV_DIRECTORY)
    url = given
    try:
        if server is not None:
            url = await server.start()
        write_dev_url(url)
        yield server, url
    finally:
        if server is None or await server.stop():
            remove_dev_url(url)
        else:
            say(f"the server goes on, since somebody else is connected to it: {url}")
