"""Every key, as a function of (namespace, shard). Lua reaches keys only through the names in this table.

All keys of one (namespace, shard) share the hash tag `{namespace:shard}`, so that every script stays within one slot.
A script is given one key, the *base*, and the loader (scripts.py) writes its bindings from this table: a singleton
becomes a local string, a family (`run(id)`) a local function. Suffixes of the per-run keys are one letter: a queued
run costs its keys' names too.

When adding a key: add its row here with type, owner and lifetime, name it in the headers of the scripts that touch it,
and describe it in docs/keys.md; tests/store/test_contract.py compares all of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Key(NamedTuple):
    """One key or family of keys. `argument` names what a family is keyed by ("" for a singleton)."""

    name: str
    suffix: str
    argument: str
    redis_type: str
    lifetime: str


KEYS: Final = (
    # the namespace
    Key("meta", "meta", "", "hash", "namespace"),
    Key("scratch", "scratch", "", "none", "never exists: deleting it is the write allowed when memory is full"),
    # events
    Key("events", "events", "", "stream", "24 h, 100,000 entries, never past the cursor"),
    Key("seen", "seen:", "event", "string", "expires: 24 h for a given id, 2 min for a minted one"),
    Key("aside", "aside", "", "list", "1,000 newest"),
    Key("event_bell", "event-bell", "", "stream", "1 entry"),
    # waits for events
    Key(
        "names",
        "names",
        "",
        "zset",
        "event names that something waits for, by the version at which routers learn of them",
    ),
    Key("idle", "idle", "", "zset", "names of those that nothing waits for now, by since when: forgotten after 15 min"),
    Key("heard", "heard:", "event", "hash", "name: since when it is heard, how much is filed, by which paths"),
    Key("recent", "recent:", "event", "stream", "name: its entries of the last 10 min, 10,000 newest"),
    Key("waits", "waits:", "bucket", "zset", "what is filed under one value, by ticket: pending waits, listeners"),
    Key("post", "post:", "event", "list", "name: entries still to be delivered, in order; 1,000 in the namespace"),
    Key("posts", "posts", "", "zset", "names with such entries, by when anybody may deliver them"),
    Key("signals", "signals", "", "hash", "one field per signal that a run waits for"),
    # registry
    Key("apps", "apps", "", "set", "namespace"),
    Key("functions", "functions:", "app", "hash", "app"),
    Key("deployments", "deployments:", "app", "hash", "app; 200 newest"),
    Key("absent", "absent:", "app", "zset", "app: functions missing from the newest deployment, and since when"),
    Key("timeouts", "timeouts:", "app", "hash", "app: start and finish timeouts of its functions"),
    Key("echoes", "echoes", "", "hash", "one field per app: the system events that it listens to"),
    Key(
        "faults",
        "faults",
        "",
        "hash",
        "one field per function whose trigger could not be evaluated; per option, its key",
    ),
    # crons
    Key("crons", "crons", "", "zset", "cron triggers, by when a scheduler must look at them next"),
    Key("cron", "cron:", "trigger", "hash", "cron trigger: how far its ticks are settled"),
    Key(
        "started",
        "started:",
        "trigger",
        "set",
        "cron trigger: runs that it started, the final ones until its next tick",
    ),
    # runs
    Key("run", "r:", "id", "hash", "run"),
    Key("input", "i:", "id", "string", "run"),
    Key("steps", "s:", "id", "hash", "run"),
    Key("history", "h:", "id", "list", "run; 1,000 newest"),
    Key("news", "n:", "id", "list", "run: results from outside since the claim"),
    Key("output", "o:", "id", "string", "run"),
    Key("listens", "l:", "id", "list", "run: where its cancel_on listeners are filed, until it is swept"),
    Key("watchers", "a:", "id", "set", "run, until it ends: processes outside that want to be told"),
    Key("answer", "answer:", "id", "string", "expires: 5 min after the end of a run that was watched"),
    Key("answers", "answers:", "client", "stream", "expires: 5 min after its process last asked; 1,000 newest"),
    # queues and indexes
    Key("ready", "ready:", "function", "zset", "its queued runs, by creation"),
    Key("work", "work:", "app", "zset", "functions with queued runs, by when they were last served"),
    Key("suspects", "suspects:", "app", "zset", "queued runs that saw two deaths"),
    Key("waiting", "waiting:", "function", "zset", "its waiting runs, by creation"),
    Key("done", "done:", "list", "zset", "finished runs of one function and state, by end"),
    Key("kept", "kept", "", "set", "the names of the done lists that are not empty"),
    Key(
        "void",
        "void",
        "",
        "set",
        "final runs from which something still hangs: timers, waits, listeners, awaited children",
    ),
    Key("timers", "timers", "", "zset", "one entry per pending wait, delay or backoff"),
    Key("timer_bell", "timer-bell", "", "stream", "1 entry"),
    Key("bell", "bell:", "app", "stream", "1 entry"),
    # flow control
    Key("flow", "flow:", "app", "hash", "app: the numbers of its functions' flow control"),
    Key("paused", "paused:", "app", "hash", "app: functions that are held back, how, and since when"),
    Key("gated", "gated:", "function", "set", "its queued runs that are in lanes"),
    Key("lane", "lane:", "lane", "zset", "queued runs that need the same gates, by place: its runs"),
    Key("lanes", "lanes:", "function", "zset", "its open lanes, by when they were last served"),
    Key("parked", "parked:", "gate", "zset", "lanes of one function that wait at a shut gate"),
    Key("blocked", "blocked:", "function", "set", "gates at which its lanes are parked"),
    Key(
        "sharers", "sharers:", "pool", "zset", "functions with lanes parked at a shared pool, of which none was opened"
    ),
    Key("slots", "slots:", "pool", "set", "runs that have a slot of the pool"),
    Key(
        "leaving",
        "leaving:",
        "lease",
        "hash",
        "lease: slots of what was cancelled in hand, or outlives its turn, until its code ends",
    ),
    Key("tat", "tat:", "key", "string", "expires: a minute after the throttle is idle"),
    Key("once", "once:", "key", "string", "expires: with the idempotency key, 24 h"),
    Key("rate", "rate:", "key", "list", "expires: a period after its newest admission"),
    Key("lock", "lock:", "key", "string", "its run: the singleton's key"),
    Key("debounce", "debounce:", "key", "hash", "until its timer fires: the event that is kept"),
    Key("batch", "batch:", "key", "string", "until it is closed: its events"),
    Key("batching", "batching:", "key", "hash", "until the batch is closed: what it will be"),
    Key("holding", "holding:", "function", "zset", "its debounces and batches that are pending, by when they began"),
    Key("skips", "skips:", "function", "list", "1,000 newest triggers that started nothing, and why"),
    Key("skipped", "skipped:", "app", "hash", "app: how many such, by function and reason"),
    # leases
    Key("leases", "leases", "", "zset", "living leases, by expiry"),
    Key("dead", "dead", "", "zset", "leases being dismantled, by time of death"),
    Key("lease", "lease:", "lease", "hash", "lease"),
    Key("held", "held:", "lease", "set", "lease: the runs it has in hand"),
    Key("inbox", "inbox:", "lease", "stream", "lease; 1,000 newest"),
)

GROUP: Final = "dq"
"""The consumer group by which a bell wakes one process."""

BY_NAME: Final = {key.name: key for key in KEYS}


class Keys:
    """The keys of one (namespace, shard). `Keys("default").run("01J…")`."""

    __slots__ = ("base", "namespace", "shard")

    def __init__(self, namespace: str, shard: int = 0) -> None:
        self.namespace = namespace
        self.shard = shard
        self.base = f"dq:{{{namespace}:{shard}}}:"

    def of(self, name: str, argument: str = "") -> str:
        """The key of this name in the table, for this argument."""
        return self.base + BY_NAME[name].suffix + argument
