"""Findings: what a check-up says. Every kind of finding there is, with what it means; docs/doctor.md lists the same.

When adding a kind: add its row here, decide it in one of the modules beside this one, describe it in docs/doctor.md
(tests/services/doctor compares the two), and produce it in a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple


class Severity(Enum):
    """How bad. Only a problem makes the command fail."""

    PROBLEM = "problem"
    WARNING = "warning"
    INFO = "info"
    OK = "ok"


class Kind(NamedTuple):
    """A kind of finding: its id, the check that it belongs to, how bad it is, what it means."""

    id: str
    check: str
    severity: Severity
    means: str


_PROBLEM, _WARNING, _INFO = Severity.PROBLEM, Severity.WARNING, Severity.INFO

CHECKS: Final = (
    "version",
    "persistence",
    "eviction",
    "memory",
    "latency",
    "scripts",
    "clock",
    "replication",
    "connections",
    "settings",
    "namespace",
    "scheduler",
    "timers",
    "workers",
    "functions",
    "limits",
    "runs",
    "events",
    "waits",
    "releases",
    "apps",
)
"""What is looked at, in this order. `apps` only when some are named."""

KINDS: Final = (
    Kind("old-server", "version", _PROBLEM, "Workers refuse it: scripts need commands that it does not have."),
    Kind("cluster-mode", "version", _PROBLEM, "Cluster is not supported yet: keys would have to move between servers."),
    Kind("known-flaws", "version", _WARNING, "Who may send commands may take the server over, or stop it."),
    Kind("no-persistence", "persistence", _PROBLEM, "A restart of the server loses every run and event."),
    Kind(
        "no-append-file", "persistence", _WARNING, "A crash loses all that came after the last snapshot: often minutes."
    ),
    Kind("fsync-left-to-the-system", "persistence", _WARNING, "A power failure may lose about half a minute."),
    Kind("fsync-held-back", "persistence", _WARNING, "A power failure during a rewrite may lose about half a minute."),
    Kind("append-file-failing", "persistence", _PROBLEM, "Redis takes no writes until it can write its file again."),
    Kind("rewrite-failing", "persistence", _WARNING, "The append-only file grows without end until the disk is full."),
    Kind(
        "snapshot-failing",
        "persistence",
        _PROBLEM,
        "Unless told otherwise, Redis takes no writes after a failed snapshot.",
    ),
    Kind("evicts", "eviction", _PROBLEM, "When it is full it deletes keys: runs would be lost without a word."),
    Kind(
        "memory-unbounded",
        "memory",
        _INFO,
        "New events are never refused: a backlog grows until the machine has no memory.",
    ),
    Kind(
        "machine-nearly-full",
        "memory",
        _WARNING,
        "The system may kill Redis, or move it to swap, which makes all of it slow.",
    ),
    Kind("gate-closed", "memory", _PROBLEM, "New events are refused (QueueFull); runs in flight go on."),
    Kind("memory-near-gate", "memory", _WARNING, "Above 60 % finished runs go early; at 80 % new events are refused."),
    Kind(
        "fragmented",
        "memory",
        _WARNING,
        "The system gives Redis more memory than it uses, which maxmemory does not count.",
    ),
    Kind("far-away", "latency", _WARNING, "A step costs a round trip: runs take as long as the way is."),
    Kind(
        "slow-at-times",
        "latency",
        _WARNING,
        "Something keeps the server, this machine or the way between them busy now and then.",
    ),
    Kind("slow-scripts", "latency", _WARNING, "The server itself is slow: each write of a run is a script."),
    Kind("scripts-refused", "scripts", _PROBLEM, "Every write is a Lua script: nothing works without them."),
    Kind(
        "writes-refused",
        "scripts",
        _PROBLEM,
        "Redis takes no writes for now: workers wait, and producers get an error.",
    ),
    Kind(
        "clock-differs", "clock", _WARNING, "Redis decides what is due: by this machine's clock it comes early or late."
    ),
    Kind("clock-jumps", "clock", _WARNING, "A clock that is set while runs wait makes them early or late by as much."),
    Kind("clock-went-back", "clock", _WARNING, "Redis' clock was set back: timers are late by as much."),
    Kind("replica-addressed", "replication", _PROBLEM, "A replica takes no writes: workers wait for ever."),
    Kind("replicas-behind", "replication", _WARNING, "A failover now loses what they have not received."),
    Kind(
        "too-few-replicas",
        "replication",
        _PROBLEM,
        "Redis takes no writes: it was told to have more replicas than it has.",
    ),
    Kind("connections-short", "connections", _PROBLEM, "Workers or producers will not get in."),
    Kind("connections-tight", "connections", _WARNING, "A deploy runs old and new workers side by side for a while."),
    Kind("connections-refused", "connections", _WARNING, "Somebody was turned away since the server started."),
    Kind("idle-cut", "settings", _WARNING, "Connections that are in use are cut and made again all the time."),
    Kind(
        "replies-cut",
        "settings",
        _WARNING,
        "The connection is cut when a reply is larger: a run with large results cannot be read.",
    ),
    Kind(
        "scripts-soon-busy",
        "settings",
        _WARNING,
        "While a script runs for longer than this, everybody else is turned away and tries again.",
    ),
    Kind(
        "namespace-new",
        "namespace",
        _INFO,
        "No worker, scheduler or client has used it yet, or this is another server, database or name.",
    ),
    Kind(
        "identity-missing", "namespace", _PROBLEM, "Its keys were deleted in part: what is left does not fit together."
    ),
    Kind("unknown-schema", "namespace", _PROBLEM, "Another release wrote it, in a format that this one does not read."),
    Kind(
        "no-scheduler",
        "scheduler",
        _PROBLEM,
        "Nobody fires timers, makes the runs of dead workers ready, or keeps memory within bounds.",
    ),
    Kind("timers-overdue", "timers", _PROBLEM, "Sleeps, retries and delayed starts wait though their time has come."),
    Kind("ticks-overdue", "timers", _PROBLEM, "Cron functions do not start though their time has come."),
    Kind("no-workers", "workers", _WARNING, "Nothing is routed or executed until one is started."),
    Kind(
        "lease-not-renewed",
        "workers",
        _WARNING,
        "Its worker is gone, stopped or cut off: the runs are made ready again when the lease is over.",
    ),
    Kind("queue-without-worker", "functions", _PROBLEM, "Its runs wait, and no worker that is alive can execute them."),
    Kind("function-without-worker", "functions", _WARNING, "What starts from here on waits for a worker."),
    Kind(
        "trigger-faults", "functions", _WARNING, "A condition could not be evaluated, so events started nothing there."
    ),
    Kind(
        "parked-for-ever",
        "limits",
        _PROBLEM,
        "Their runs wait at a limit that has room, and nothing is going to open it. This should not be: please report it.",
    ),
    Kind(
        "slots-of-ended-runs",
        "limits",
        _PROBLEM,
        "Slots are held by runs that have ended, so that others wait for ever. This should not be: please report it.",
    ),
    Kind(
        "held-back-without-timer",
        "limits",
        _PROBLEM,
        "These events are kept, and will start nothing by themselves. This should not be: please report it.",
    ),
    Kind(
        "keys-of-ended-runs",
        "limits",
        _INFO,
        "It keeps nobody out: the next trigger of such a key takes it over.",
    ),
    Kind(
        "keys-without-value",
        "limits",
        _WARNING,
        "Such runs are not limited, or share one key: what is said of each option in docs/flow-control.md.",
    ),
    Kind("functions-paused", "limits", _INFO, "No run of theirs is claimed until somebody resumes them."),
    Kind("run-without-progress", "runs", _WARNING, "A step takes very long, or hangs."),
    Kind("suspects-waiting", "runs", _WARNING, "They saw two deaths of their worker, and are executed one at a time."),
    Kind(
        "events-not-routed",
        "events",
        _PROBLEM,
        "Accepted events start nothing yet: no worker routes them, or they come too fast.",
    ),
    Kind(
        "events-set-aside", "events", _WARNING, "Routing them failed three times: they started nothing, and are kept."
    ),
    Kind(
        "waits-not-indexed",
        "waits",
        _WARNING,
        "Each event of the name is compared with all of these waits, a hundred at a time, before later ones of it.",
    ),
    Kind("deliveries-behind", "waits", _PROBLEM, "Runs that wait for these events do not get them yet."),
    Kind(
        "ended-not-swept",
        "waits",
        _WARNING,
        "What hung on runs that have ended is still kept; awaited children of failed and cancelled ones go on.",
    ),
    Kind("several-releases", "releases", _INFO, "Usual during a deploy. Afterwards an old worker has been forgotten."),
    Kind(
        "newest-release-absent", "releases", _WARNING, "Older workers execute what the newest release has registered."
    ),
    Kind("app-not-registered", "apps", _WARNING, "No worker of it was ever started here, so its events start nothing."),
    Kind(
        "app-differs",
        "apps",
        _INFO,
        "What is declared here is not what is registered: older or newer code than that of the newest release.",
    ),
)

UNSEEN: Final = "unseen"
UNSEEN_MEANS: Final = "The server does not tell, or does not let us look. It may be in order."
BY_ID: Final[Mapping[str, Kind]] = MappingProxyType({kind.id: kind for kind in KINDS})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check-up has found.

    `id` is a kind's; the check's own name where all is in order; `unseen` where it cannot be told. `seen` has the
    figures, `means` what follows from it, `mend` the command or setting ("" where there is nothing to mend).
    """

    check: str
    id: str
    severity: Severity
    seen: str
    means: str = ""
    mend: str = ""


def found(kind_id: str, seen: str, mend: str) -> Finding:
    """A finding of this kind."""
    kind = BY_ID[kind_id]
    return Finding(kind.check, kind.id, kind.severity, seen, kind.means, mend)


def in_order(check: str, seen: str) -> Finding:
    """Nothing to mend there."""
    return Finding(check, check, Severity.OK, seen)


def unseen(check: str, what: str, mend: str = "") -> Finding:
    """It cannot be told: `what` names the command that is refused."""
    return Finding(check, UNSEEN, Severity.INFO, f"cannot be seen: {what}", UNSEEN_MEANS, mend)
