"""Calls over each kind of server, opened, closed at the end."""

from collections.abc import AsyncIterator

import pytest

from durableq.store.calls import Calls
from durableq.store.link import Link
from durableq.store.opening import calls_on
from tests.servers import Server


@pytest.fixture
async def calls(server: Server) -> AsyncIterator[Calls]:
    pool = server.client().connection_pool
    found = calls_on(Link(lambda: pool.make_connection()), "default")
    await found.open()
    yield found
    await found.link.close()
