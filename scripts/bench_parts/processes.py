"""The processes that are measured: a server of our own, `durableq worker` and `durableq scheduler`. Linux only.

Each is pinned to a core where there are two, so that worker and Redis do not take each other's time. Whatever was started
is killed by its pid when its `with` ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from durableq.embedded.binary import packaged_binary

START_S = 20.0
ROOT = Path(__file__).resolve().parents[2]


class BenchError(Exception):
    """The machine lacks something, or a process did not do its part."""


def cores() -> tuple[int, int]:
    """The core for workers and producers, and the one for Redis; the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pin(pid: int, core: int, first: bool = False) -> None:
    """Keep a process, with all its threads, on one core. `first` puts it before all ordinary processes; needs root."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), {core})
            if first:
                # Not a nice value: where the kernel groups processes by session, that counts within the session only.
                os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(1))


def cpu_s(pid: int) -> float:
    """The processor time that the living threads of a process have used, to the nanosecond."""
    total_ns = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(FileNotFoundError, ProcessLookupError):
            total_ns += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    return total_ns / 1e9


class Server:
    """A Redis or Valkey with an append-only file synced every second, in a folder of its own."""

    def __init__(self, kind: str, first: bool = False) -> None:
        self._binary = _binary(kind)
        self.first = first
        self._directory = tempfile.mkdtemp(prefix="durableq-bench-")
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port, protocol=2, socket_timeout=10)

    def __enter__(self) -> Self:
        command = [str(self._binary), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._directory]
        # No rewrite of the file in the middle of a measurement: it is a second process that writes everything anew.
        for name, value in {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "auto-aof-rewrite-percentage": "0",
        }.items():
            command += [f"--{name}", value]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise BenchError(f"{self._binary} did not start")
            time.sleep(0.02)
        pin(self.pid, cores()[1], self.first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def version(self) -> str:
        about = self.client.info("server")
        return f"{about.get('server_name', 'redis')} {about.get('valkey_version', about['redis_version'])}"

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


class Service:
    """A `durableq` command that runs until its `with` ends, its log in a file that is shown if it fails."""

    def __init__(self, server: Server, *command: str, uvloop: bool = True) -> None:
        self._server = server
        self._command = [str(Path(sys.executable).with_name("durableq")), *command, "--redis-url", server.url]
        self._command += ["--log-level", "warning", "--log-format", "json"]
        self._directory = tempfile.mkdtemp(prefix="durableq-bench-")
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        if not uvloop:
            # A module that shadows the real one and cannot be imported: the child then goes without.
            Path(self._directory, "uvloop.py").write_text("raise ImportError('left out')\n")
            self._environment["PYTHONPATH"] = f"{self._directory}:{ROOT}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        for pid in self.pids:
            pin(pid, cores()[0], self._server.first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            for pid in self.pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()
        if error is not None:
            print(self._log.read_text("utf-8", "replace")[-4000:], file=sys.stderr)
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """Its own, then its children's."""
        return [self.pid, *self._children()]

    def stop(self) -> None:
        """SIGTERM, and wait until it has left by itself."""
        assert self._process is not None
        self._process.terminate()
        if self._process.wait(timeout=30) != 0:
            raise BenchError(f"{self._command} left with {self._process.returncode}")

    def _children(self) -> list[int]:
        try:
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    @property
    def _log(self) -> Path:
        return Path(self._directory, "log")

    def _ready(self) -> bool:
        return True

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while not self._ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{' '.join(self._command)} did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.05)


class Worker(Service):
    """`durableq worker` with one child."""

    def __init__(self, server: Server, concurrency: int = 100, *, uvloop: bool = True) -> None:
        super().__init__(
            server, "worker", "scripts.bench_parts.app:app", "--concurrency", str(concurrency), uvloop=uvloop
        )

    @property
    def child(self) -> int:
        """The pid of the process that executes user code."""
        return self._children()[0]

    def pause(self) -> None:
        """Freeze the child; the parent keeps its lease alive."""
        os.kill(self.child, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.child, signal.SIGCONT)

    def _ready(self) -> bool:
        return any(
            client["name"] == "durableq:child-bell" and client["cmd"].startswith("xreadgroup")
            for client in self._server.client.client_list()
        )


class Scheduler(Service):
    """`durableq scheduler`."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, "scheduler")

    def _ready(self) -> bool:
        return any(client["name"].startswith("durableq:scheduler-bell") for client in self._server.client.client_list())


def _binary(kind: str) -> Path:
    found = packaged_binary() if kind == "valkey" else shutil.which("redis-server")
    if found is None:
        raise BenchError(
            "no embedded Valkey: run scripts/setup"
            if kind == "valkey"
            else "no redis-server on PATH: apt-get install redis-server"
        )
    return Path(found)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
