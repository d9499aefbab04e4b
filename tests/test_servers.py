"""The test servers do what the tests that stand on them assume."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests import servers
from tests.servers import RealServer, Server, on

LUA = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"


async def test_every_kind_runs_lua(server: Server) -> None:
    async with server.client() as client:
        assert await client.eval(LUA, 1, "k", b"\xff\x00") == b"\xff\x00"
    with server.sync_client() as look:
        assert look.get("k") == b"\xff\x00"


async def test_a_test_begins_with_an_empty_server(server: Server) -> None:
    async with server.client() as client:
        assert await client.dbsize() == 0
        await client.set("left", "over")


@on("redis7", "valkey")
async def test_another_begins_with_an_empty_server_too(server: RealServer) -> None:
    async with server.client() as client:
        assert await client.dbsize() == 0
        await client.config_set("maxmemory", "100mb")
    server.flush()
    async with server.client() as client:
        assert (await client.config_get("maxmemory"))["maxmemory"] == "0"


@on("redis7", "valkey")
async def test_a_killed_server_comes_back_with_every_acknowledged_write(server: RealServer) -> None:
    url, pid = server.url, server.pid
    async with server.client() as client:
        for number in range(200):
            await client.rpush("list", number)
        server.kill()
        with pytest.raises(redis.ConnectionError):
            await client.ping()
    server.restart()
    assert server.url == url
    assert server.pid != pid
    async with server.client() as client:
        assert await client.llen("list") == 200


@on("valkey")
async def test_a_paused_server_answers_nothing_until_resumed(server: RealServer) -> None:
    async with server.client(socket_timeout=0.1) as client:
        await client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            await client.ping()
        server.resume()
        await client.ping()


@on("valkey")
def test_what_the_last_test_killed_or_froze_is_mended(server: RealServer) -> None:
    server.kill()
    server.flush()
    server.pause()
    server.flush()
    with server.sync_client() as client:
        assert client.ping()


async def test_a_private_server_may_listen_on_tcp(start_server: Callable[..., RealServer]) -> None:
    first, second = start_server("valkey", tcp=True, maxmemory_policy="allkeys-lru"), start_server("redis7", tcp=True)
    assert first.url.startswith("redis://127.0.0.1:")
    assert first.url != second.url
    async with first.client() as client:
        assert (await client.config_get("maxmemory-policy"))["maxmemory-policy"] == "allkeys-lru"
        first.restart()
    async with first.client() as client:
        assert await client.ping()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.servers import *;"
        "server = ServerPool(Path(sys.argv[1])).start(VALKEY); print(server.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline, f"server {pid} outlived its parent"
        time.sleep(0.01)


def test_a_missing_server_fails_the_test_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers, "packaged_binary", lambda: None)
    pool = servers.ServerPool(tmp_path)
    with pytest.raises(pytest.fail.Exception, match="scripts/setup, or apt-get install redis-server"):
        pool.start(servers.REDIS7)
    with pytest.raises(pytest.fail.Exception, match="pip install"):
        pool.start(servers.VALKEY)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Dead, but not yet collected by whoever adopted it.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
