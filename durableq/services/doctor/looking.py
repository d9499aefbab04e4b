"""Reads what a check-up decides about. It writes nothing, and waits for nobody: what is refused is None."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from durableq.services.doctor.facts import ClockReading, FunctionFacts, NamespaceFacts, ServerFacts
from durableq.store.calls import Calls
from durableq.store.checkup import Checkup, Progress, ScriptTrips, permitted
from durableq.store.flow_checkup import FlowCheckup
from durableq.store.reads import LeaseRow, Reads
from durableq.store.registry import Registry
from durableq.words.clock import Clock

TRIPS, TRIPS_MS = 100, 3_000.0
SCRIPTS, SCRIPTS_MS = 20, 2_000.0
"""So many calls are timed one after the other, and no longer than this: the server may be an ocean away."""
SETTINGS: Final = (
    "save",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "stop-writes-on-bgsave-error",
    "min-replicas-to-write",
    "timeout",
    "client-output-buffer-limit",
    "busy-reply-threshold",
    "lua-time-limit",
    "maxclients",
)
RUNS_OF_A_LEASE: Final = 10
LEASES_LOOKED_INTO: Final = 20
NAMES_LOOKED_INTO: Final = 100


async def look_at_server(calls: Calls, clock: Clock) -> ServerFacts:
    """The server. Raises Unavailable when it does not answer."""
    checkup = Checkup(calls, clock)
    first = await _clock_reading(checkup, clock)
    info = await checkup.info()
    settings = await checkup.settings(SETTINGS)
    trips = await checkup.round_trips(TRIPS, TRIPS_MS)
    scripts = ScriptTrips()
    if not _without_scripts(info or {}):
        meta = await checkup.meta() or {}
        scripts = await checkup.script_trips(SCRIPTS, SCRIPTS_MS, meta.get("identity", ""))
    last = await _clock_reading(checkup, clock)
    best = min(first, last, key=lambda reading: reading.error_ms)
    drifted = (last.ahead_ms - first.ahead_ms) if calls.now_ms is None else 0.0
    return ServerFacts(info, settings, tuple(trips), scripts, best._replace(drifted_ms=drifted))


def _without_scripts(info: Mapping[str, str]) -> bool:
    """A replica refuses writes, and a cluster's node what is not its own: nothing would come of trying."""
    return info.get("role") == "slave" or info.get("redis_mode") == "cluster"


async def _clock_reading(checkup: Checkup, clock: Clock) -> ClockReading:
    begun_ms, ours_ms = clock.monotonic_ms(), clock.wall_ms()
    theirs_ms = await checkup.server_ms()
    took_ms = clock.monotonic_ms() - begun_ms
    return ClockReading(theirs_ms - ours_ms - took_ms / 2, took_ms / 2 + 1, 0.0)


async def look_at_namespace(calls: Calls, clock: Clock) -> NamespaceFacts:
    """The namespace of these calls. Raises Unavailable when the server does not answer."""
    checkup, reads, registry = Checkup(calls, clock), Reads(calls), Registry(calls)
    name, now_ms = calls.keys.namespace, await checkup.server_ms()
    meta = await checkup.meta()
    if meta is not None and "identity" not in meta:
        return NamespaceFacts(name, now_ms, meta, traces=await checkup.traces())
    (leases, declared, with_runs), (timers, crons, aside, unrouted_ms, awaited) = await asyncio.gather(
        asyncio.gather(permitted(reads.leases()), permitted(registry.read()), permitted(reads.functions_with_runs())),
        asyncio.gather(
            checkup.due("timers", now_ms),
            checkup.due("crons", now_ms),
            checkup.set_aside(),
            checkup.first_unrouted_ms((meta or {}).get("routed_upto", "0-0")),
            checkup.awaited(NAMES_LOOKED_INTO),
        ),
    )
    ids: list[str] = []
    if declared is not None and with_runs is not None:
        ids = sorted({*declared[1], *with_runs})
    apps = sorted({full_id.partition("/")[0] for full_id in (*ids, *_served(leases or []))})
    functions, flow, suspects, progress, releases = await asyncio.gather(
        _functions(reads, registry, ids, declared[1] if declared else {}, leases or []),
        FlowCheckup(calls, (meta or {}).get("identity", "")).look(ids),
        checkup.suspects(apps),
        _progress(checkup, leases or []),
        asyncio.gather(*map(checkup.releases, apps)),
    )
    return NamespaceFacts(
        name,
        now_ms,
        meta,
        timers=timers,
        crons=crons,
        leases=None if leases is None else tuple(leases),
        functions=None if declared is None or with_runs is None else functions,
        suspects=suspects,
        progress=progress,
        set_aside=aside,
        first_unrouted_ms=unrouted_ms,
        awaited=awaited,
        flow=flow,
        releases=dict(zip(apps, releases, strict=True)),
        declared={} if declared is None else declared[1],
    )


async def _progress(checkup: Checkup, leases: list[LeaseRow]) -> tuple[Progress, ...]:
    found = await asyncio.gather(*(checkup.progress(row.lease, RUNS_OF_A_LEASE) for row in leases[:LEASES_LOOKED_INTO]))
    return tuple(progress for of_lease in found for progress in of_lease)


def _served(leases: list[LeaseRow]) -> list[str]:
    return [full_id for lease in leases for full_id in lease.functions]


async def _functions(
    reads: Reads, registry: Registry, ids: list[str], declared: Mapping[str, bytes], leases: list[LeaseRow]
) -> tuple[FunctionFacts, ...] | None:
    queues = await asyncio.gather(*(permitted(reads.queue(full_id)) for full_id in ids))
    faults = await permitted(registry.faults())
    facts = []
    for full_id, queue in zip(ids, queues, strict=True):
        if queue is None or faults is None:
            return None
        count, _, reason = faults.get(full_id, (0, 0, ""))
        workers = sum(full_id in lease.functions for lease in leases)
        facts.append(FunctionFacts(full_id, full_id in declared, queue.ready, queue.waiting, workers, count, reason))
    return tuple(facts)
