"""The stage fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.acceptance.harness import Stage
from tests.servers import RealServer

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.acceptance)


@pytest.fixture
async def stage(start_server: Callable[..., RealServer], tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on a Redis of its own with `appendfsync everysec`, as people run it."""
    made = Stage(start_server("redis7", appendfsync="everysec"), tmp_path)
    yield made
    await made.close()
