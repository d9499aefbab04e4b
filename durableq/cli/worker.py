"""`durableq worker`: the parent. It loads no user code; its children do."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import click

from durableq.cli.loading import split_references
from durableq.cli.logs import configure_logs
from durableq.cli.options import Seconds, explained, log_options, place, redis_options
from durableq.cli.patience import unless
from durableq.services.parent import Parent
from durableq.services.scheduler import Scheduler
from durableq.services.settings import WorkerSettings
from durableq.store.leases import Leases
from durableq.store.opening import calls_on, check_server, open_link, open_patiently
from durableq.words.errors import ConfigError
from durableq.words.telemetry import Log, get_log

CHILD = (sys.executable, "-m", "durableq.cli.child")


@click.command("worker")
@click.argument("apps", nargs=-1, metavar="[MODULE:APP]...")
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
    type=Seconds(),
    default="25s",
    show_default=True,
    envvar="DURABLEQ_GRACE",
    show_envvar=True,
    help="How long SIGTERM lets what is in hand go on.",
)
@click.option(
    "--stuck-after",
    type=Seconds(),
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
    "--release",
    default="",
    envvar="DURABLEQ_RELEASE",
    show_envvar=True,
    help="The deployment's id. Default: the platform's release, else a hash of the declarations.",
)
@click.option(
    "--allow-eviction",
    is_flag=True,
    envvar="DURABLEQ_ALLOW_EVICTION",
    show_envvar=True,
    help="Work on a Redis that evicts keys when full. It will lose runs.",
)
@log_options
@explained
def command(apps: tuple[str, ...], redis_url: str | None, namespace: str | None, **options: Any) -> None:
    """Execute runs of the apps named MODULE:APP, or in DURABLEQ_APP.

    SIGTERM stops claiming, finishes what is in hand for up to --grace, hands the rest back and exits 0.
    Redis away is waited for.
    """
    found = place(redis_url, namespace)
    settings = WorkerSettings(
        apps=apps or split_references(os.environ.get("DURABLEQ_APP", "")),
        redis_url=found.redis_url,
        namespace=found.namespace,
        concurrency=options["concurrency"],
        processes=options["processes"],
        grace_s=options["grace"],
        stuck_after_s=options["stuck_after"],
        max_runs_per_child=options["max_runs_per_child"],
        max_memory_per_child_mb=options["max_memory_per_child"],
        with_scheduler=options["with_scheduler"],
        release=options["release"],
        allow_eviction=options["allow_eviction"],
        log_format=options["log_format"],
        log_level=options["log_level"],
    )
    for reference in settings.apps:
        if reference.count(":") != 1:
            raise ConfigError(f"app {reference!r} must be written MODULE:APP, such as 'workers.app:app'")
    configure_logs(settings.log_format, settings.log_level)
    sys.exit(asyncio.run(run_worker(settings, get_log(worker=os.getpid()))))


async def run_worker(settings: WorkerSettings, log: Log) -> int:
    """A worker from start to exit code. Raises what settings and servers are refused with."""
    link = open_link(settings.redis_url, "parent", on_change=_said(log))
    calls = calls_on(link, settings.namespace)
    log.info(
        "worker.starting", apps=list(settings.apps), processes=settings.processes, concurrency=settings.concurrency
    )

    async def begin() -> None:
        await open_patiently(calls, settings.redis_url, log)
        await check_server(calls, allow_eviction=settings.allow_eviction)

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # until the parent takes them over
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    if not await unless(stopping, begin()):
        await link.close()
        log.info("worker.left", exit=0)
        return 0
    parent = Parent(settings, CHILD, Leases(calls), log)
    if not settings.with_scheduler:
        code = await parent.run()
    else:
        bell_link = open_link(settings.redis_url, "scheduler-bell", blocking_s=10.0)
        bell_calls = calls_on(bell_link, settings.namespace)
        bell_calls.identity = calls.identity
        scheduler = Scheduler(calls, bell_calls, log, parent.state_lost)
        scheduler.start()
        code = await parent.run()
        await scheduler.stop()
        await bell_link.close()
    await link.close()
    log.info("worker.left", exit=code)
    return code


def _said(log: Log) -> Any:
    def changed(up: bool, reason: str) -> None:
        if up:
            log.info("redis.connected")
        else:
            log.warning("redis.lost", reason=reason)

    return changed
