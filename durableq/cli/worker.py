"""`durableq worker`: the parent. It loads no user code; its children do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import click

from durableq.cli.discovery import named_apps
from durableq.cli.logs import configure_logs, connection_log
from durableq.cli.options import (
    apps_argument,
    eviction_option,
    explained,
    globs_option,
    health_option,
    log_options,
    redis_options,
    release_option,
    seconds,
)
from durableq.cli.patience import ignore_stops, told_to_stop, unless
from durableq.cli.places import find, warn_unverified
from durableq.services.burst import Burst
from durableq.services.health import health_file
from durableq.services.parent import EXIT_OK, Parent
from durableq.services.scheduler import BELL_BLOCK_MS, Scheduler
from durableq.services.service import Loop
from durableq.services.settings import WorkerSettings
from durableq.store.calls import Calls
from durableq.store.leases import Leases
from durableq.store.opening import calls_on, check_server, open_link, open_patiently
from durableq.store.work import Work
from durableq.words.telemetry import Log, get_log

CHILD = (sys.executable, "-m", "durableq.cli.child")


@click.command("worker")
@apps_argument
@redis_options
@click.option(
    "--concurrency",
    type=int,
    default=100,
    show_default=True,
    envvar="DURABLEQ_CONCURRENCY",
    show_envvar=True,
    help="Runs in hand per process, and step bodies one run executes at once.",
)
@click.option(
    "--processes",
    type=int,
    default=1,
    show_default=True,
    envvar="DURABLEQ_PROCESSES",
    show_envvar=True,
    help="Child processes that execute user code.",
)
@click.option(
    "--grace",
    callback=seconds,
    metavar="DURATION",
    default="25s",
    show_default=True,
    envvar="DURABLEQ_GRACE",
    show_envvar=True,
    help="How long SIGTERM lets what is in hand go on.",
)
@click.option(
    "--stuck-after",
    callback=seconds,
    metavar="DURATION",
    default="10m",
    show_default=True,
    envvar="DURABLEQ_STUCK_AFTER",
    show_envvar=True,
    help="Replace a child that is silent for this long.",
)
@click.option(
    "--max-runs-per-child",
    type=int,
    default=0,
    envvar="DURABLEQ_MAX_RUNS_PER_CHILD",
    show_envvar=True,
    help="Replace a child after so many runs. 0: never.",
)
@click.option(
    "--max-memory-per-child",
    type=int,
    default=0,
    metavar="MB",
    envvar="DURABLEQ_MAX_MEMORY_PER_CHILD",
    show_envvar=True,
    help="Replace a child that uses more. 0: never.",
)
@click.option(
    "--with-scheduler",
    is_flag=True,
    envvar="DURABLEQ_WITH_SCHEDULER",
    show_envvar=True,
    help="Also do a scheduler's duties.",
)
@click.option(
    "--burst",
    is_flag=True,
    envvar="DURABLEQ_BURST",
    show_envvar=True,
    help="Leave when nothing is ready, in hand or unrouted. Sleepers and retries to come stay.",
)
@globs_option("--only", "DURABLEQ_ONLY", "Execute only functions that match, by short or full id. May be given again.")
@globs_option("--except", "DURABLEQ_EXCEPT", "Do not execute functions that match. May be given again.")
@release_option
@eviction_option
@health_option
@log_options
@explained
def command(apps: tuple[str, ...], redis_url: str | None, namespace: str | None, **options: Any) -> None:
    """Execute runs of the apps named MODULE:APP, in DURABLEQ_APP, or in pyproject.toml.

    SIGTERM stops claiming, finishes what is in hand for up to --grace, hands the rest back and exits 0.
    Redis away is waited for. --only and --except choose functions by globs such as 'send-*' or 'shop/*'; the others are
    registered all the same, for workers that have them.
    """
    named = named_apps(apps)
    found = find(redis_url, namespace)
    settings = WorkerSettings(
        apps=named.references,
        directory=named.directory,
        redis_url=found.redis_url,
        namespace=found.namespace,
        concurrency=options["concurrency"],
        processes=options["processes"],
        grace_s=options["grace"],
        stuck_after_s=options["stuck_after"],
        max_runs_per_child=options["max_runs_per_child"],
        max_memory_per_child_mb=options["max_memory_per_child"],
        with_scheduler=options["with_scheduler"],
        burst=options["burst"],
        only=options["only"],
        exclude=options["except"],
        release=options["release"],
        allow_eviction=options["allow_eviction"],
        health_file=options["health_file"],
        log_format=options["log_format"],
        log_level=options["log_level"],
    )
    configure_logs(settings.log_format, settings.log_level)
    log = get_log(worker=os.getpid())
    warn_unverified(found, log)
    sys.exit(asyncio.run(run_worker(settings, log)))


async def run_worker(settings: WorkerSettings, log: Log, stopping: asyncio.Event | None = None) -> int:
    """A worker from start to exit code. Raises what settings and servers are refused with.

    `stopping`, if given, is what signals set until the parent handles them.
    """
    stopping = stopping or told_to_stop()
    link = open_link(settings.redis_url, "parent", on_change=connection_log(log))
    calls = calls_on(link, settings.namespace)
    log.info(
        "worker.starting", apps=list(settings.apps), processes=settings.processes, concurrency=settings.concurrency
    )
    code = EXIT_OK

    async def begin() -> None:
        await open_patiently(calls, settings.redis_url, log)
        await check_server(calls, allow_eviction=settings.allow_eviction)

    try:
        async with health_file(settings.health_file, log) as ask:
            if await unless(stopping, begin()):
                parent = Parent(settings, CHILD, Leases(calls), log)
                ask(parent.unwell)
                async with _scheduling(settings, calls, parent, log) as scheduler:
                    if scheduler is not None:
                        ask(scheduler.unwell)
                    async with _bursting(settings, calls, parent, log):
                        code = await parent.run()
                    ignore_stops()
    finally:
        await link.close()
    log.info("worker.left", exit=code)
    return code


@contextlib.asynccontextmanager
async def _bursting(settings: WorkerSettings, calls: Calls, parent: Parent, log: Log) -> AsyncIterator[None]:
    """Somebody beside the parent who stops it when nothing is left to do, where that is wanted."""
    if not settings.burst:
        yield
        return
    burst = Burst(Work(calls), parent.leases_at_work, parent.stop, log, timers=settings.with_scheduler)
    looking = Loop("burst", burst, log, parent.state_lost)
    looking.start()
    try:
        yield
    finally:
        await looking.stop()


@contextlib.asynccontextmanager
async def _scheduling(
    settings: WorkerSettings, calls: Calls, parent: Parent, log: Log
) -> AsyncIterator[Scheduler | None]:
    """A scheduler beside the parent, where one is wanted."""
    if not settings.with_scheduler:
        yield None
        return
    bell_link = open_link(settings.redis_url, "scheduler-bell", blocking_s=BELL_BLOCK_MS / 1000)
    bell_calls = calls_on(bell_link, settings.namespace)
    bell_calls.identity = calls.identity
    scheduler = Scheduler(calls, bell_calls, log, parent.state_lost)
    scheduler.start()
    try:
        yield scheduler
    finally:
        await scheduler.stop()
        await bell_link.close()
