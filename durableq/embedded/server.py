"""The supervisor of the embedded server.

What. One server process per data directory, on a unix socket inside it, its data in an append-only file that is synced
every second. Every process that asks for the directory shares that server. It starts in about 50 ms.

Authority. The kernel's lock on the directory's `lock` file. Whoever takes it may start a server, and hands the locked
file down to it: kill -9, a deleted socket or a reused pid cannot fool it.

Invariants.
1. A directory has at most one server, however many processes ask at once.
2. A server is never killed from here. It is asked to shut down, by the last process that leaves.
3. Who has started is attached: one named connection, open until `stop`. By it the server knows its users, and they
   learn of its death.

Failures. A server that dies is started again on the same files and the same URL, by whichever attached process is
first; clients see a lost connection. A process that is killed leaves its server running: the next one to start there
adopts it. A server that hangs is waited for, then reported, never doubled.

The server is spoken to in inline commands rather than through redis-py, whose retries, timeouts and protocol differ
between the releases we support; five words need none of them.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import structlog

from durableq.embedded.binary import find_binary
from durableq.embedded.directory import DataDirectory
from durableq.embedded.errors import EmbeddedServerError
from durableq.words import ids

_ANSWER_S = 1.0
_POLL_S = 0.02
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.1, 5.0
_DIED_YOUNG_S = 10.0
_LEAVING = "durableq-leaving"
_USER_PREFIX = "durableq-embedded-"
_USER = re.compile(rf" name=({_USER_PREFIX}(\d+)-\S+) ")


class EmbeddedServer:
    """The server of one data directory, started, adopted and kept alive.

    `directory` is made if needed, readable by its owner only. `binary` is the server to start, by default what
    `find_binary` finds. `patience_s` bounds the wait, in seconds, for a server that does not answer; one that is
    loading its data is waited for as long as it says so. An instance belongs to one event loop.
    """

    def __init__(
        self, directory: str | os.PathLike[str] = ".durableq", *, binary: Path | None = None, patience_s: float = 10.0
    ) -> None:
        self._directory = DataDirectory(directory)
        self._binary = binary
        self._patience_s = patience_s
        self._name = f"{_USER_PREFIX}{os.getpid()}-{ids.new_token()}"
        self._used = False
        self._process: subprocess.Popen[bytes] | None = None
        self._link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("durableq.embedded", process="server")

    async def start(self) -> str:
        """Start the server, or attach to the one that runs, and keep it running until `stop`.

        Returns its URL (`unix:///...`), which stays the same through restarts. Raises EmbeddedServerError.
        """
        if self._watcher is None:
            self._used = True
            self._directory.make()
            await self._attach()
            self._watcher = asyncio.create_task(self._watch(), name="durableq-embedded-watch")
        return f"unix://{quote(str(self._directory.socket))}"

    async def alive(self) -> bool:
        """Whether the server answers now, within a second."""
        return _is_ready(await self._ask("PING"))

    @property
    def adopted(self) -> bool:
        """Whether `start` has found it running, and did not have to start it."""
        return self._used and self._process is None

    async def sharers(self) -> list[int]:
        """Process ids of the others who have started it here, and have not stopped."""
        reply = await self._ask("CLIENT LIST") or b""
        names = _USER.findall(reply.decode(errors="replace"))
        return sorted({int(pid) for name, pid in names if name != self._name})

    async def stop(self) -> bool:
        """Detach, and shut the server down unless somebody else is connected. Close your own connections first.

        Returns whether no server runs any more: False means that it was left to its other clients, or is too busy to
        answer. Also after a `start` that was cancelled.
        """
        if not self._used:
            return True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        # Detached first: of several that leave at once the last to ask then sees nobody, and shuts it down.
        self._detach()
        deadline = time.monotonic() + self._patience_s
        seen: set[bytes] = set()
        while not self._directory.is_free():
            reply = await self._ask(f"CLIENT SETNAME {_LEAVING}", "CLIENT LIST")
            others = _others(reply)
            # Only who is listed twice is here: a connection closed a moment ago may still be in the list.
            if (others and others & seen) or time.monotonic() > deadline:
                return False
            seen = others or set()
            if others == set():
                await self._ask("SHUTDOWN NOSAVE")  # spares the snapshot; the append-only file is written and synced
            await asyncio.sleep(_POLL_S)
        self._reap()
        return True

    async def _watch(self) -> None:
        """Attach again whenever the server goes away, less eagerly when it keeps dying young."""
        pause_s = _PAUSE_MIN_S
        while True:
            attached_at_s = time.monotonic()
            await self._link_lost()
            self._log.warning("embedded.lost", directory=str(self._directory.path))
            if time.monotonic() - attached_at_s > _DIED_YOUNG_S:
                pause_s = _PAUSE_MIN_S
            while self._link is None:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _PAUSE_MAX_S)
                try:
                    await self._attach()
                except (EmbeddedServerError, OSError) as error:
                    self._log.error("embedded.restart_failed", reason=str(error), again_in_s=pause_s)
            self._log.warning("embedded.restarted", directory=str(self._directory.path))

    async def _link_lost(self) -> None:
        assert self._link is not None
        try:
            await self._link[0].read()  # nothing is ever sent on it: this returns at its end
        except ConnectionError:
            pass
        self._detach()

    def _detach(self) -> None:
        if self._link is not None:
            self._link[1].close()
            self._link = None

    async def _attach(self) -> None:
        while self._link is None:
            await self._ensure()
            try:
                reader, writer = await asyncio.open_unix_connection(self._directory.socket)
                writer.write(f"CLIENT SETNAME {self._name}\r\n".encode())
                # Only once this is answered does the server list us; before, its last user may still shut it down.
                if await reader.readline() == b"+OK\r\n":
                    self._link = reader, writer
                else:
                    writer.close()
            except (FileNotFoundError, ConnectionError):
                continue

    async def _ensure(self) -> None:
        """Return once a server answers, starting one if none lives."""
        started: subprocess.Popen[bytes] | None = None
        deadline = time.monotonic() + self._patience_s
        while not _is_ready(reply := await self._ask("PING")):
            if started is not None and started.poll() is not None:
                raise EmbeddedServerError(self._why_it_ended(started.returncode))
            if reply is None and started is None:
                if self._binary is None:
                    self._binary = await asyncio.to_thread(find_binary)
                started = self._start_if_none_lives(self._binary)
            if reply is not None and reply.startswith(b"-LOADING"):
                deadline = time.monotonic() + self._patience_s
            if time.monotonic() > deadline:
                raise EmbeddedServerError(self._why_no_answer(reply))
            await asyncio.sleep(_POLL_S)

    def _start_if_none_lives(self, binary: Path) -> subprocess.Popen[bytes] | None:
        # No await in here: a child forked in between would inherit the lock and keep it after the server's death.
        lock = self._directory.take_lock()
        if lock is None:
            return None
        try:
            self._reap()
            self._directory.turn_log()
            with self._directory.log.open("wb") as log:
                self._process = subprocess.Popen(
                    [binary, *_options(self._directory)],
                    cwd=self._directory.path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock],
                    start_new_session=True,  # Ctrl-C at the terminal is for us; the server must outlive our shutdown
                )
            self._directory.note_pid(lock, self._process.pid)
        except OSError as error:
            raise EmbeddedServerError(f"{binary} cannot be started in {self._directory.path}: {error}") from error
        finally:
            os.close(lock)
        return self._process

    def _reap(self) -> None:
        """Collect the exit status of a server of ours that is dead, as the free lock has told."""
        if self._process is not None:
            self._process.wait()
            self._process = None

    async def _ask(self, *commands: str) -> bytes | None:
        """All that the server answers; None when nobody listens, b"" when no answer came in time."""
        writer = None
        try:
            async with asyncio.timeout(_ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(self._directory.socket)
                writer.write("".join(f"{command}\r\n" for command in (*commands, "QUIT")).encode())
                return await reader.read()
        except (FileNotFoundError, ConnectionError):
            return None
        except (TimeoutError, BlockingIOError):  # the latter: a frozen server whose backlog is full
            return b""
        finally:
            if writer is not None:
                writer.close()

    def _why_it_ended(self, code: int) -> str:
        here = self._directory
        return f"The embedded server ended at its start with code {code}. The end of {here.log}:\n{here.end_of_log()}"

    def _why_no_answer(self, reply: bytes | None) -> str:
        here, patience = self._directory, f"{self._patience_s:g} s"
        said = f" but {reply.decode(errors='replace').splitlines()[0]!r}" if reply else ""
        return (
            f"A server lives in {here.path} (pid {here.noted_pid()}), and in {patience} it said nothing{said} "
            f"at {here.socket}. Look at {here.log}; end that process if it hangs, and start again."
        )


def _is_ready(reply: bytes | None) -> bool:
    return reply is not None and reply.startswith(b"+PONG")


def _others(reply: bytes | None) -> set[bytes] | None:
    """The ids of the clients that are not about to leave; None when the reply is no list of clients."""
    leaving = f" name={_LEAVING} ".encode()
    clients = [line for line in (reply or b"").splitlines() if line.startswith(b"id=")]
    return {client.partition(b" ")[0] for client in clients if leaving not in client} if clients else None


def _options(directory: DataDirectory) -> list[str]:
    values = {
        "dir": str(directory.path),
        "port": "0",
        "unixsocket": str(directory.socket),
        "unixsocketperm": "700",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [word for name, value in values.items() for word in (f"--{name}", value)]
