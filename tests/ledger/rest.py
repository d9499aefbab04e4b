"""Whether everything has come to rest, and what must not be in Redis then."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from durableq.store.calls import Calls
from durableq.store.keys import BY_NAME, KEYS
from durableq.store.reads import Reads
from durableq.store.upkeep import Upkeep
from durableq.store.waits import Waits
from tests.ledger.names import APP_ID

OF_OPEN_RUNS = (
    "waits",
    "post",
    "posts",
    "void",
    "signals",
    "listens",
    "news",
    "timers",
    "watchers",
    "waiting",
    "ready",
    "gated",
    "lane",
    "lanes",
    "parked",
    "blocked",
    "sharers",
    "slots",
    "leaving",
    "lock",
    "debounce",
    "batch",
    "batching",
    "holding",
)
"""Keys that nobody has who is final."""
OF_NAMES = ("names", "heard", "recent", "idle")
OF_RUNS = (*OF_OPEN_RUNS, "run", "input", "steps", "history", "output", "done", "kept", "suspects")

_SINGLETONS = {key.suffix: key.name for key in KEYS if not key.argument}
_FAMILIES = sorted(((key.suffix, key.name) for key in KEYS if key.argument), key=lambda row: -len(row[0]))


async def open_runs(calls: Calls, apps: Sequence[str] = (APP_ID,)) -> dict[str, int]:
    """What of these apps is not at rest, by a word for it; empty when everything is."""
    key, read = calls.key, calls.read
    functions = [f"{app}/{name.decode()}" for app in apps for name in await read("HKEYS", key("functions", app))]
    found: dict[str, int] = {}
    queues = await asyncio.gather(*map(Reads(calls).queue, functions))
    found.update(queued=sum(row.ready for row in queues), waiting=sum(row.waiting for row in queues))
    found["suspects"] = sum([await read("ZCARD", key("suspects", app)) for app in apps])
    leases = [*await read("ZRANGE", key("leases"), 0, -1), *await read("ZRANGE", key("dead"), 0, -1)]
    found["in hand"] = sum([await read("SCARD", key("held", lease.decode())) for lease in leases])
    sent, routed, posts = [int(n or 0) for n in await read("HMGET", key("meta"), "sent", "routed", "posts")]
    found.update(unrouted=sent - routed, posts=posts)
    found["void"] = await read("SCARD", key("void"))
    found["timers"] = await read("ZCARD", key("timers"))
    return {name: count for name, count in found.items() if count}


async def keys_by_name(calls: Calls) -> Counter[str]:
    """How many keys there are of each name in keys.py; what it does not know under itself."""
    found: Counter[str] = Counter()
    cursor: Any = b"0"
    while True:
        cursor, page = await calls.read("SCAN", cursor, "MATCH", f"{calls.keys.base}*", "COUNT", 1000)
        found.update(_name(key.decode().removeprefix(calls.keys.base)) for key in page)
        if cursor == b"0":
            return found


def _name(key: str) -> str:
    if key in _SINGLETONS:
        return _SINGLETONS[key]
    return next((name for suffix, name in _FAMILIES if key.startswith(suffix)), key)


async def leftovers(calls: Calls) -> list[str]:
    """A line per sort of key that should be gone: at once, and when names are forgotten and finished runs deleted."""
    problems = []
    keys = await keys_by_name(calls)
    problems += [f"{keys[name]} keys {name} are left over" for name in OF_OPEN_RUNS if keys[name]]
    problems += [f"{count} keys {name} are unknown" for name, count in keys.items() if name not in BY_NAME]
    while (await Waits(calls).retire_names(0))[1]:
        pass
    while (await Upkeep(calls).prune_runs(completed_ms=0, failed_ms=0, bytes_max=0, events_ms=0)).more:
        pass
    keys = await keys_by_name(calls)
    return problems + [
        f"{keys[name]} keys {name} are left over when all is forgotten" for name in (*OF_NAMES, *OF_RUNS) if keys[name]
    ]
