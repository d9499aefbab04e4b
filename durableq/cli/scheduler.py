"""`durableq scheduler`: fires timers, rescues runs, keeps house. Loads no user code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import click

from durableq.cli.logs import configure_logs
from durableq.cli.options import EXIT_STATE_LOST, explained, log_options, place, redis_options
from durableq.cli.patience import unless
from durableq.services.scheduler import Scheduler
from durableq.store.opening import calls_on, check_server, open_link, open_patiently
from durableq.words.errors import StateLost
from durableq.words.telemetry import Log, get_log


@click.command("scheduler")
@click.argument("apps", nargs=-1, metavar="[MODULE:APP]...")
@redis_options
@click.option(
    "--allow-eviction",
    is_flag=True,
    envvar="DURABLEQ_ALLOW_EVICTION",
    show_envvar=True,
    help="Work on a Redis that evicts keys when full. It will lose runs.",
)
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
    """Fire timers and rescue the runs of dead workers, for a whole namespace. Any number may run.

    No app is needed; one may be named, as for a worker, and is not loaded.
    """
    found = place(redis_url, namespace)
    configure_logs(log_format, log_level)
    sys.exit(
        asyncio.run(run_scheduler(found.redis_url, found.namespace, allow_eviction, get_log(scheduler=os.getpid())))
    )


async def run_scheduler(redis_url: str, namespace: str, allow_eviction: bool, log: Log) -> int:
    """A scheduler from start to exit code."""
    stopping = asyncio.Event()
    code = 0

    def lost(error: StateLost) -> None:
        nonlocal code
        log.error("state.lost", error=str(error))
        code = EXIT_STATE_LOST
        stopping.set()

    def changed(up: bool, reason: str) -> None:
        if up:
            log.info("redis.connected")
        else:
            log.warning("redis.lost", reason=reason)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    link = open_link(redis_url, "scheduler", on_change=changed)
    bell_link = open_link(redis_url, "scheduler-bell", blocking_s=10.0)
    calls, bell_calls = calls_on(link, namespace), calls_on(bell_link, namespace)

    async def begin() -> None:
        await open_patiently(calls, redis_url, log)
        await check_server(calls, allow_eviction=allow_eviction)

    if await unless(stopping, begin()):
        bell_calls.identity = calls.identity
        scheduler = Scheduler(calls, bell_calls, log, lost)
        scheduler.start()
        log.info("scheduler.working", namespace=namespace)
        await stopping.wait()
        await scheduler.stop()
    await asyncio.gather(link.close(), bell_link.close())
    log.info("scheduler.left", exit=code)
    return code
