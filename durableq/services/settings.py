"""What a worker and a scheduler are told: every option, its default, and its rule."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from durableq.words.errors import ConfigError
from durableq.words.ids import check_id


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Options of `durableq worker`."""

    apps: tuple[str, ...]
    """`MODULE:APP` or `MODULE` of each app."""
    redis_url: str
    namespace: str = "default"
    directory: str = ""
    """Where apps are imported from besides the current directory; "" for nowhere else."""
    only: tuple[str, ...] = ()
    """Globs of function ids: these are executed and no others; none for all."""
    exclude: tuple[str, ...] = ()
    """Globs of function ids that are not executed."""
    concurrency: int = 100
    """Runs in hand per child, and step bodies that one run executes at once."""
    processes: int = 1
    grace_s: float = 25.0
    """How long a drain lets what is in hand go on."""
    stuck_after_s: float = 600.0
    """A child silent for this long is replaced."""
    max_runs_per_child: int = 0
    """A child that has executed this many runs is replaced; 0: never."""
    max_memory_per_child_mb: int = 0
    """A child that uses more than this is replaced; 0: never."""
    with_scheduler: bool = False
    burst: bool = False
    """Leave when nothing is ready, in hand or unrouted."""
    release: str = ""
    """The deployment's id; "" for the platform's release number, else a hash of the declarations."""
    allow_eviction: bool = False
    alone: bool = False
    """A child for runs that saw two deaths of their worker, one at a time; set by the parent, not by an option."""
    in_dev: bool = False
    """A person watches: runs are told about in the log, and the parent is told where code was imported from."""
    health_file: str = ""
    """Touched while this worker and all its children move; "" for none."""
    log_format: str = "auto"
    log_level: str = "info"

    def __post_init__(self) -> None:
        check_id("namespace", self.namespace)
        if not self.apps:
            raise ConfigError("no app was named")
        _at_least("--concurrency", self.concurrency, 1, 10_000)
        _at_least("--processes", self.processes, 1, 256)
        _at_least("--grace", self.grace_s, 0, 86_400)
        _at_least("--stuck-after", self.stuck_after_s, 5, 86_400)
        _at_least("--max-runs-per-child", self.max_runs_per_child, 0, 10**9)
        _at_least("--max-memory-per-child", self.max_memory_per_child_mb, 0, 10**7)

    def to_map(self) -> dict[str, Any]:
        """As passed to a child process."""
        return asdict(self)

    @classmethod
    def from_map(cls, stored: dict[str, Any]) -> WorkerSettings:
        known = {field.name for field in fields(cls)}
        given: dict[str, Any] = {name: value for name, value in stored.items() if name in known}
        for name in ("apps", "only", "exclude"):
            given[name] = tuple(given.get(name, ()))
        return cls(**given)


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """Options of `durableq scheduler`."""

    redis_url: str
    namespace: str = "default"
    log_format: str = "auto"
    log_level: str = "info"

    def __post_init__(self) -> None:
        check_id("namespace", self.namespace)


def _at_least(option: str, value: float, minimum: float, maximum: float) -> None:
    if not minimum <= value <= maximum:
        raise ConfigError(f"{option} must be {minimum:g} to {maximum:g}, not {value:g}")
