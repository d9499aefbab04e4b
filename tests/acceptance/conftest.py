"""The stage fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.acceptance.harness import Stage
from tests.servers import RealServer

pytestmark = pytest.mark.acceptance


@pytest.fixture
async def stage(start_server: Callable[..., RealServer], tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on a Redis of its own with `appendfsync everysec`, as people run it."""
    made = Stage(start_server("redis7", appendfsync="everysec"), tmp_path)
    yield made
    await made.close()
