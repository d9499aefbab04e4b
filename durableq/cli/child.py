"""The main of a worker's child: `python -m durableq.cli.child READ WRITE TRACE` (file descriptors), started by the parent.

It does nothing at SIGTERM and SIGINT: signals are the parent's business, and what to do comes by pipe. It leaves by
os._exit, so that threads of user code that still run cannot keep it.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final

from durableq.app import App
from durableq.cli.collector import Collector
from durableq.cli.deployment import declarations_of, release_of
from durableq.cli.discovery import Named
from durableq.cli.loading import load_apps
from durableq.cli.logs import adopt_strays, own_log
from durableq.cli.patience import unless
from durableq.cli.reasons import AppsRefused
from durableq.cli.reload.origins import code_directories
from durableq.cli.selecting import selected
from durableq.model.config import WORKER_NAME_VARIABLES, first_of
from durableq.services.duties import Duties, Tellings
from durableq.services.executor import RunInHand
from durableq.services.narrated import NarratedRun
from durableq.services.orphan import leave_when_orphaned
from durableq.services.parent import EXIT_CONFIG, EXIT_STATE_LOST
from durableq.services.pipe import Message, Pipe
from durableq.services.settings import WorkerSettings
from durableq.services.worker import Worker
from durableq.store.leases import RENEW_EVERY_S
from durableq.store.opening import calls_on, open_link, open_patiently
from durableq.store.registry import Registry
from durableq.words.errors import ConfigError, DurableqError, RedisRefused, StateLost, UnknownSchema
from durableq.words.periods import format_ms
from durableq.words.telemetry import Log

EXIT_FAILED: Final = 1
BEAT_S: Final = 1.0
BLOCKED_AFTER_S: Final = 5.0
BLOCKING_READ_S: Final = 3.0
ORPHANED_S: Final = 10.0
"""Beyond the grace period: by then a child without a parent has left by itself, if it can."""
OLDER: Final = (
    "another release is the newest, and what that one declares is what counts: durableq sync makes this one the newest"
)


def main(argv: Sequence[str]) -> None:
    """Run one child to its end."""
    # Handled by doing nothing rather than ignored: what is ignored stays so in the processes that user code starts.
    signal.signal(signal.SIGTERM, _nothing)
    signal.signal(signal.SIGINT, _nothing)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, _nothing)
    read_fd, write_fd, trace_fd = (int(text) for text in argv)
    for fd in (read_fd, write_fd, trace_fd):
        os.set_inheritable(fd, False)
    settings = WorkerSettings.from_map(_first_message(read_fd)["settings"])
    leave_when_orphaned(read_fd, settings.grace_s + ORPHANED_S)
    code = _run(_Child(settings, read_fd, write_fd, trace_fd))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _nothing(_number: int, _frame: object) -> None:
    """SIGTERM and SIGINT are the parent's business."""


def _first_message(read_fd: int) -> Message:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(read_fd, 1)
        if not byte:
            os._exit(0)  # the parent is gone before it could say anything
        line += byte
    message: Message = json.loads(line)
    return message


def _run(child: _Child) -> int:
    with contextlib.suppress(ImportError):
        uvloop = importlib.import_module("uvloop")
        return int(uvloop.run(child.run()))
    return asyncio.run(child.run())


def worker_name(pid: int) -> str:
    """This process, as screens name it."""
    return f"{first_of(os.environ, WORKER_NAME_VARIABLES) or os.uname().nodename}:{pid}"


