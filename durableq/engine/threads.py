"""Threads for plain user code: made when none is idle, reused, never joined.

Why not ThreadPoolExecutor: its fixed size would let branches that only wait for each other starve, and the interpreter
joins its threads at exit, so one hung body would keep the process alive. These are daemons. What bounds their number is
what bounds the runs in hand and the bodies of each run.
"""

from __future__ import annotations

from collections import Counter
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


class AbandonedThreads:
    """The threads whose body went past its timeout, or was cancelled, and still runs. Used on the loop only."""

    def __init__(self) -> None:
        self._living: Counter[tuple[str, str]] = Counter()
        self.on_left: Callable[[str], None] = lambda _run_id: None
        """Told of a run when the last of its threads here has ended."""

    @property
    def count(self) -> int:
        """How many live now. A child with many of them is replaced."""
        return self._living.total()

    def add(self, run_id: str, step_key: str) -> None:
        """A thread is given up on."""
        self._living[run_id, step_key] += 1

    def ended(self, run_id: str, step_key: str) -> None:
        """Such a thread has come to its end after all."""
        self._living[run_id, step_key] -= 1
        if not self._living[run_id, step_key]:
            del self._living[run_id, step_key]
            if not self.any_of(run_id):
                self.on_left(run_id)

    def any_of(self, run_id: str) -> bool:
        """Whether any code of this run still runs here."""
        return any(run == run_id for run, _ in self._living)

    def holds(self, run_id: str, step_key: str) -> bool:
        """Whether a body of this step still runs here, so that its next attempt must not start."""
        return (run_id, step_key) in self._living
