"""Faults of a server, each produced on a real one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from durableq.services.doctor.examination import examine
from durableq.services.doctor.facts import Plan
from durableq.services.doctor.finding import UNSEEN, Finding, Severity
from durableq.store.calls import Calls
from durableq.store.keys import Keys
from durableq.store.link import Link
from durableq.words.clock import SystemClock
from tests.servers import RealServer, Server, on
from tests.services.doctor.conftest import Examine, Hands
from tests.store.shard import SCRIPTS, Shard

real = on("redis7", "valkey")


async def looked_at(server: RealServer, plan: Plan | None = None, **options: Any) -> dict[str, Finding]:
    """Examine a server, over a connection with these options."""
    client = server.client(**options)
    link = Link(client.connection_pool.make_connection)
    try:
        findings = await examine(Calls(link, SCRIPTS, Keys("t")), SystemClock(), plan or Plan())
        return {finding.id: finding for finding in findings}
    finally:
        await link.close()
        await client.aclose()


async def in_use(server: RealServer) -> None:
    """Open the namespace there, so that scripts get as far as their first write."""
    shard = Shard(server)
    await shard.calls.open()
    await shard.close()


def until(server: RealServer, condition: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + 10
    with server.sync_client() as client:
        while not condition(client.info()):
            assert time.monotonic() < deadline, client.info()
            time.sleep(0.02)


async def configured(shard: Shard, **settings: str) -> None:
    for name, value in settings.items():
        await shard.command("CONFIG", "SET", name.replace("_", "-"), value)


# version


@on("redis7")
async def test_a_redis_with_known_flaws_is_told_by_their_names(examined: Examine) -> None:
    finding = (await examined())["known-flaws"]
    assert finding.severity is Severity.WARNING
    assert "CVE-2025-49844" in finding.seen
    assert "Upgrade to Redis 7.2.15" in finding.mend


@on("valkey")
async def test_a_valkey_without_known_flaws_is_in_order(examined: Examine) -> None:
    assert (await examined())["version"].seen.startswith("Valkey 9.1.")


async def test_a_cluster_is_a_problem_and_nothing_else_is_asked_of_it(
    start_server: Callable[..., RealServer],
) -> None:
    found = await looked_at(start_server("redis7", tcp=True, cluster_enabled="yes"))
    assert found["cluster-mode"].severity is Severity.PROBLEM


# persistence


@real
async def test_a_server_that_keeps_nothing_is_a_problem(shard: Shard, examined: Examine) -> None:
    await configured(shard, appendonly="no", save="")
    assert (await examined())["no-persistence"].severity is Severity.PROBLEM


@real
async def test_snapshots_alone_are_a_warning(shard: Shard, examined: Examine) -> None:
    await configured(shard, appendonly="no", save="3600 1")
    assert (await examined())["no-append-file"].seen == "no append-only file, snapshots only (save 3600 1)"


@real
async def test_syncing_left_to_the_system_or_held_back_is_a_warning(
    start_server: Callable[..., RealServer], server: Server
) -> None:
    kind = server.kind.name
    found = await looked_at(start_server(kind, appendfsync="no"))
    assert found["fsync-left-to-the-system"].seen == "appendfsync no"
    found = await looked_at(start_server(kind, appendfsync="everysec", no_appendfsync_on_rewrite="yes"))
    assert found["fsync-held-back"].seen == "no-appendfsync-on-rewrite yes"
    found = await looked_at(start_server(kind, appendfsync="everysec"))
    assert found["persistence"].seen == "append-only file, synced everysec"


def kill_child_of(server: RealServer) -> None:
    """Kill the process that writes a snapshot or a rewrite."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    deadline = time.monotonic() + 10
    while not children.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)


