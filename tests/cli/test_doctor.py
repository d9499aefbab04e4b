"""`durableq doctor` at the prompt: what it prints, what it exits with, and that it leaves nothing behind."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest
import redis
from click.testing import CliRunner

from durableq.cli.main import main
from tests.cli.conftest import Demo
from tests.cli.project import Project
from tests.servers import RealServer

CLOSED = "redis://127.0.0.1:1"


def sync_client(demo: Demo) -> redis.Redis:
    return redis.Redis.from_url(demo.url, protocol=2)


def test_warnings_are_no_failure(empty: Demo) -> None:
    done = empty.call("doctor")
    assert done.exit_code == 0, done.output
    assert "\nwarning\n  fsync-left-to-the-system: appendfsync no\n" in done.stdout
    # Latency is what it is on a busy machine: a warning more, and one less in order.
    assert re.fullmatch(r"0 problems, [12] warnings?, [78] in order", done.stdout.splitlines()[-1])


def test_a_problem_fails_and_comes_first_with_what_it_means_and_how_to_mend_it(empty: Demo) -> None:
    with sync_client(empty) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    done = empty.call("doctor")
    assert done.exit_code == 1
    head, _, *lines = done.stdout.splitlines()
    assert head == f"{empty.url}, from --redis-url; namespace 'default'"
    assert lines[:5] == [
        "problem",
        "  evicts: maxmemory-policy allkeys-lru",
        "    When it is full it deletes keys: runs would be lost without a word.",
        "    -> CONFIG SET maxmemory-policy noeviction, and the same in the server's configuration or the service's",
        "       settings.",
    ]
    order = [line for line in lines if line in ("problem", "warning", "info", "ok")]
    assert order == ["problem", "warning", "info", "ok"]


def test_json_is_a_list_of_findings(empty: Demo) -> None:
    found = empty.said("doctor")
    assert {tuple(finding) for finding in found} == {("check", "id", "severity", "seen", "means", "mend")}
    by_id = {finding["id"]: finding for finding in found}
    assert by_id["eviction"] == {
        "check": "eviction",
        "id": "eviction",
        "severity": "ok",
        "seen": "maxmemory-policy noeviction",
        "means": None,
        "mend": None,
    }
    assert by_id["namespace-new"]["severity"] == "info"
    assert by_id["namespace-new"]["mend"]


def test_json_exits_as_the_text_does(empty: Demo) -> None:
    with sync_client(empty) as client:
        client.config_set("maxmemory-policy", "volatile-ttl")
    done = empty.call("doctor", "--json")
    assert done.exit_code == 1
    assert "evicts" in [finding["id"] for finding in json.loads(done.stdout)]


def test_it_leaves_no_key_behind(empty: Demo) -> None:
    assert empty.call("doctor").exit_code == 0
    with sync_client(empty) as client:
        assert client.keys("*") == []


def test_what_others_wrote_cannot_move_the_cursor(empty: Demo) -> None:
    with sync_client(empty) as client:
        client.hset("dq:{default:0}:meta", mapping={"identity": "x\x1b[31m", "schema": 1})
    done = empty.call("doctor")
    assert "\x1b" not in done.stdout
    assert "identity x\\x1b[31m" in done.stdout


def test_an_app_that_is_named_is_compared_with_what_is_registered(empty: Demo, project: Project) -> None:
    project.app(function="pay")
    assert empty.call("sync", "shop:app", "--release", "v1").exit_code == 0
    assert {f["id"]: f["severity"] for f in _found(empty, "shop:app")}["apps"] == "ok"
    other = project.directory / "other.py"
    other.write_text((project.directory / "shop.py").read_text().replace("'pay'", "'ship'"))
    assert {f["id"]: f["seen"] for f in _found(empty, "other:app")}["app-differs"] == "shop: new ship; gone pay"


def _found(demo: Demo, *arguments: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(demo.call("doctor", *arguments, "--json").stdout)
    return found


def test_an_app_that_does_not_load_is_refused_before_anything_is_looked_at(empty: Demo) -> None:
    done = empty.call("doctor", "nothing.here:app")
    assert (done.exit_code, done.stdout) == (78, "")
    assert "nothing" in done.stderr


def test_workers_to_come_are_counted(empty: Demo) -> None:
    seen = {finding["check"]: finding["seen"] for finding in _found(empty, "--workers", "4", "--processes", "3")}
    assert seen["connections"].endswith("4 workers of 3 processes and a scheduler need up to 42")
    done = empty.call("doctor", "--workers", "0")
    assert done.exit_code == 2
    assert "'--workers'" in done.stderr


# Not reached, or refused


def test_a_server_that_is_away_is_told_within_two_seconds() -> None:
    began_s = time.monotonic()
    done = CliRunner().invoke(main, ["doctor", "--redis-url", CLOSED], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (69, "")
    assert time.monotonic() - began_s < 3.5
    assert "Redis is not reachable" in done.stderr
    assert f"{CLOSED}, from --redis-url" in done.stderr


def test_a_server_that_hangs_is_told(start_server: Callable[..., RealServer]) -> None:
    server = start_server("valkey")
    server.pause()
    done = Demo(server).call("doctor")
    assert done.exit_code == 69
    assert "Redis did not answer within 1.8 s" in done.stderr


def test_a_wrong_password_is_refused_with_the_remedy(start_server: Callable[..., RealServer]) -> None:
    server = start_server("valkey", tcp=True)
    url = f"redis://:wrong@127.0.0.1:{server.port}"
    done = CliRunner().invoke(main, ["doctor", "--redis-url", url], catch_exceptions=False)
    assert done.exit_code == 78
    assert "Correct the user and password in the URL" in done.stderr
    assert "wrong" not in done.stderr


def test_tls_to_a_server_that_has_none_is_refused_with_what_to_write(start_server: Callable[..., RealServer]) -> None:
    server = start_server("valkey", tcp=True)
    url = f"rediss://127.0.0.1:{server.port}"
    done = CliRunner().invoke(main, ["doctor", "--redis-url", url], catch_exceptions=False)
    assert done.exit_code == 78
    assert "write redis:// instead of rediss://" in done.stderr


# With a worker at work


@pytest.mark.acceptance
def test_a_worker_with_a_scheduler_at_work_is_seen(demo: Demo) -> None:
    seen = {finding["id"]: finding["seen"] for finding in _found(demo, "tests.cli.demo:app")}
    assert seen["workers"].startswith("1 worker process, ")
    assert "scheduler" in seen
    assert seen["releases"] == "1 app, one release each among the workers"
    assert seen["apps"] == "demo as registered"
