"""Every way in which a run is not in the hands of who says so; a verb of its holder must refuse each and change nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from durableq.store.failures import LeaseLost
from durableq.store.records import STALE
from durableq.store.runs import Answers
from tests.store.shard import Held, Shard

Act = Callable[[Shard, Held], Awaitable[Answers]]
"""A verb, performed on one run by (lease, epoch)."""


async def _absent(shard: Shard) -> Held:
    return Held(await shard.lease(), "00000000000000000000000000", 1)


async def _queued(shard: Shard) -> Held:
    return Held(await shard.lease(), await shard.queued(), 0)


async def _delayed(shard: Shard) -> Held:
    return Held(await shard.lease(), await shard.queued(due_at_ms=shard.now_ms + 1000), 0)


async def _waiting(shard: Shard) -> Held:
    return await shard.waiting()


async def _completed(shard: Shard) -> Held:
    return await shard.finished("c")


async def _failed(shard: Shard) -> Held:
    return await shard.finished("f")


async def _another_lease(shard: Shard) -> Held:
    held = await shard.claimed("L2")
    return held._replace(lease=await shard.lease("L1"))


async def _older_epoch(shard: Shard) -> Held:
    held = await shard.claimed()
    await shard.release(held)
    ((again,),) = [(await shard.claim()).runs]
    assert again.epoch == held.epoch + 1
    return held


async def _newer_epoch(shard: Shard) -> Held:
    held = await shard.claimed()
    return held._replace(epoch=held.epoch + 1)


NOT_IN_HAND: dict[str, Callable[[Shard], Awaitable[Held]]] = {
    "absent": _absent,
    "queued": _queued,
    "delayed": _delayed,
    "waiting": _waiting,
    "completed": _completed,
    "failed": _failed,
    "another lease": _another_lease,
    "older epoch": _older_epoch,
    "newer epoch": _newer_epoch,
}


async def _closed(shard: Shard) -> Held:
    held = await shard.claimed()
    await shard.leases.close_lease(held.lease, crashed=False, reason="left", keep_failed=10)
    return held


async def _dead_and_not_yet_freed(shard: Shard) -> Held:
    held = await shard.claimed()
    await shard.leases.renew_leases([])  # the beat
    for _ in range(6):
        shard.advance(2_500)
        await shard.leases.renew_leases([])
    await shard.leases.rescue_leases(keep_failed=10, limit=0)
    assert held.lease in (await shard.stored()).of("dead")
    return held


async def _never_begun(shard: Shard) -> Held:
    held = await shard.claimed()
    return held._replace(lease="nobody")


LEASE_GONE: dict[str, Callable[[Shard], Awaitable[Held]]] = {
    "closed": _closed,
    "dead and not yet freed": _dead_and_not_yet_freed,
    "never begun": _never_begun,
}

not_in_hand = pytest.mark.parametrize("situation", list(NOT_IN_HAND))
lease_gone = pytest.mark.parametrize("situation", list(LEASE_GONE))


async def check_refused(shard: Shard, situation: str, act: Act) -> None:
    """STALE, and nothing changes."""
    held = await NOT_IN_HAND[situation](shard)
    before = await shard.stored()
    assert (await act(shard, held)).items == [STALE]
    assert before.changed(await shard.stored()) == set()


async def check_lease_lost(shard: Shard, situation: str, act: Act) -> None:
    """LeaseLost, and nothing changes."""
    held = await LEASE_GONE[situation](shard)
    before = await shard.stored()
    with pytest.raises(LeaseLost):
        await act(shard, held)
    assert before.changed(await shard.stored()) == set()


async def check_items_are_answered_apart(shard: Shard, act_on: Callable[[list[Held]], Awaitable[Answers]]) -> None:
    """In one call: a run in hand, one that is not, and another in hand. Each is answered by itself."""
    one, other = await shard.claimed(), await shard.claimed()
    answers = (await act_on([one, Held("L1", "nobody", 1), other])).items
    assert [answer is STALE for answer in answers] == [False, True, False]
