"""One child process, as its parent sees it: pipes, lease, beats, the traces it leaves when its loop is blocked."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from durableq.services.blocked import blocking_line
from durableq.services.health import SILENT_S, STARTING_S
from durableq.services.pipe import Message, Pipe
from durableq.words.telemetry import Log


class Offspring:
    """A child from spawn to exit. `on_message` gets what it says, after its own bookkeeping."""

    def __init__(
        self, number: int, log: Log, on_message: Callable[[Offspring, Message], None], *, alone: bool = False
    ) -> None:
        self.number = number
        self.alone = alone
        self.lease = ""
        self.leases: list[str] = []
        """Every lease it ever had that has not been closed; the last one is the living one."""
        self.in_hand = 0
        self.working = False
        self.quiet = False
        """Whether it claims no more. Before it has a lease it does not claim yet."""
        self.stalled = ""
        """What of its fetching does not move, by its own word; "" for nothing."""
        self.draining = False
        self.kill_reason = ""
        self._log = log
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self.started_at_s = self._loop.time()
        self.beat_at_s = self.started_at_s
        self._thread = 0
        self._dump = b""
        self._dump_read: asyncio.TimerHandle | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: Pipe | None = None
        self._trace_fd = -1

    async def spawn(self, command: Sequence[str], settings: dict[str, Any]) -> None:
        """Start the process and hand it its settings (by pipe: they hold a password)."""
        to_child, from_parent = os.pipe(), os.pipe()
        trace_read, trace_write = os.pipe()
        child_fds = (to_child[0], from_parent[1], trace_write)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, *map(str, child_fds), pass_fds=child_fds, stdin=asyncio.subprocess.DEVNULL
            )
        except OSError:
            for fd in (from_parent[0], to_child[1], trace_read):
                os.close(fd)
            raise
        finally:
            for fd in child_fds:
                os.close(fd)
        self._trace_fd = trace_read
        os.set_blocking(trace_read, False)
        self._loop.add_reader(trace_read, self._traced)
        self._pipe = Pipe(from_parent[0], to_child[1], self._said, lambda: None)
        self._pipe.tell({"do": "start", "settings": settings})

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    async def ended(self) -> str:
        """Wait for its exit. Returns "" for a clean one, else how it died."""
        assert self._process is not None
        code = await self._process.wait()
        if self._pipe is not None:
            self._pipe.drain()
            self._pipe.close()
        self._loop.remove_reader(self._trace_fd)
        os.close(self._trace_fd)
        if self._dump_read is not None:
            self._dump_read.cancel()
        if self.kill_reason:
            return self.kill_reason
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return "" if code == 0 else f"exit status {code}"

    def drain(self) -> None:
        self.draining = True
        self._tell({"do": "drain"})

    def lost_lease(self, lease: str) -> None:
        """This lease of its is gone: have it drop what is in hand and begin another, unless it has already."""
        if lease in self.leases:
            self.leases.remove(lease)
        if lease == self.lease:
            self.lease = ""
            self._tell({"do": "drop", "lease": lease})

    def kill(self, reason: str) -> None:
        """SIGKILL. `reason` is how its death is explained; "" for a death that counts against nobody."""
        self.kill_reason = reason
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def silent_s(self) -> float:
        return self._loop.time() - self.beat_at_s

    def age_s(self) -> float:
        return self._loop.time() - self.started_at_s

    def unwell(self) -> str:
        """What of it does not move; "" for nothing. Before its first word it imports its apps, which may take longer."""
        silent_s = self.silent_s()
        if silent_s > (SILENT_S if self.beat_at_s > self.started_at_s else STARTING_S):
            return f"child {self.pid} has been silent for {silent_s:.0f} s"
        return f"child {self.pid}: {self.stalled}" if self.stalled else ""

    def _tell(self, message: Message) -> None:
        if self._pipe is not None:
            self._pipe.tell(message)

    def _said(self, message: Message) -> None:
        self.beat_at_s = self._loop.time()
        what = message.get("is")
        if what == "leased":
            self.lease = message["lease"]
            self.leases.append(self.lease)
            self._thread = message["thread"]
        elif what == "beat":
            self.in_hand = message["in_hand"]
            self.stalled = message["stalled"]
        elif what == "working":
            self.working = True
        elif what == "quiet":
            self.quiet = True
        self._on_message(self, message)

    def _traced(self) -> None:
        """Collect a dump; it is complete when nothing has come for 200 ms."""
        try:
            data = os.read(self._trace_fd, 65536)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._trace_fd)
            return
        self._dump = (self._dump + data)[-262_144:]
        if self._dump_read is not None:
            self._dump_read.cancel()
        self._dump_read = self._loop.call_later(0.2, self._explain)

    def _explain(self) -> None:
        dump, self._dump = self._dump.decode("utf-8", "replace"), b""
        found = blocking_line(dump, self._thread)
        if found is None:
            self._log.warning("child.fault", child=self.pid, dump=dump[-4000:])
            return
        if not found.user_line:
            # In nobody's code: it was stopped (SIGSTOP, a paused machine), or got no processor.
            self._log.warning("child.stood_still", child=self.pid, line=found.line, silent_s=round(self.silent_s(), 1))
            return
        self._log.warning(
            "loop.blocked",
            child=self.pid,
            line=found.user_line,
            innermost=found.line,
            silent_s=round(self.silent_s(), 1),
            hint="the event loop of this child does not turn: run blocking code in a `def` step, or in a thread",
        )
