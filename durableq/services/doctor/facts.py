"""What a check-up has read, before anything is decided about it. None: it cannot be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from durableq.store.checkup import Awaited, Due, Progress, ScriptTrips
from durableq.store.flow_checkup import FlowFacts
from durableq.store.reads import LeaseRow


class ClockReading(NamedTuple):
    """Redis' clock beside ours: how far ahead of ours it is, the error of that, and how far they drifted meanwhile (ms)."""

    ahead_ms: float
    error_ms: float
    drifted_ms: float


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server, whatever it is used for."""

    info: Mapping[str, str] | None
    settings: Mapping[str, str] = field(default_factory=dict)
    """What CONFIG GET told; nothing where it is refused."""
    trips_ms: tuple[float, ...] = ()
    scripts: ScriptTrips = field(default_factory=ScriptTrips)
    clock: ClockReading | None = None

    def number(self, name: str) -> float | None:
        """A figure of INFO."""
        try:
            return float((self.info or {})[name])
        except (KeyError, ValueError):
            return None

    def says(self, name: str) -> str:
        """A word of INFO, "" where there is none."""
        return (self.info or {}).get(name, "")


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """A function: whether it is registered, its runs, the workers that have it, its triggers that failed."""

    id: str
    registered: bool
    queued: int
    waiting: int
    workers: int
    faults: int = 0
    last_fault: str = ""


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """The namespace. Times in ms by Redis' clock."""

    name: str
    now_ms: int
    meta: Mapping[str, str] | None
    traces: bool = False
    """Keys of it are there though `meta` is not."""
    timers: Due | None = None
    crons: Due | None = None
    """Cron triggers, by when a scheduler must look at them next."""
    leases: tuple[LeaseRow, ...] | None = None
    functions: tuple[FunctionFacts, ...] | None = None
    suspects: Mapping[str, int] = field(default_factory=dict)
    progress: tuple[Progress, ...] = ()
    set_aside: tuple[int, str] | None = None
    first_unrouted_ms: int = 0
    awaited: Awaited | None = None
    """Waits for events, and what hangs on ended runs."""
    flow: FlowFacts | None = None
    """Flow control: what is parked, held and held back."""
    releases: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Per app the number of each release, and of the newest under ''."""
    declared: Mapping[str, bytes] = field(default_factory=dict)
    """What the registry has of each function, by full id."""

    def stamp(self, name: str) -> int:
        """A number of `meta`; 0 where it has none."""
        text = (self.meta or {}).get(name, "")
        return int(text) if text.isdecimal() else 0

    @property
    def exists(self) -> bool:
        """Whether a process has ever opened it."""
        return bool((self.meta or {}).get("identity"))


class Plan(NamedTuple):
    """What the connections are to suffice for, and what apps declare that were named."""

    workers: int = 1
    processes: int = 1
    declared: Mapping[str, Mapping[str, bytes]] = {}
    """Per app its declarations by short id."""
