"""Waiting for a beginning, unless told to stop."""

import asyncio

import pytest

from durableq.cli.patience import unless
from durableq.words.errors import RedisRefused


async def test_a_beginning_that_comes_to_its_end_is_waited_for() -> None:
    done = []

    async def begin() -> None:
        await asyncio.sleep(0)
        done.append(True)

    assert await unless(asyncio.Event(), begin())
    assert done


async def test_stopping_cuts_it_short() -> None:
    stopping, cut = asyncio.Event(), asyncio.Event()

    async def begin() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cut.set()

    asyncio.get_running_loop().call_soon(stopping.set)
    assert not await unless(stopping, begin())
    await asyncio.wait_for(cut.wait(), 1)


async def test_stopping_counts_even_if_the_beginning_ends_with_it() -> None:
    stopping = asyncio.Event()

    async def begin() -> None:
        stopping.set()

    assert not await unless(stopping, begin())


async def test_what_it_raises_is_raised() -> None:
    async def begin() -> None:
        raise RedisRefused("no")

    with pytest.raises(RedisRefused):
        await unless(asyncio.Event(), begin())
