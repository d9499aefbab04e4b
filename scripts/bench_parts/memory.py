"""Bytes in Redis, by stages on a server of its own: events accepted, runs queued, runs finished.

    accepted    the event stream (capped) and the keys that deduplicate ids (2 minutes, or 24 hours for a given id)
    queued      what routing adds: a run, its input, its place in the queue
    finished    what is left of a run when the queue is empty

From used_memory the buffers of clients and of the append-only file are taken off. Payloads have 200 bytes.
"""

from __future__ import annotations

import time

import durableq as dq
from scripts.bench_parts.app import NOTHING, payload
from scripts.bench_parts.driver import Driver
from scripts.bench_parts.figures import Figure
from scripts.bench_parts.processes import Server, Worker
from scripts.bench_parts.setting import Setting


async def measure(setting: Setting) -> list[list[Figure]]:
    """Bytes per event and per run. One round: nothing here depends on time."""
    # Not more per function than it keeps finished runs.
    count = setting.size(20_000, 10_000)
    functions = [f"nothing-{number}" for number in range(NOTHING)]
    with Server(setting.server, setting.first) as server:
        async with Driver(server) as driver:
            await driver.register()
            await driver.fill([dq.Event("bench/nothing-0", payload(0))])
            empty = _used(server)
            events = [dq.Event(f"bench/{functions[index % NOTHING]}", payload(index)) for index in range(count)]
            await driver.send(events)
            accepted = _used(server)
            stream = server.client.memory_usage(driver.calls.key("events"), samples=0) or 0
            await driver.route()
            queued = _used(server)
            with Worker(server, uvloop=setting.uvloop) as worker:
                await driver.drained(*functions)
                worker.stop()
            _wait_until_left(server)
            finished = _used(server)
    return [
        [
            Figure("queued run", (queued - accepted) / count, "B", 650),
            Figure("finished run", (finished - accepted) / count, "B"),
            Figure("accepted event, in the capped stream", stream / count, "B"),
            Figure("accepted event, key that deduplicates it", (accepted - empty - stream) / count, "B"),
        ]
    ]


def _used(server: Server) -> int:
    """Bytes of data, once the server has done what it put off."""
    while server.client.info("memory").get("lazyfree_pending_objects", 0):
        time.sleep(0.05)
    time.sleep(1.2)  # the append-only file's buffer is written, and tables are resized, within a second
    memory = server.client.info("memory")
    return int(memory["used_memory"] - memory["mem_clients_normal"] - memory["mem_aof_buffer"])


def _wait_until_left(server: Server) -> None:
    """Until the server has noticed that the worker's connections are gone."""
    while any(client["name"].startswith("durableq:child") for client in server.client.client_list()):
        time.sleep(0.05)
