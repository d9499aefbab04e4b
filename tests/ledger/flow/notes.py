"""What bodies write: one file per process, one line per beginning and end, opened with O_APPEND, each line one write.

Times are the machine's wall clock in ms, which is Redis' clock too, so that lines of several processes and what Redis says
can be put in order; each line has the monotonic clock as well, which shows whether the wall clock was moved meanwhile.
While it has bodies to tell of, a process also writes a beat every BEAT_S: where beats end a process has died, and where
they pause it stood still.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

BEAT_S = 0.02
FOLDER = "bodies"


class Line(NamedTuple):
    """`kind`: start, end or beat. `what`: turn (the function's own code, from the top) or the id of a step."""

    kind: str
    at_ms: float
    monotonic_ms: float
    pid: int
    body: int
    """Of one process, its bodies in the order in which they began."""
    run_id: str
    function: str
    what: str
    events: tuple[str, ...]


class Notes:
    """Of one process, and of what is forked from it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._fd = -1
        self._bodies = 0

    @contextmanager
    def body(self, run_id: str, function: str, what: str, events: Sequence[str] = ()) -> Iterator[None]:
        """Around a body."""
        number = self._begin()
        self._write("start", number, run_id, function, what, events)
        try:
            yield
        finally:
            self._write("end", number, run_id)

    def _begin(self) -> int:
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._bodies = os.getpid(), 0
                self._fd = os.open(self._folder / str(self._pid), os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
                threading.Thread(target=self._beat, daemon=True, name="beat").start()
            self._bodies += 1
            return self._bodies

    def _beat(self) -> None:
        while True:
            self._write("beat", 0)
            time.sleep(BEAT_S)

    def _write(
        self, kind: str, body: int, run_id: str = "", function: str = "", what: str = "", events: Sequence[str] = ()
    ) -> None:
        line = (kind, time.time() * 1000, time.monotonic() * 1000, os.getpid(), body, run_id, function, what, events)
        os.write(self._fd, json.dumps(line).encode() + b"\n")


def read_notes(folder: Path) -> list[Line]:
    """All lines of all processes, in the order of their times. A line that a kill cut off is left out."""
    lines = []
    for path in folder.iterdir():
        for text in path.read_bytes().split(b"\n")[:-1]:
            fields = json.loads(text)
            lines.append(Line(*fields[:-1], events=tuple(fields[-1])))
    return sorted(lines, key=lambda line: line.at_ms)
