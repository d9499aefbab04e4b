"""Threads for plain user code: made when none is idle, reused, never joined.

Why not ThreadPoolExecutor: its fixed size would let branches that only wait for each other starve, and the interpreter
joins its threads at exit, so one hung body would keep the process alive. These are daemons. What bounds their number is
what bounds the runs in hand and the bodies of each run.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread

_IDLE_MAX = 32


class Threads:
    """Runs each piece of work in a thread of its own; safe to call from any thread."""

    def __init__(self, name: str, *, idle_max: int = _IDLE_MAX) -> None:
        self._name = name
        self._idle_max = idle_max
        self._lock = Lock()
        self._idle: list[SimpleQueue[Callable[[], None] | None]] = []
        self._closed = False
        self._made = 0

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work`, which must not raise, in an idle thread or a new one. RuntimeError if the system gives no more."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            self._made += 1
            Thread(target=self._serve, args=(inbox,), name=f"{self._name}-{self._made}", daemon=True).start()
        inbox.put(work)

    def close(self) -> None:
        """Let idle threads end, and busy ones when they are done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def _serve(self, inbox: SimpleQueue[Callable[[], None] | None]) -> None:
        while (work := inbox.get()) is not None:
            work()
            del work  # or the last run of user code would live as long as the idle thread
            with self._lock:
                if self._closed or len(self._idle) >= self._idle_max:
                    return
                self._idle.append(inbox)
