"""A stage for acceptance tests: a server of its own, real workers and schedulers, a ledger, and patience with a deadline.

Processes are started as a user starts them, each with its children in a process group of its own, their JSON log in a
file. Nothing here sleeps for luck: tests wait for conditions, each with a deadline. At the end whatever was started is
killed, and the logs are printed, which pytest shows when the test failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import durableq as dq
from durableq.store.calls import Calls
from durableq.store.opening import calls_on, open_link
from durableq.store.reads import Reads, RunDetails
from tests.acceptance.ledger import VARIABLE, Ledger
from tests.servers import RealServer

REPOSITORY = Path(__file__).parents[2]
APP = "tests.acceptance.programs:app"
COMMAND = (sys.executable, "-c", "from durableq.cli.main import main; main()")
POLL_S = 0.02
STARTED_WITHIN_S = 20.0
LOG_TAIL = 60

Condition = Callable[[], Any] | Callable[[], Awaitable[Any]]


async def until(condition: Condition, what: str, *, within_s: float) -> Any:
    """Wait until the condition gives something true, and return it. AssertionError when the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(POLL_S)


class Process:
    """A durableq process and its children: one process group, one log."""

    def __init__(self, name: str, arguments: list[str], log_path: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log_path = log_path
        self.started_s = time.monotonic()
        with log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    # --- what it says

    def log(self, event: str = "", **fields: Any) -> list[dict[str, Any]]:
        """The entries of its log and its children's with this event and these fields."""
        found = []
        for text in self.log_path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(text)
            except ValueError:
                entry = {"event": text}
            if not isinstance(entry, dict):
                entry = {"event": text}
            if (not event or entry.get("event") == event) and all(entry.get(k) == v for k, v in fields.items()):
                found.append(entry)
        return found

    async def says(self, event: str, *, within_s: float = STARTED_WITHIN_S, count: int = 1, **fields: Any) -> Any:
        """Wait for the `count`-th entry of this event. Returns it."""

        def said() -> Any:
            gone = not self.running
            found = self.log(event, **fields)
            if gone and len(found) < count:
                raise AssertionError(f"{self.name} left with {self._popen.returncode} and did not say {event}")
            return found[count - 1] if len(found) >= count else None

        return await until(said, f"{self.name} says {event} {fields or ''}", within_s=within_s)

    async def working(self, *, children: int = 1, within_s: float = STARTED_WITHIN_S) -> Process:
        """Wait until this many of its children have begun to claim."""
        await self.says("child.working", count=children, within_s=within_s)
        return self

    @property
    def children(self) -> list[int]:
        """The children that live, oldest first."""
        return [entry["child"] for entry in self.log("child.started") if alive(entry["child"])]

    @property
    def child(self) -> int:
        """The youngest child that lives."""
        return self.children[-1]

    # --- what is done to it

    def signal(self, number: signal.Signals) -> None:
        """To the parent alone."""
        self._popen.send_signal(number)

    def signal_group(self, number: signal.Signals) -> None:
        """To the parent and its children, as platforms do."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill_child(self) -> int:
        """kill -9 its youngest child."""
        pid = self.child
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_group(self) -> None:
        """kill -9 all of it, and wait until it is gone."""
        self.signal_group(signal.SIGKILL)
        self._popen.wait()

    async def exits(self, *, within_s: float) -> int:
        """Wait for the exit of the parent. Returns its code, negative for a signal."""
        await until(lambda: self._popen.poll() is not None, f"{self.name} exits", within_s=within_s)
        return self._popen.wait()

    @property
    def exit_code(self) -> int | None:
        return self._popen.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None


class Stage:
    """One test's server, processes, ledger and client. `close` ends all of it."""

    def __init__(self, server: RealServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.ledger = Ledger(directory / "ledger")
        self.processes: list[Process] = []
        self.sent: dict[str, str] = {}
        """Accepted events: id to name."""
        self._clients: list[dq.Client] = []
        self._calls: Calls | None = None

    # --- processes

    def worker(self, *options: str, concurrency: int = 10, app: str = APP, url: str = "") -> Process:
        """Start `durableq worker`. It is not waited for: see Process.working."""
        return self.start("worker", app, "--concurrency", str(concurrency), *options, url=url)

    def scheduler(self, *options: str, url: str = "") -> Process:
        """Start `durableq scheduler`."""
        return self.start("scheduler", *options, url=url)

    def start(self, command: str, *arguments: str, url: str = "") -> Process:
        """Start a durableq command on this stage's server."""
        name = f"{command}-{len(self.processes)}"
        given = [command, *arguments, "--redis-url", url or self.server.url, "--log-format", "json"]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("DURABLEQ_")}
        environment[VARIABLE] = str(self.ledger.path)
        process = Process(name, given, self.directory / f"{name}.log", environment)
        self.processes.append(process)
        return process

    # --- events and runs

    def client(self) -> dq.Client:
        """A producer, closed with the stage."""
        self._clients.append(dq.Client(self.server.url))
        return self._clients[-1]

    async def send(self, name: str, count: int = 1, **data: Any) -> list[str]:
        """Send this many events of `work/<name>`. Returns their ids."""
        if not self._clients:
            self.client()
        ids = await self._clients[0].send([dq.Event(f"work/{name}", {"n": n, **data}) for n in range(count)])
        self.sent.update(dict.fromkeys(ids, name))
        return ids

    async def calls(self) -> Calls:
        """A reader's own connection, which heals itself."""
        if self._calls is None:
            self._calls = calls_on(open_link(self.server.url, "acceptance"), "default")
            await self._calls.open()
        return self._calls

    async def runs(self) -> list[RunDetails]:
        """Every run that Redis knows, with memos and history."""
        calls = await self.calls()
        prefix, cursor, ids = calls.key("run"), b"0", set()
        while True:
            cursor, keys = await calls.read("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", 1000)
            ids.update(key.decode().removeprefix(prefix) for key in keys)
            if cursor == b"0":
                break
        found, ordered = [], sorted(ids)
        for start in range(0, len(ordered), 100):
            page = await asyncio.gather(*map(Reads(calls).details, ordered[start : start + 100]))
            found += [details for details in page if details is not None]
        return found

    async def ended(self, function: str = "") -> int:
        """How many runs are final, of one function of the app or of all of them."""
        calls = await self.calls()
        lists = await calls.read("SMEMBERS", calls.key("kept"))
        prefix = f"acceptance/{function}:" if function else "acceptance/"
        wanted = [name.decode() for name in lists if name.startswith(prefix.encode())]
        return sum([await calls.read("ZCARD", calls.key("done", name)) for name in wanted])

    async def all_end(self, *, within_s: float, count: int | None = None) -> None:
        """Wait until as many runs have ended as events were sent."""
        wanted = len(self.sent) if count is None else count

        async def enough() -> bool:
            return await self.ended() >= wanted

        try:
            await until(enough, f"{wanted} runs have ended", within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"{error} ({await self.ended()} have)") from None

    # --- the end

    async def close(self, *, quietly: bool = False) -> None:
        """Kill what was started, print the logs unless `quietly`, close what is open."""
        for process in self.processes:
            process.signal_group(signal.SIGKILL)
        for process in self.processes:
            await process.exits(within_s=10)
            if quietly:
                continue
            entries = process.log_path.read_text(errors="replace").splitlines()
            print(
                f"---- {process.name} (pid {process.pid}), the last of {len(entries)} lines",
                *entries[-LOG_TAIL:],
                sep="\n",
            )
        for client in self._clients:
            await client.aclose()
        if self._calls is not None:
            await self._calls.link.close()
        self.ledger.close()


def alive(pid: int) -> bool:
    """Whether this process is there, and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def now_ms() -> float:
    """Wall clock, as in the ledger."""
    return time.time() * 1000