async def test_snapshots_and_rewrites_that_fail_are_told(start_server: Callable[..., RealServer]) -> None:
    server = start_server("redis7", appendfsync="everysec")
    await in_use(server)
    with server.sync_client() as client:
        client.set("key", "takes ten seconds to write")
        client.config_set("rdb-key-save-delay", 10_000_000)
        client.bgrewriteaof()
        kill_child_of(server)
        until(server, lambda info: info["aof_last_bgrewrite_status"] == "err")
        found = await looked_at(server)
        assert found["rewrite-failing"].severity is Severity.WARNING
        client.config_set("save", "3600 1")
        client.bgsave()
        kill_child_of(server)
        until(server, lambda info: info["rdb_last_bgsave_status"] == "err")
    found = await looked_at(server)
    assert found["snapshot-failing"].severity is Severity.PROBLEM
    assert "MISCONF" in found["writes-refused"].seen


# eviction, memory


@real
async def test_a_policy_that_evicts_is_a_problem(shard: Shard, examined: Examine) -> None:
    await configured(shard, maxmemory_policy="allkeys-lru")
    finding = (await examined())["evicts"]
    assert (finding.severity, finding.seen) == (Severity.PROBLEM, "maxmemory-policy allkeys-lru")


@real
async def test_memory_without_a_bound_is_worth_knowing(examined: Examine) -> None:
    assert (await examined())["memory-unbounded"].severity is Severity.INFO


@real
async def test_memory_near_the_gate_and_a_closed_gate_are_told(shard: Shard, examined: Examine) -> None:
    used = int((await shard.command("INFO", "memory")).split(b"used_memory:")[1].split(b"\r")[0])
    await configured(shard, maxmemory=str(int(used * 1.4)))
    assert "small queued run" in (await examined())["memory-near-gate"].seen
    await shard.upkeep.set_gate(0.9, prunable=False)
    found = await examined()
    assert found["gate-closed"].severity is Severity.PROBLEM
    assert "memory-near-gate" not in found
    shard.advance(30_000)
    assert "gate-closed" not in await examined()


# latency, scripts


@real
async def test_a_server_that_is_far_away_is_told_with_the_figures(examined: Examine, shard: Shard) -> None:
    finding = (await examined(clock=Hands(shard.now_ms, step_ms=30.0)))["far-away"]
    assert finding.seen == "round trip p50 30.00 ms, p99 30.00 ms"


async def test_a_user_who_may_not_run_scripts_is_a_problem(start_server: Callable[..., RealServer]) -> None:
    server = start_server("redis7")
    with server.sync_client() as client:
        client.acl_setuser("reader", enabled=True, passwords=["+x"], keys=["*"], categories=["+@all", "-@scripting"])
    found = await looked_at(server, username="reader", password="x")
    assert found["scripts-refused"].severity is Severity.PROBLEM
    assert "no permissions to run the 'evalsha' command" in found["scripts-refused"].seen


async def test_a_user_who_may_neither_see_info_nor_config_is_told_what_cannot_be_seen(
    start_server: Callable[..., RealServer],
) -> None:
    server = start_server("redis7")
    with server.sync_client() as client:
        client.acl_setuser(
            "guest", enabled=True, passwords=["+x"], keys=["*"], categories=["+@all"], commands=["-info", "-config"]
        )
    client = server.client(username="guest", password="x")
    link = Link(client.connection_pool.make_connection)
    findings = await examine(Calls(link, SCRIPTS, Keys("t")), SystemClock(), Plan())
    await link.close()
    await client.aclose()
    assert {finding.check for finding in findings if finding.id == UNSEEN} == {
        "version", "persistence", "eviction", "memory", "replication", "connections", "settings",
    }  # fmt: skip
    assert {finding.id for finding in findings} == {UNSEEN, "latency", "scripts", "clock", "namespace-new"}


# clocks


@real
async def test_clocks_that_differ_are_told_with_the_side(shard: Shard, examined: Examine) -> None:
    found = await examined(clock=Hands(shard.now_ms - 60_000))
    assert found["clock-differs"].seen == "Redis' clock is 1m ahead of this machine's"
    found = await examined(clock=Hands(shard.now_ms + 60_000))
    assert found["clock-differs"].seen == "Redis' clock is 1m behind this machine's"


