"""Decisions about a server, from what INFO and CONFIG GET say: those faults that a test cannot produce on demand."""

from __future__ import annotations

from typing import Any

import pytest

from durableq.services.doctor import of_capacity, of_server, of_time
from durableq.services.doctor.examination import decide
from durableq.services.doctor.facts import ClockReading, NamespaceFacts, Plan, ServerFacts
from durableq.services.doctor.finding import CHECKS, UNSEEN, Finding, Severity
from durableq.store.checkup import ScriptTrips

NOBODY = NamespaceFacts("t", 1_000_000, {"identity": "x"})
MB = 1 << 20


def server(settings: dict[str, str] | None = None, **info: Any) -> ServerFacts:
    return ServerFacts({name: str(value) for name, value in info.items()}, settings or {}, (0.1,) * 100)


def ids(findings: list[Finding]) -> set[str]:
    return {finding.id for finding in findings}


def test_a_server_without_what_scripts_need_is_a_problem() -> None:
    assert "old-server" in ids(of_server.version(server(redis_version="6.0.9")))
    assert "old-server" in ids(of_server.version(server(redis_version="5.0.0")))
    assert "old-server" not in ids(of_server.version(server(redis_version="6.2.24")))


def test_an_append_file_that_cannot_be_written_is_a_problem() -> None:
    (finding,) = of_server.persistence(server(aof_enabled=1, aof_last_write_status="err"))
    assert (finding.id, finding.severity) == ("append-file-failing", Severity.PROBLEM)


def test_a_failed_snapshot_is_none_of_our_business_where_none_are_wanted() -> None:
    about = {"aof_enabled": 1, "rdb_last_bgsave_status": "err"}
    assert ids(of_server.persistence(server({"save": ""}, **about))) == {"persistence"}
    assert ids(of_server.persistence(server({"save": "60 1"}, **about))) == {"snapshot-failing"}


def test_whether_snapshots_are_made_is_left_open_where_config_is_refused() -> None:
    (finding,) = of_server.persistence(server(aof_enabled=0))
    assert finding.id == "no-append-file"
    assert "cannot be seen" in finding.seen


def test_a_server_that_fills_its_machine_is_told() -> None:
    facts = server(used_memory=850 * MB, used_memory_rss=900 * MB, maxmemory=0, total_system_memory=1000 * MB)
    (finding,) = of_capacity.memory(facts, NOBODY)
    assert finding.id == "machine-nearly-full"
    assert finding.seen == "no maxmemory, 900 MB of the machine's 1,000 MB used"


def test_fragmentation_matters_when_it_is_much() -> None:
    wasteful = server(used_memory=200 * MB, used_memory_rss=400 * MB, maxmemory=1000 * MB)
    assert ids(of_capacity.memory(wasteful, NOBODY)) == {"fragmented"}
    small = server(used_memory=1 * MB, used_memory_rss=12 * MB, maxmemory=1000 * MB)
    assert ids(of_capacity.memory(small, NOBODY)) == {"memory"}


def test_memory_is_told_in_runs_that_still_fit() -> None:
    (finding,) = of_capacity.memory(server(used_memory=15 * MB, maxmemory=100 * MB), NOBODY)
    assert finding.severity is Severity.OK
    assert (
        finding.seen == "15 MB of 100 MB used, about 104,857 more small queued runs fit before new events are refused"
    )


@pytest.mark.parametrize(
    ("pings", "scripts", "wanted"),
    [
        ((0.2,) * 100, (0.3,) * 20, "latency"),
        ((40.0,) * 100, (41.0,) * 20, "far-away"),
        ((0.2,) * 97 + (90.0,) * 3, (0.3,) * 20, "slow-at-times"),
        ((0.2,) * 100, (9.0,) * 20, "slow-scripts"),
    ],
)
def test_latency_tells_distance_from_stalls_from_a_slow_server(
    pings: tuple[float, ...], scripts: tuple[float, ...], wanted: str
) -> None:
    assert ids(of_capacity.latency(ServerFacts({}, {}, pings, ScriptTrips(scripts)))) == {wanted}


@pytest.mark.parametrize(
    "replica",
    [
        "ip=10.0.0.2,port=6379,state=online,offset=100,lag=40",
        "ip=10.0.0.2,port=6379,state=online,offset=100,lag=1",
        "ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0",
    ],
)
def test_a_replica_that_is_late_behind_or_not_there_yet_is_told(replica: str) -> None:
    (finding,) = of_server.replication(server(role="master", master_repl_offset=5 * MB, slave0=replica))
    assert finding.id == "replicas-behind"
    assert finding.seen.startswith("10.0.0.2:6379 ")


def test_a_replica_that_keeps_up_is_in_order() -> None:
    replica = "ip=10.0.0.2,port=6379,state=online,offset=5242880,lag=0"
    (finding,) = of_server.replication(server(role="master", master_repl_offset=5 * MB, slave0=replica))
    assert (finding.severity, finding.seen) == (Severity.OK, "the primary, 1 replica")


def test_a_limit_of_another_class_of_clients_is_not_ours() -> None:
    limits = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
    assert ids(of_capacity.settings(server({"client-output-buffer-limit": limits}))) == {"settings"}


def test_a_clock_is_not_blamed_for_a_long_way() -> None:
    far = ClockReading(ahead_ms=2_500, error_ms=600, drifted_ms=1_100)
    assert ids(of_time.clock(ServerFacts({}, clock=far), NOBODY)) == {"clock"}
    near = far._replace(error_ms=1)
    assert ids(of_time.clock(ServerFacts({}, clock=near), NOBODY)) == {"clock-differs", "clock-jumps"}


def test_what_cannot_be_seen_is_said_of_each_check_and_is_no_problem() -> None:
    nothing = ServerFacts(None, {}, (0.1,) * 100)
    findings = decide(nothing, NamespaceFacts("t", 0, None), Plan(declared={"shop": {}}))
    assert [finding.check for finding in findings if finding.id != "latency"] == [
        check for check in CHECKS if check != "latency"
    ]
    assert {finding.id for finding in findings} == {UNSEEN, "latency"}
    assert {finding.severity for finding in findings} == {Severity.INFO, Severity.OK}


def test_connections_are_counted_for_parents_children_and_a_scheduler() -> None:
    assert of_capacity.needed(Plan(1, 1)) == 1 + 3 + 2
    assert of_capacity.needed(Plan(3, 4)) == 3 * (1 + 3 * 4) + 2
