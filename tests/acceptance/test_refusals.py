"""What waiting does not mend is refused at the start, with exit code 78 and the remedy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.acceptance.harness import Stage
from tests.servers import RealServer


async def refused(stage: Stage, url: str) -> list[str]:
    """What both commands say when they refuse this URL."""
    processes = [stage.worker(url=url), stage.scheduler(url=url)]
    said = []
    for process in processes:
        assert await process.exits(within_s=15) == 78
        said.append(process.log_path.read_text())
        assert "Traceback" not in said[-1]
    return said


async def test_a_wrong_password(stage: Stage, start_server: Callable[..., RealServer]) -> None:
    guarded = start_server_with_password(start_server)
    for url in (f"redis://:guess-work@127.0.0.1:{guarded.port}", f"redis://127.0.0.1:{guarded.port}"):
        for text in await refused(stage, url):
            assert "Correct the user and password in the URL" in text
            assert "guess-work" not in text


def start_server_with_password(start_server: Callable[..., RealServer]) -> RealServer:
    """Set after the start: the server's own probe knows no password."""
    server = start_server("redis7", tcp=True)
    with server.sync_client() as client:
        client.config_set("requirepass", "sesame")
    return server


async def test_tls_to_a_server_without(stage: Stage, start_server: Callable[..., RealServer]) -> None:
    plain = start_server("redis7", tcp=True)
    for text in await refused(stage, f"rediss://127.0.0.1:{plain.port}"):
        assert "write redis:// instead of rediss://" in text


class _Web(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def web_server() -> Iterator[int]:
    """The port of an HTTP server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


async def test_something_that_is_no_redis(stage: Stage, web_server: int) -> None:
    for text in await refused(stage, f"redis://127.0.0.1:{web_server}"):
        assert "does not speak Redis' protocol" in text


async def test_a_server_that_evicts(stage: Stage) -> None:
    with stage.server.sync_client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    for text in await refused(stage, stage.server.url):
        assert "Set maxmemory-policy to noeviction, or pass --allow-eviction" in text
    await stage.worker("--allow-eviction").working()
    await stage.scheduler("--allow-eviction").says("scheduler.working")


async def test_an_app_that_cannot_be_loaded(stage: Stage, tmp_path: Path) -> None:
    for reference, remedy in [
        ("tests.acceptance.programs:nothing", "it has tests.acceptance.programs:app"),
        ("tests.acceptance.absent:app", "there is no module 'tests.acceptance.absent'"),
    ]:
        worker = stage.worker(app=reference)
        assert await worker.exits(within_s=15) == 78
        assert remedy in worker.log_path.read_text()


async def test_nobody_there_is_no_refusal(stage: Stage) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        worker = stage.worker(url=f"redis://:secret-word@127.0.0.1:{bound.getsockname()[1]}")
        await worker.says("redis.away")
    assert worker.running
    assert "secret-word" not in worker.log_path.read_text()
