"""The ledger: what bodies really did, written outside Redis, so that what Redis says can be held against it.

A file opened with O_APPEND; one line per beginning and end of a body, in one write, so that lines of many processes
never mix and a kill leaves no half of one. Times are wall clock, the clock that Redis stamps memos with, in ms.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

VARIABLE = "ACCEPTANCE_LEDGER"


class Line(NamedTuple):
    """One line. `kind`: start, end (the body returned), cut (it raised or was cancelled), or a word of a program."""

    kind: str
    run_id: str
    step: str
    pid: int
    at_ms: float
    monotonic_s: float


class Ledger:
    """Writes and reads one file. Safe to use from any number of processes and threads."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._fd = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_RDWR, 0o600)
        self._lines: list[Line] = []
        self._read_upto = 0

    def write(self, kind: str, run_id: str, step: str = "") -> None:
        line = (kind, run_id, step, os.getpid(), time.time() * 1000, time.monotonic())
        os.write(self._fd, json.dumps(line).encode() + b"\n")

    @contextmanager
    def body(self, run_id: str, step: str) -> Iterator[None]:
        """Around a body."""
        self.write("start", run_id, step)
        try:
            yield
        except BaseException:
            self.write("cut", run_id, step)
            raise
        self.write("end", run_id, step)

    def lines(self, kind: str = "", *, step: str = "", since_ms: float = 0) -> list[Line]:
        """What has been written so far, in order of writing."""
        while data := os.pread(self._fd, 1 << 20, self._read_upto):
            whole = data[: data.rfind(b"\n") + 1]
            if not whole:
                break
            self._lines += [Line(*json.loads(text)) for text in whole.splitlines()]
            self._read_upto += len(whole)
        return [
            line
            for line in self._lines
            if (not kind or line.kind == kind) and (not step or line.step == step) and line.at_ms >= since_ms
        ]

    def count(self, kind: str, **which: object) -> int:
        return len(self.lines(kind, **which))  # type: ignore[arg-type]

    def starts(self) -> Counter[tuple[str, str]]:
        """How often the body of each (run, step) began."""
        return Counter((line.run_id, line.step) for line in self.lines("start"))

    def close(self) -> None:
        os.close(self._fd)
