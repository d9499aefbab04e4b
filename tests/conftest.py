"""Fixtures for every test. The servers themselves are in servers.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.servers import KINDS, FakeServer, RealServer, Server, ServerPool


@pytest.fixture(scope="session")
def server_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerPool]:
    """The real servers of this pytest process."""
    pool = ServerPool(tmp_path_factory.mktemp("servers"))
    yield pool
    pool.close()


@pytest.fixture
def check_leftovers() -> Callable[[Server], None]:
    """Asked of the server after each test, while its keys are still there. A folder's conftest may override it."""
    return lambda server: None


@pytest.fixture(params=list(KINDS))
def server(
    request: pytest.FixtureRequest, server_pool: ServerPool, check_leftovers: Callable[[Server], None]
) -> Iterator[Server]:
    """An empty server. The test runs once per kind, or as `@on(...)` says; a kind that is not installed is an error."""
    kind = KINDS[request.param]
    found: Server = server_pool.shared(kind) if kind.real else FakeServer()
    found.flush()
    yield found
    found.revive()
    check_leftovers(found)


@pytest.fixture
def start_server(server_pool: ServerPool) -> Iterator[Callable[..., RealServer]]:
    """For tests that need a server of their own, two, or TCP: `start_server("valkey", tcp=True, maxmemory="9mb")`."""
    started: list[RealServer] = []

    def start(kind: str, *, tcp: bool = False, **settings: str) -> RealServer:
        server = server_pool.start(
            KINDS[kind], tcp=tcp, **{name.replace("_", "-"): text for name, text in settings.items()}
        )
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()
