"""Idle processes: commands and connections of each, told apart by the names that connections have.

The server's slow log, with its threshold at zero, names the connection of every command and the hash of every script.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from durableq.store.scripts import load_scripts
from scripts.bench_parts.figures import Figure
from scripts.bench_parts.gauge import Gauge, of_process
from scripts.bench_parts.processes import Scheduler, Server, Worker
from scripts.bench_parts.setting import Setting

RENEWAL = "renew_leases"
ROLES = {"parent": ("parent",), "child": ("child", "child-bell"), "scheduler": ("scheduler", "scheduler-bell")}
CONNECTIONS = {"parent": 1, "child": 3, "scheduler": None}


async def measure(setting: Setting) -> list[list[Figure]]:
    """Commands a second besides renewals of leases, connections, and processor time of an idle child."""
    seconds = setting.size(20, 10)
    with (
        Server(setting.server, setting.first) as server,
        Worker(server, uvloop=setting.uvloop) as worker,
        Scheduler(server),
    ):
        client = server.client
        await asyncio.sleep(4)  # what is done once at the start is no part of it
        client.config_set("slowlog-max-len", 100_000)
        client.config_set("slowlog-log-slower-than", 0)
        client.slowlog_reset()
        gauge = Gauge(server, of_process(worker.child))
        await asyncio.sleep(seconds)
        used = gauge.read()
        client.config_set("slowlog-log-slower-than", -1)
        commands = _by_role(server)
        connected = Counter(entry["name"].removeprefix("durableq:") for entry in client.client_list())
    figures = []
    for process, roles in ROLES.items():
        made = Counter[str]()
        for role in roles:
            made += commands.get(role, Counter())
        renewals = made.pop(RENEWAL, 0)
        figures += [
            Figure(f"idle {process}, commands besides renewals", made.total() / seconds, "/s", 1),
            Figure(f"idle {process}, renewals", renewals / seconds, "/s"),
            Figure(f"idle {process}, connections", sum(connected[role] for role in roles), "", CONNECTIONS[process]),
        ]
    figures += [
        Figure("idle child, CPU", used.python_s / seconds * 100, "%"),
        Figure("idle Redis, CPU", used.redis_s / seconds * 100, "%"),
    ]
    return [figures]


def _by_role(server: Server) -> dict[str, Counter[str]]:
    """How often each connection called what; scripts by their names."""
    names = {script.sha: script.name for script in load_scripts().values()}
    found: dict[str, Counter[str]] = {}
    for entry in server.client.slowlog_get(100_000):
        words = entry["command"].decode("utf-8", "replace").split()
        what = names.get(words[1], words[0]) if len(words) > 1 else words[0]
        role = entry.get("client_name", b"").decode().removeprefix("durableq:")
        found.setdefault(role, Counter())[what] += 1
    return found
