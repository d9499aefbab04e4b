"""What a worker's parent and its children tell each other: one JSON object a line, over a pair of pipes.

Parent to child:   {"do": "drain"}                     stop claiming, finish what is in hand, hand back the rest
                   {"do": "drop", "lease": id}         this lease is gone: drop what is in hand, begin another
Child to parent:   {"is": "leased", "lease": id}       this is what to renew, and to hand back if I die
                   {"is": "beat", "in_hand": n,        my loop turns (every second)
                    "stalled": text}                   "", or what of my fetching does not move
                   {"is": "recycle", "why": text}      replace me, and drain me once my successor works
                   {"is": "working"}                   I claim
                   {"is": "quiet"}                     I claim nothing any more
                   {"is": "code", "directory": path}   I have imported user code from here (of a child of `durableq dev`)
                   {"is": "suspects"}                  runs wait that must be executed alone
                   {"is": "fatal", "exit": n, "why"}   I am leaving, and so should the worker

A pipe that ends says that the other side is gone: the child then renews its own lease, drains and exits.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Pipe:
    """One end: reads lines from one file descriptor, writes them to another."""

    def __init__(
        self, read_fd: int, write_fd: int, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._on_message = on_message
        self._on_end = on_end
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self._loop.add_reader(read_fd, self._readable)

    def tell(self, message: Message) -> None:
        """Write a line. Lost if the other side is gone or does not read: everything told is a state or is told again."""
        try:
            os.write(self._write_fd, json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, BlockingIOError, OSError):
            return

    def close(self) -> None:
        if self._read_fd >= 0:
            self._loop.remove_reader(self._read_fd)
            os.close(self._read_fd)
            os.close(self._write_fd)
            self._read_fd = -1

    def drain(self) -> None:
        """Take what the other side wrote before it went."""
        if self._read_fd >= 0:
            self._readable()

    def _readable(self) -> None:
        while True:
            try:
                data = os.read(self._read_fd, 65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._loop.remove_reader(self._read_fd)
                self._on_end()
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._on_message(json.loads(line))
            if len(data) < 65536:
                return
