"""A shard to be ill, and a clock beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from durableq.services.doctor.examination import examine
from durableq.services.doctor.facts import Plan
from durableq.services.doctor.finding import Finding
from tests.servers import Server
from tests.store.shard import START_MS, Shard

Examine = Callable[..., Awaitable[dict[str, Finding]]]


class Hands:
    """A clock that tests move: each reading of `monotonic_ms` takes `step_ms`."""

    def __init__(self, wall_ms: int = START_MS, step_ms: float = 0.01) -> None:
        self.now_ms = wall_ms
        self.step_ms = step_ms
        self._mono_ms = 0.0

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_ms(self) -> float:
        self._mono_ms += self.step_ms
        return self._mono_ms


@pytest_asyncio.fixture
async def shard(server: Server) -> AsyncIterator[Shard]:
    """An open, empty shard."""
    found = Shard(server)
    await found.calls.open()
    yield found
    await found.close()


@pytest.fixture
def examined(shard: Shard) -> Examine:
    """Examine the shard: the findings by id. This host's clock shows what the scripts' clock does, unless another is given."""

    async def look(plan: Plan | None = None, clock: Hands | None = None) -> dict[str, Finding]:
        findings = await examine(shard.calls, clock or Hands(shard.now_ms), plan or Plan())
        return {finding.id: finding for finding in findings}

    return look
