"""`durableq scheduler`: fires timers, rescues runs, keeps house. Loads no user code."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from durableq.cli.discovery import check_reference
from durableq.cli.logs import configure_logs, connection_log
from durableq.cli.options import EXIT_STATE_LOST, eviction_option, explained, health_option, log_options, redis_options
from durableq.cli.patience import ignore_stops, told_to_stop, unless
from durableq.cli.places import find, warn_unverified
from durableq.services.health import health_file
from durableq.services.scheduler import BELL_BLOCK_MS, Scheduler
from durableq.store.opening import calls_on, check_server, open_link, open_patiently
from durableq.words.errors import StateLost
from durableq.words.telemetry import Log, get_log


@click.command("scheduler")
@click.argument("apps", nargs=-1, metavar="[MODULE:APP]...")
@redis_options
@eviction_option
@health_option
@log_options
@explained
def command(
    apps: tuple[str, ...],
    redis_url: str | None,
    namespace: str | None,
    allow_eviction: bool,
    health_file: str,
    log_format: str,
    log_level: str,
) -> None:
    """Fire timers and rescue the runs of dead workers, for a whole namespace. Any number may run.

    No app is needed. One may be named, so that a Procfile's lines look alike; it is not loaded.
    """
    for reference in apps:
        check_reference(reference)
    found = find(redis_url, namespace)
    configure_logs(log_format, log_level)
    log = get_log(scheduler=os.getpid())
    warn_unverified(found, log)
    sys.exit(asyncio.run(run_scheduler(found.redis_url, found.namespace, allow_eviction, health_file, log)))


async def run_scheduler(redis_url: str, namespace: str, allow_eviction: bool, health: str, log: Log) -> int:
    """A scheduler from start to exit code. Raises what settings and servers are refused with."""
    stopping = told_to_stop()
    code = 0

    def lost(error: StateLost) -> None:
        nonlocal code
        log.error("state.lost", error=str(error))
        code = EXIT_STATE_LOST
        stopping.set()

    link = open_link(redis_url, "scheduler", on_change=connection_log(log))
    bell_link = open_link(redis_url, "scheduler-bell", blocking_s=BELL_BLOCK_MS / 1000)
    calls, bell_calls = calls_on(link, namespace), calls_on(bell_link, namespace)

    async def begin() -> None:
        await open_patiently(calls, redis_url, log)
        await check_server(calls, allow_eviction=allow_eviction)

    try:
        async with health_file(health, log) as ask:
            if await unless(stopping, begin()):
                bell_calls.identity = calls.identity
                scheduler = Scheduler(calls, bell_calls, log, lost)
                ask(scheduler.unwell)
                scheduler.start()
                log.info("scheduler.working", namespace=namespace)
                await stopping.wait()
                ignore_stops()
                await scheduler.stop()
    finally:
        await asyncio.gather(link.close(), bell_link.close())
    log.info("scheduler.left", exit=code)
    return code
