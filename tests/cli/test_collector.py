"""The child's cycle collector: seldom by number, in time by size."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from durableq.cli.collector import COLLECT_AFTER, GROWTH_MB, Collector


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*threshold)


class Node:
    """A cycle of its own."""

    def __init__(self) -> None:
        self.me = self


class Process:
    """Says how large it is."""

    def __init__(self, *sizes_mb: int) -> None:
        self._sizes = iter(sizes_mb)

    def __call__(self) -> int:
        return next(self._sizes)


def test_it_looks_seldom_once_settled() -> None:
    Collector(Process(100)).settle()
    assert gc.get_threshold()[0] == COLLECT_AFTER
    assert gc.isenabled()


def test_a_threshold_that_the_app_has_set_stays() -> None:
    collector = Collector(Process(100))
    gc.set_threshold(1_234, 5, 6)
    collector.settle()
    assert gc.get_threshold() == (1_234, 5, 6)


def test_a_large_cycle_is_collected_when_the_process_has_grown() -> None:
    collector = Collector(Process(100, 100 + GROWTH_MB - 1, 100 + GROWTH_MB, 110))
    collector.settle()
    garbage = weakref.ref(Node())
    assert not collector.look()
    assert collector.look()
    assert garbage() is None


def test_a_process_that_stays_large_is_not_collected_at_every_beat() -> None:
    collector = Collector(Process(100, 200, 200, 205, 210))
    collector.settle()
    assert collector.look()
    assert not collector.look()
    assert not collector.look()


def test_growth_counts_from_the_smallest_size() -> None:
    collector = Collector(Process(300, 200, 200 + GROWTH_MB, 200))
    collector.settle()
    assert not collector.look()
    assert collector.look()


def test_a_large_process_may_grow_by_a_quarter() -> None:
    collector = Collector(Process(1_000, 1_249, 1_250, 1_250))
    collector.settle()
    assert not collector.look()
    assert collector.look()


def test_an_app_that_has_switched_it_off_is_left_alone() -> None:
    collector = Collector(Process(100, 1_000))
    gc.disable()
    collector.settle()
    assert not collector.look()
    assert not gc.isenabled()


async def test_watching_looks_again_and_again() -> None:
    looked = asyncio.Event()

    class Growing:
        mb = 0

        def __call__(self) -> int:
            Growing.mb += GROWTH_MB
            if Growing.mb >= 4 * GROWTH_MB:
                looked.set()
            return Growing.mb

    watching = asyncio.create_task(Collector(Growing()).watch())
    garbage = weakref.ref(Node())
    async with asyncio.timeout(10):
        await looked.wait()
    watching.cancel()
    assert garbage() is None
