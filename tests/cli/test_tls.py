"""A worker on a Redis behind TLS, found by a variable: events in, runs executed, timers fired, all of it encrypted."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from durableq.cli.places import find, warn_unverified
from durableq.words.telemetry import get_log
from tests.durableq_command import REPOSITORY, Running, durableq, environment, said, until
from tests.servers import RealServer, free_port
from tests.tls import secured


def test_redis_tls_url_comes_before_redis_url_and_a_worker_works_over_it(
    start_server: Callable[..., RealServer], tmp_path: Path
) -> None:
    server = secured(start_server, tmp_path)
    env = environment(REDIS_URL="redis://127.0.0.1:1", REDIS_TLS_URL=server.url("ssl_cert_reqs=CERT_NONE"))
    worker = Running("worker", "tests.cli.demo", "--with-scheduler", cwd=REPOSITORY, log=tmp_path / "log", env=env)
    try:
        worker.says("child.working")
        said("send", "demo/add", "--data", '{"numbers": [1, 2]}', env=env)
        run = until(lambda: said("runs", "list", "--status", "completed", env=env), "a completed run")[0]
        assert said("runs", "show", run["id"], env=env)["result"] == 3
        worker.signal(signal.SIGTERM)
        assert worker.ends() == 0
    finally:
        worker.kill()


def test_a_certificate_that_cannot_be_verified_is_told_with_the_remedy(
    start_server: Callable[..., RealServer], tmp_path: Path
) -> None:
    server = secured(start_server, tmp_path)
    for command in (["worker", "tests.cli.demo"], ["scheduler"], ["functions"], ["send", "a/b"]):
        done = durableq(*command, env=environment(REDIS_URL=server.url()))
        assert done.returncode == 78
        assert "or add ?ssl_cert_reqs=none if you accept a self-signed certificate" in done.stderr


@pytest.mark.parametrize("command", [("send", "a/b"), ("functions",), ("doctor",)])
def test_a_url_of_the_wrong_kind_is_told_with_the_right_one(
    start_server: Callable[..., RealServer], tmp_path: Path, command: tuple[str, ...]
) -> None:
    tls = secured(start_server, tmp_path)
    done = durableq(*command, env=environment(REDIS_URL=tls.url().replace("rediss://", "redis://")))
    assert (done.returncode, "write rediss:// instead of redis://" in done.stderr) == (78, True)
    port = free_port()
    start_server("redis7", port=str(port))
    done = durableq(*command, env=environment(REDIS_URL=f"rediss://localhost:{port}"))
    assert (done.returncode, "write redis:// instead of rediss://" in done.stderr) == (78, True)


def test_on_heroku_it_is_said_that_a_certificate_is_not_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNO", "worker.1")
    monkeypatch.setenv("REDIS_URL", "rediss://:secret@ec2-3-4-5-6.compute-1.amazonaws.com:6380")
    with capture_logs() as lines:
        warn_unverified(find(None, None), get_log())
        warn_unverified(find("redis://elsewhere", None), get_log())
    (line,) = lines
    assert line["event"] == "redis.unverified"
    assert line["url"] == "rediss://:***@ec2-3-4-5-6.compute-1.amazonaws.com:6380?ssl_cert_reqs=none"
