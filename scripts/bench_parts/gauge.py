"""What a stretch of work has cost: wall time, processor time of each side, and commands."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scripts.bench_parts.processes import Server, cpu_s

_CALLS = ("evalsha", "eval", "xreadgroup")
"""What the product sends; the other commands are executed inside its scripts."""
_OURS = ("type", "info", "config|resetstat", "client|list", "client|setinfo", "client|setname", "select")
"""What measuring sends: no script uses these."""


@dataclass(frozen=True)
class Usage:
    """The cost of a stretch. Commands by name, as the server counts them."""

    wall_s: float
    python_s: float
    redis_s: float
    commands: Mapping[str, int]

    @property
    def calls(self) -> int:
        """Scripts and blocking reads."""
        return sum(self.commands.get(name, 0) for name in _CALLS)

    @property
    def inner(self) -> int:
        """Commands executed inside scripts."""
        return sum(count for name, count in self.commands.items() if name not in (*_CALLS, *_OURS))


class Gauge:
    """Reads the meters at its making and again at `read`. `python_s` is the processor time of the Python side."""

    def __init__(self, server: Server, python_s: Callable[[], float]) -> None:
        self._server = server
        self._python_s = python_s
        self._commands = self._counted()
        self._redis = cpu_s(server.pid)
        self._python = python_s()
        self._began = time.perf_counter()

    def read(self) -> Usage:
        """What was used since the making."""
        wall_s = time.perf_counter() - self._began
        python_s = self._python_s() - self._python
        redis_s = cpu_s(self._server.pid) - self._redis
        counted = self._counted()
        return Usage(
            wall_s,
            python_s,
            redis_s,
            {name: count - self._commands.get(name, 0) for name, count in counted.items()},
        )

    def _counted(self) -> dict[str, int]:
        stats = self._server.client.info("commandstats")
        return {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in stats.items()}


def of_process(pid: int) -> Callable[[], float]:
    """The meter of another process."""
    return lambda: cpu_s(pid)
