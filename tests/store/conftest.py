"""A shard per test, on each kind of server; whatever a test leaves behind must keep every invariant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.servers import Server
from tests.store.invariants import violations
from tests.store.shard import Shard
from tests.store.stored import bases_of, read_stored_of


@pytest.fixture
def check_leftovers() -> Callable[[Server], None]:
    """Fails the test that leaves a key without owner or lifetime, or a run that nothing will ever move."""

    def check(server: Server) -> None:
        with server.sync_client() as client:
            for base in bases_of(client):
                found = violations(read_stored_of(client, base))
                assert not found, "left behind: " + "\n".join(found)

    return check


@pytest_asyncio.fixture
async def shard(server: Server) -> AsyncIterator[Shard]:
    """An open, empty shard."""
    found = Shard(server)
    await found.calls.open()
    yield found
    await found.close()
