"""A check-up: look, then decide. The decisions are functions of what was read; none of them reads anything."""

from __future__ import annotations

import asyncio
from typing import Final

from durableq.services.doctor import of_capacity, of_flow, of_server, of_time, of_waits, of_work
from durableq.services.doctor.facts import NamespaceFacts, Plan, ServerFacts
from durableq.services.doctor.finding import Finding, unseen
from durableq.services.doctor.looking import look_at_namespace, look_at_server
from durableq.store.calls import Calls
from durableq.words.clock import Clock
from durableq.words.errors import RedisUnavailable

ANSWER_S: Final = 30.0
"""All of it takes a fraction of a second nearby, and about ten on a server that is an ocean away."""


async def examine(calls: Calls, clock: Clock, plan: Plan) -> list[Finding]:
    """All findings, in the order of CHECKS. Raises RedisUnavailable when the server does not answer in time."""
    try:
        async with asyncio.timeout(ANSWER_S):
            server = await look_at_server(calls, clock)
            if server.says("redis_mode") == "cluster":
                return decide(server, NamespaceFacts(calls.keys.namespace, 0, None), plan)
            return decide(server, await look_at_namespace(calls, clock), plan)
    except TimeoutError:
        raise RedisUnavailable(f"Redis did not answer within {ANSWER_S:g} s") from None


def decide(server: ServerFacts, namespace: NamespaceFacts, plan: Plan) -> list[Finding]:
    """What follows from what was read."""
    findings = [
        *of_server.version(server),
        *of_server.persistence(server),
        *of_server.eviction(server),
        *of_capacity.memory(server, namespace),
        *of_capacity.latency(server),
        *of_capacity.scripts(server),
        *of_time.clock(server, namespace),
        *of_server.replication(server),
        *of_capacity.connections(server, plan),
        *of_capacity.settings(server),
        *of_work.namespace(namespace),
    ]
    if namespace.meta is None or namespace.exists:
        findings += [
            *of_time.scheduler(namespace),
            *of_time.timers(namespace),
            *of_work.workers(namespace),
            *of_work.functions(namespace),
            *of_flow.limits(namespace),
            *of_work.runs(namespace),
            *of_work.events(namespace),
            *of_waits.waits(namespace),
            *of_work.releases(namespace),
        ]
    if plan.declared and namespace.meta is not None:
        findings += of_work.apps(namespace, plan)
    elif plan.declared:
        findings.append(unseen("apps", of_time.READ_REFUSED))
    return findings
