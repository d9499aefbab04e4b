"""A small shop, and what its bodies did."""

from __future__ import annotations

import pytest

import durableq as dq
from tests.testing.shop import World, shop


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def app(world: World) -> dq.App:
    return shop(world)
