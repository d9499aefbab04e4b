"""Indexes of runs in pages: all of them are met, whatever has the same score and whatever is taken out meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from durableq.model.run import State
from durableq.store import paging
from durableq.store.paging import Paging
from tests.store.gates import deploy, triggered
from tests.store.shard import Shard

FUNCTION = "a/f"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 4)


async def filled(shard: Shard, *scores: int) -> list[str]:
    """Members of an index with these scores, in its order."""
    index = shard.calls.key("waiting", FUNCTION)
    members = [f"{score:03}-{place:02}" for place, score in enumerate(sorted(scores))]
    for member, score in zip(members, sorted(scores), strict=True):
        await shard.calls.link.command("ZADD", index, score, member)
    return members


async def gone_through(pages: AsyncIterator[list[str]]) -> list[str]:
    return [member async for page in pages for member in page]


@pytest.mark.parametrize(
    "scores",
    [
        [],
        [1],
        [1, 2, 3, 4],
        list(range(23)),
        [7] * 23,
        [1, 2] + [3] * 9 + [4] * 4 + [5],
        [10**15 + n for n in range(9)],
    ],
    ids=str,
)
async def test_every_member_is_met_once_and_in_order(shard: Shard, scores: list[int]) -> None:
    members = await filled(shard, *scores)
    assert await gone_through(Paging(shard.calls).waiting(FUNCTION)) == members
    await shard.calls.link.command("DEL", shard.calls.key("waiting", FUNCTION))  # what it has are no runs


@pytest.mark.parametrize("scores", [list(range(20)), [3] * 20, [1] * 6 + [2] * 14], ids=str)
async def test_what_is_taken_out_meanwhile_hides_nothing_else(shard: Shard, scores: list[int]) -> None:
    """As cancelling does: each page is taken out before the next is read."""
    members, index = await filled(shard, *scores), shard.calls.key("waiting", FUNCTION)
    met: list[str] = []
    async for page in Paging(shard.calls).waiting(FUNCTION):
        met += page
        await shard.calls.link.command("ZREM", index, *page)
    assert met == members


async def test_what_flow_control_has_parked_is_queued(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    parked = await triggered(shard, *["c0=p"] * 11)
    plain = await triggered(shard, *[""] * 11)
    met = await gone_through(Paging(shard.calls).queued(FUNCTION))
    assert set(met) == {*parked, *plain}


async def test_each_place_of_a_run_is_gone_through(shard: Shard) -> None:
    running = await shard.claimed()
    failed, waiting, suspect = await shard.finished("f"), await shard.waiting(), await shard.suspected("a/g")
    pages = Paging(shard.calls)
    assert await gone_through(pages.running()) == [running.run]
    assert await gone_through(pages.final(FUNCTION, State.FAILED)) == [failed.run]
    assert await gone_through(pages.waiting(FUNCTION)) == [waiting.run]
    assert await gone_through(pages.suspects("a")) == [suspect]


async def test_the_time_is_the_servers_and_tests_may_move_it(shard: Shard) -> None:
    assert await Paging(shard.calls).now_ms() == shard.now_ms
    shard.calls.now_ms = None
    assert await Paging(shard.calls).now_ms() > 1_600_000_000_000
