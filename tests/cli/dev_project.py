"""A directory with an app, in which `durableq dev` is started and the other commands are called."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from pathlib import Path

import durableq as dq
from tests.durableq_command import Running, durableq, environment, until


class Dev:
    """The directory, and what has been started in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url_file = directory / ".durableq" / "url"
        self.socket = directory / ".durableq" / "redis.sock"
        self._started: list[Running] = []

    def write(self, code: str, file: str = "apps.py") -> None:
        """Save a file, as editors do: a new one takes the place of the old one."""
        new = self.directory / f"{file}.new"
        new.write_text(code)
        new.replace(self.directory / file)

    def start(self, *arguments: str, **variables: str) -> Running:
        """Start it."""
        log = self.directory / f"log-{len(self._started)}"
        env = environment(**variables)
        self._started.append(Running("dev", *arguments, cwd=self.directory, log=log, env=env))
        return self._started[-1]

    def send(self, name: str, data: str = "{}") -> str:
        """Send an event from this directory. Returns its id."""
        done = durableq("send", name, "--data", data, cwd=self.directory)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def result_of(self, name: str, data: str = "{}") -> object:
        """Send an event from this directory, wait for the end of its run, return the result."""
        return self.wait_for(self.send(name, data))

    def wait_for(self, event_id: str) -> object:
        """The result of the run that this event has started."""

        url = self.url_file.read_text().strip()

        async def result() -> list[object] | None:
            async with dq.Client(url) as client:
                for row in await client.runs.list(status=["completed"]):
                    run = await client.runs.get(row.id)
                    if run.event is not None and run.event.id == event_id:
                        return [run.result]
            return None

        return until(lambda: asyncio.run(result()), f"a completed run of event {event_id}")[0]

    def lines(self, file: str) -> int:
        """How many lines the app has written into this file."""
        path = self.directory / file
        return len(path.read_text().splitlines()) if path.exists() else 0

    def close(self) -> None:
        """Kill what is left, the server too."""
        for running in self._started:
            running.kill()
        lock = self.directory / ".durableq" / "lock"
        if self.socket.exists() and lock.exists():
            os.kill(int(lock.read_text()), signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """Process ids of its living children."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ *(\d+) +(\d+) +(\S)", listed, re.M)
    return [int(child) for child, parent, state in found if int(parent) == pid and state != "Z"]


def lives(pid: int) -> bool:
    """Whether there is such a process, other than one that only waits to be collected."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(listed.strip()) and not listed.strip().startswith("Z")