class Jumping(Hands):
    """A clock that is set by a minute after its first reading."""

    def wall_ms(self) -> int:
        self.now_ms, before = self.now_ms + 60_000, self.now_ms
        return before


@real
async def test_a_clock_that_is_set_while_we_look_is_told(shard: Shard) -> None:
    shard.calls.now_ms = None
    findings = await examine(shard.calls, Jumping(), Plan())
    assert "clock-jumps" in {finding.id for finding in findings}


async def test_a_server_whose_clock_was_set_back_is_told_by_what_it_has_noted(shard: Shard, examined: Examine) -> None:
    await shard.leases.rescue_leases(keep_failed=1)
    assert "clock-went-back" not in await examined()
    shard.advance(-60_000)
    assert "up to 1m in its own future" in (await examined())["clock-went-back"].seen


# replication


async def test_a_replica_and_its_primary_are_told_apart(start_server: Callable[..., RealServer]) -> None:
    primary, replica = start_server("redis7", tcp=True), start_server("redis7", tcp=True)
    with replica.sync_client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
    until(replica, lambda info: info.get("master_link_status") == "up")
    found = await looked_at(replica)
    assert found["replica-addressed"].mend == f"Address the primary: 127.0.0.1:{primary.port}."
    assert found[UNSEEN].check == "scripts"
    until(primary, lambda info: info.get("slave0", {}).get("state") == "online")
    assert (await looked_at(primary))["replication"].seen == "the primary, 1 replica"


@real
async def test_fewer_replicas_than_the_server_was_told_to_have_are_a_problem(
    start_server: Callable[..., RealServer], server: Server
) -> None:
    lonely = start_server(server.kind.name)
    await in_use(lonely)
    with lonely.sync_client() as client:
        client.config_set("min-replicas-to-write", 1)
    found = await looked_at(lonely)
    assert found["too-few-replicas"].seen == "min-replicas-to-write is 1, and 0 replicas keep up"
    assert found["too-few-replicas"].severity is Severity.PROBLEM
    assert "NOREPLICAS" in found["writes-refused"].seen


# connections, settings


@real
async def test_connections_that_do_not_suffice_for_a_deploy_or_at_all_are_told(
    start_server: Callable[..., RealServer], server: Server
) -> None:
    small = start_server(server.kind.name, maxclients="40")
    assert "connections" in await looked_at(small, Plan(2, 2))
    assert "connections-tight" in await looked_at(small, Plan(5, 1))
    found = await looked_at(small, Plan(5, 4))
    assert found["connections-short"].severity is Severity.PROBLEM
    assert "5 workers of 4 processes and a scheduler need up to 67" in found["connections-short"].seen


async def test_connections_that_were_refused_are_counted(start_server: Callable[..., RealServer]) -> None:
    server = start_server("redis7", maxclients="3")
    clients = [server.sync_client() for _ in range(4)]
    for client in clients[:3]:
        client.ping()
    with pytest.raises(redis.ConnectionError):
        clients[3].ping()
    for client in clients:
        client.close()
    until(server, lambda info: info["connected_clients"] == 1)
    assert (await looked_at(server))["connections-refused"].seen == "1 connection refused for lack of room"


@real
async def test_limits_that_cut_are_told(start_server: Callable[..., RealServer], server: Server) -> None:
    kind = server.kind.name
    assert "idle-cut" in await looked_at(start_server(kind, timeout="5"))
    assert "scripts-soon-busy" in await looked_at(start_server(kind, lua_time_limit="50"))
    strict = start_server(kind)
    with strict.sync_client() as client:
        client.config_set("client-output-buffer-limit", "normal 1048576 524288 10")
    assert (await looked_at(strict))["replies-cut"].seen == "replies to normal clients may take 512 KB"
