"""A ledger of bodies: when each began and ended, and how many of a key executed at once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Overlaps:
    """Written by the bodies themselves, in tasks and threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.began: list[str] = []
        self.ended: list[str] = []

    @contextmanager
    def body(self, run_id: str, key: str = "") -> Iterator[None]:
        with self._lock:
            self.began.append(run_id)
            self._now[key] += 1
            self.most[key] = max(self.most[key], self._now[key])
        try:
            yield
        finally:
            with self._lock:
                self._now[key] -= 1
                self.ended.append(run_id)

    def executing(self, key: str = "") -> int:
        return self._now[key]