class _Child:
    """What holds the pieces of one child together."""

    def __init__(self, settings: WorkerSettings, read_fd: int, write_fd: int, trace_fd: int) -> None:
        self._settings = settings
        self._fds = (read_fd, write_fd)
        self._trace_fd = trace_fd
        self._exit_code = 0
        self._leaving = asyncio.Event()
        self._orphaned = False
        self._recycling = False
        self._looking: asyncio.Task[None] | None = None
        self._keeps_others_out: list[str] = []
        self._collector = Collector(resident_mb)
        self._log: Log = own_log(settings.log_format, settings.log_level, child=os.getpid())
        self._worker: Worker | None = None
        self._pipe: Pipe | None = None

    async def run(self) -> int:
        self._pipe = Pipe(*self._fds, self._told, self._parent_gone)
        beating = asyncio.create_task(self._beat())
        try:
            await self._work()
        except (ConfigError, RedisRefused, UnknownSchema) as error:
            self._fatal(EXIT_CONFIG, str(error))
        except StateLost as error:
            self._fatal(EXIT_STATE_LOST, str(error))
        except Exception as error:
            self._log.exception("child.failed")
            self._fatal(EXIT_FAILED, f"{type(error).__name__}: {error}")
        finally:
            beating.cancel()
            faulthandler.cancel_dump_traceback_later()
        return self._exit_code

    def _apps(self) -> list[App]:
        """The apps of this worker. What their code raises at import, other than our errors, is logged with its traceback."""
        try:
            return list(load_apps(Named(self._settings.apps, self._settings.directory)).values())
        except AppsRefused as refused:
            for reason in refused.reasons:
                if not isinstance(reason.error, DurableqError):
                    self._log.error("child.failed", exc_info=reason.error)
            raise

    async def _work(self) -> None:
        settings = self._settings
        try:
            apps = self._apps()
        finally:
            if settings.in_dev:
                for directory in code_directories(os.getcwd()):
                    self._tell({"is": "code", "directory": directory})
        adopt_strays(self._log, settings.log_format, settings.log_level)
        functions = {function.full_id: function for app in apps for function in app.functions.values()}
        chosen = selected(functions, settings.only, settings.exclude)
        for app in apps:
            app.connect_to(settings.redis_url, settings.namespace)
        link = open_link(settings.redis_url, "child", on_change=self._connection_changed)
        bell_link = open_link(settings.redis_url, "child-bell", blocking_s=BLOCKING_READ_S)
        calls, bell_calls = calls_on(link, settings.namespace), calls_on(bell_link, settings.namespace)
        if not await unless(self._leaving, open_patiently(calls, settings.redis_url, self._log)):
            return
        bell_calls.identity = calls.identity
        release = release_of(settings.release, apps)
        for app in apps:
            # All of it, whatever this worker selects: what the newest deployment does not register is retired.
            if not (await Registry(calls).register_app(app.id, release, declarations_of(app))).newest:
                self._log.warning("release.older", app=app.id, release=release, hint=OLDER)
        duties = Duties(
            functions={full_id: functions[full_id] for full_id in chosen},
            app_ids=sorted({functions[full_id].app_id for full_id in chosen}),
            worker=worker_name(os.getpid()),
            release=release,
            concurrency=settings.concurrency,
            alone=settings.alone,
        )
        tell = Tellings(
            leased=self._leased,
            suspects=self._suspects,
            lost=self._state_lost,
            done=self._leaving.set,
            quiet=self._quiet,
        )
        in_hand = NarratedRun if settings.in_dev else RunInHand
        self._worker = Worker(calls, bell_calls, duties, tell, self._log, in_hand=in_hand)
        await self._worker.start()
        self._collector.settle()
        watching = asyncio.create_task(self._collector.watch())
        self._tell({"is": "working"})
        await self._leaving.wait()
        ended = await self._worker.drain(settings.grace_s, heir=not self._orphaned)
        watching.cancel()
        await asyncio.gather(link.close(), bell_link.close())
        if not ended:
            # At once: the loop would wait for it, and the runs are handed back when this process is gone.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self._exit_code)

    # --- to and from the parent

    def _tell(self, message: dict[str, Any]) -> None:
        if self._pipe is not None:
            self._pipe.tell(message)

    def _told(self, message: Message) -> None:
        what = message.get("do")
        if what == "drain":
            self._leaving.set()
        elif what == "drop" and self._worker is not None:
            self._worker.lease_lost(message["lease"])

    def _parent_gone(self) -> None:
        self._log.warning("parent.gone", then="draining")
        self._orphaned = True
        self._leaving.set()

    def _leased(self, lease: str) -> None:
        self._tell({"is": "leased", "lease": lease, "thread": threading.get_ident()})

    def _suspects(self) -> None:
        self._tell({"is": "suspects"})

    def _quiet(self) -> None:
        self._tell({"is": "quiet"})

    def _state_lost(self, lost: StateLost) -> None:
        self._fatal(EXIT_STATE_LOST, str(lost))
        self._leaving.set()

    def _fatal(self, exit_code: int, why: str) -> None:
        self._exit_code = exit_code
        self._tell({"is": "fatal", "exit": exit_code, "why": why})

    def _connection_changed(self, up: bool, reason: str) -> None:
        if up:
            self._log.info("redis.connected")
            if self._worker is not None:
                self._worker.reconnected()
        else:
            self._log.warning("redis.lost", reason=reason)

    # --- the beat

    async def _beat(self) -> None:
        """Every second: tell the parent that the loop turns, arm the trace for when it does not, look at our own limits."""
        loop = asyncio.get_running_loop()
        renewed_s, turned_s = 0.0, loop.time()
        while True:
            faulthandler.dump_traceback_later(BLOCKED_AFTER_S, file=self._trace_fd)
            worker = self._worker
            in_hand, stalled = (worker.hand.executing, worker.stalled()) if worker is not None else (0, "")
            self._tell({"is": "beat", "in_hand": in_hand, "stalled": stalled})
            if worker is not None:
                if loop.time() - turned_s > BLOCKED_AFTER_S:
                    worker.doubt_lease()
                if worker.hand.overdue(self._settings.stuck_after_s) and (
                    self._looking is None or self._looking.done()
                ):
                    self._looking = asyncio.create_task(self._look_at_overdue(worker))
                why = self._reason_to_recycle(worker)
                if why and not self._recycling:
                    self._recycling = True
                    await worker.stop_claiming()
                    self._tell({"is": "recycle", "why": why})
                renewed_s += BEAT_S
                if self._orphaned and renewed_s >= RENEW_EVERY_S:
                    renewed_s = 0.0
                    with contextlib.suppress(DurableqError):
                        await worker.renew()
            turned_s = loop.time()
            await asyncio.sleep(BEAT_S)

    async def _look_at_overdue(self, worker: Worker) -> None:
        """Beside the beat, which must go on while Redis is away."""
        with contextlib.suppress(DurableqError):
            self._keeps_others_out = await worker.keeps_others_out(self._settings.stuck_after_s)

    def _reason_to_recycle(self, worker: Worker) -> str:
        settings = self._settings
        abandoned = worker.environment.abandoned.count
        # One is enough where a suspect must have nothing beside it.
        if abandoned and abandoned * 4 >= (1 if settings.alone else settings.concurrency):
            return (
                f"{abandoned} bodies were given up on and go on: steps past their timeout, or runs that were cancelled"
            )
        if self._keeps_others_out:
            after = format_ms(int(settings.stuck_after_s * 1000))
            return f"code that was given up on {after} ago goes on, and keeps slots: {', '.join(self._keeps_others_out[:3])}"
        if worker.overstayed:
            return "its lease was lost, and code of the runs that it had goes on"
        if settings.max_runs_per_child and worker.hand.executed >= settings.max_runs_per_child:
            return f"{worker.hand.executed} runs executed"
        if settings.max_memory_per_child_mb and resident_mb() > settings.max_memory_per_child_mb:
            return f"it uses {resident_mb()} MB"
        return ""


def resident_mb() -> int:
    """The memory that this process has in use now, in MB; its peak where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize() // 1_048_576
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main(sys.argv[1:])
