"""Deploys that change flow control: numbers apply at once, also to what is queued; keys to what comes afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

import durableq as dq
from durableq import Batch, Concurrency, Debounce, RateLimit, Singleton, Throttle
from durableq.cli.deployment import declarations_of
from durableq.services.deploying import deploy
from tests.servers import Server
from tests.services.routed import Routed
from tests.store.shard import Held, Shard

BY_USER = "event.data.user"


class Deploys:
    """Deployments of an app with one function, which events named `x` start."""

    def __init__(self, routed: Routed) -> None:
        self.routed = routed
        self.shard = routed.shard
        self.function = "shop/f"
        self.users: dict[str, Any] = {}
        self._number = count()

    async def deploy(self, *concurrency: int | Concurrency, **options: Any) -> None:
        """The newest deployment, and the timers that it sets."""
        self.routed.app = dq.App("shop")
        self.routed.function("f", dq.EventTrigger("x"), concurrency=concurrency, **options)
        await self.routed.deploy()
        await self.fire()

    async def fire(self) -> None:
        while (await self.shard.timers.fire_timers()).fired:
            pass

    async def send(self, *users: Any) -> None:
        """An event of each of these users, routed in their order."""
        await self.routed.send(*(dq.Event("x", {"user": user, "n": next(self._number)}) for user in users))
        await self.routed.route()

    async def claim(self) -> list[Held]:
        return await self.routed.claim()

    async def of_users(self, held: list[Held]) -> Counter[Any]:
        return Counter([(await self.routed.given(one.run)).data["user"] for one in held])

    async def complete(self, held: list[Held]) -> None:
        for one in held:
            await self.routed.complete(one)

    async def runs(self) -> int:
        return len(await self.routed.rows(self.function))

    async def at_most(self, expected: int) -> list[Held]:
        """What can be claimed now, and no more of it on a second look."""
        held = await self.claim()
        assert len(held) == expected
        assert await self.claim() == []
        return held


@pytest_asyncio.fixture
async def deploys(server: Server) -> AsyncIterator[Deploys]:
    shard = Shard(server)
    await shard.calls.open()
    yield Deploys(Routed(shard))
    await shard.close()


# --- concurrency


async def test_a_raised_limit_lets_go_what_is_queued(deploys: Deploys) -> None:
    await deploys.deploy(2)
    await deploys.send(*range(10))
    await deploys.at_most(2)
    await deploys.deploy(5)
    await deploys.at_most(3)


async def test_a_lowered_limit_starts_nothing_until_enough_have_ended(deploys: Deploys) -> None:
    await deploys.deploy(5)
    await deploys.send(*range(10))
    held = await deploys.at_most(5)
    await deploys.deploy(2)
    await deploys.complete(held[:3])
    await deploys.at_most(0)
    await deploys.complete(held[3:4])
    await deploys.at_most(1)


async def test_a_removed_limit_lets_go_all_that_is_queued(deploys: Deploys) -> None:
    await deploys.deploy(2, Concurrency(1, key=BY_USER))
    await deploys.send(*[1, 2] * 5)
    await deploys.at_most(2)
    await deploys.deploy()
    await deploys.at_most(8)


async def test_an_added_limit_binds_what_comes_and_not_what_is_queued(deploys: Deploys) -> None:
    await deploys.deploy()
    await deploys.send(*range(3))
    await deploys.deploy(2)
    await deploys.send(*range(5))
    await deploys.at_most(3 + 2)


@pytest.mark.parametrize(
    "other", [10, Concurrency(10, key="event.name", scope="app"), Concurrency(1, hold="run", key="event.id")]
)
async def test_a_limit_that_is_added_beside_leaves_the_others_in_force(
    deploys: Deploys, other: int | Concurrency
) -> None:
    await deploys.deploy(Concurrency(1, key=BY_USER))
    await deploys.send(*[1, 1, 1, 2, 2, 2])
    await deploys.deploy(other, Concurrency(1, key=BY_USER))
    held = await deploys.at_most(2)
    await deploys.complete(held)
    assert await deploys.of_users(await deploys.at_most(2)) == {1: 1, 2: 1}


async def test_a_limit_that_is_removed_beside_leaves_the_others_in_force(deploys: Deploys) -> None:
    wide, narrow = 3, Concurrency(1, key=BY_USER)
    await deploys.deploy(wide, narrow)
    await deploys.send(*[1, 1, 2, 2, 3, 3, 4, 4])
    held = await deploys.at_most(3)
    await deploys.deploy(narrow)
    assert await deploys.of_users(await deploys.at_most(1)) == {4: 1}
    await deploys.complete(held)
    assert await deploys.of_users(await deploys.at_most(3)) == {1: 1, 2: 1, 3: 1}


async def test_the_narrow_limit_may_go_and_the_wide_one_stay(deploys: Deploys) -> None:
    await deploys.deploy(3, Concurrency(1, key=BY_USER))
    await deploys.send(*[1] * 8)
    held = await deploys.at_most(1)
    await deploys.deploy(3)
    await deploys.at_most(2)
    await deploys.complete(held)
    await deploys.at_most(1)


async def test_of_two_keys_one_may_change_its_number_and_the_other_go(deploys: Deploys) -> None:
    kind = Concurrency(2, key="event.name")
    await deploys.deploy(kind, Concurrency(1, key=BY_USER))
    await deploys.send(*[1, 2, 3, 4, 5])
    await deploys.at_most(2)
    await deploys.deploy(Concurrency(4, key="event.name"), Concurrency(1, key=BY_USER))
    await deploys.at_most(2)
    await deploys.deploy(Concurrency(4, key="event.name"))
    await deploys.at_most(0)


async def test_what_was_queued_under_a_key_obeys_its_limit_when_the_key_has_changed(deploys: Deploys) -> None:
    await deploys.deploy(Concurrency(1, key=BY_USER))
    await deploys.send(*[1, 1, 1, 2, 2])
    await deploys.deploy(Concurrency(2, key="string(event.data.user) + event.name"))
    await deploys.send(3, 3, 3)
    assert await deploys.of_users(await deploys.at_most(6)) == {1: 2, 2: 2, 3: 2}


async def test_a_turn_and_a_run_may_be_limited_by_one_key_in_any_scope(deploys: Deploys) -> None:
    both = [Concurrency(3, key=BY_USER, scope="app", hold="run"), Concurrency(1, key=BY_USER, scope="app")]
    await deploys.deploy(*both)
    await deploys.send(*[1] * 5)
    for _ in range(3):
        (held,) = await deploys.at_most(1)
        await deploys.shard.suspend(held, key="nap", kind="w", blob=b"sleep", due_at_ms=deploys.shard.now_ms + 60_000)
    await deploys.at_most(0)


async def test_limits_in_another_order_are_no_change(deploys: Deploys) -> None:
    limits = [Concurrency(1, key=BY_USER), Concurrency(3), Concurrency(2, hold="run")]
    await deploys.deploy(*limits)
    key = deploys.shard.key("flow", "shop")
    before = await deploys.shard.command("HGET", key, "f")
    await deploys.routed.deploy()
    deploys.routed.app = dq.App("shop")
    deploys.routed.function("f", dq.EventTrigger("x"), concurrency=limits[::-1])
    await deploys.routed.deploy()
    assert await deploys.shard.command("HGET", key, "f") == before
    assert (await deploys.shard.timers.fire_timers()).fired == 0


async def test_an_older_deployment_that_starts_again_changes_no_number(deploys: Deploys) -> None:
    await deploys.deploy(2)
    old = declarations_of(deploys.routed.app)
    await deploys.deploy(5)
    assert not (await deploys.shard.registry.register_app("shop", "r1", old)).newest
    await deploys.send(*range(10))
    await deploys.at_most(5)


async def test_sync_applies_numbers_before_any_worker_has_them(deploys: Deploys) -> None:
    await deploys.deploy(2)
    await deploys.send(*range(10))
    await deploys.at_most(2)
    app = dq.App("shop")
    app.function("f", triggers=dq.EventTrigger("x"), concurrency=4)(_nothing)
    done = await deploy(deploys.shard.registry, "shop", "next", declarations_of(app))
    assert [change.option for change in done.changed["f"]] == ["concurrency"]
    await deploys.fire()
    await deploys.at_most(2)


async def test_a_function_that_goes_takes_its_numbers_along(deploys: Deploys) -> None:
    await deploys.deploy(2, rate_limit=RateLimit(1, period="1h"))
    app = dq.App("shop")
    app.function("other", triggers=dq.EventTrigger("y"))(_nothing)
    await deploys.shard.leases.close_lease("L1", crashed=False, reason="", keep_failed=10)
    await deploy(deploys.shard.registry, "shop", "next", declarations_of(app))
    assert await deploys.shard.command("HGETALL", deploys.shard.key("flow", "shop")) == []


# --- throttle


async def test_a_quicker_throttle_holds_for_who_waits(deploys: Deploys) -> None:
    await deploys.deploy(throttle=Throttle(1, period="1m"))
    await deploys.send(*range(5))
    await deploys.at_most(1)
    await deploys.deploy(throttle=Throttle(60, period="1m"))
    await deploys.at_most(0)
    for _ in range(2):
        deploys.shard.advance(1000)
        await deploys.fire()
        await deploys.at_most(1)


async def test_a_slower_throttle_holds_from_the_next_start(deploys: Deploys) -> None:
    await deploys.deploy(throttle=Throttle(60, period="1m"))
    await deploys.send(*range(5))
    await deploys.at_most(1)
    await deploys.deploy(throttle=Throttle(1, period="1m"))
    deploys.shard.advance(1000)
    await deploys.fire()
    await deploys.at_most(1)
    deploys.shard.advance(59_000)
    await deploys.fire()
    await deploys.at_most(0)
    deploys.shard.advance(1000)
    await deploys.fire()
    await deploys.at_most(1)


async def test_a_larger_burst_is_there_at_once(deploys: Deploys) -> None:
    await deploys.deploy(throttle=Throttle(1, period="1m"))
    await deploys.send(*range(5))
    await deploys.at_most(1)
    await deploys.deploy(throttle=Throttle(1, period="1m", burst=3))
    await deploys.at_most(2)


async def test_without_its_throttle_all_that_waits_starts(deploys: Deploys) -> None:
    await deploys.deploy(throttle=Throttle(1, period="7d"))
    await deploys.send(*range(5))
    await deploys.at_most(1)
    await deploys.deploy()
    await deploys.at_most(4)


# --- what drops and holds back


async def test_a_rate_limit_counts_what_was_admitted_under_the_number_before(deploys: Deploys) -> None:
    await deploys.deploy(rate_limit=RateLimit(2, period="1h"))
    await deploys.send(*range(5))
    assert await deploys.runs() == 2
    await deploys.deploy(rate_limit=RateLimit(3, period="1h"))
    await deploys.send(*range(5))
    assert await deploys.runs() == 3
    await deploys.deploy(rate_limit=RateLimit(1, period="1h"))
    await deploys.send(*range(5))
    assert await deploys.runs() == 3
    await deploys.deploy()
    await deploys.send(*range(5))
    assert await deploys.runs() == 8


async def test_without_idempotency_an_event_with_a_key_that_was_seen_starts_a_run(deploys: Deploys) -> None:
    await deploys.deploy(idempotency=BY_USER)
    await deploys.send(7, 7)
    assert await deploys.runs() == 1
    await deploys.deploy()
    await deploys.send(7)
    assert await deploys.runs() == 2


async def test_a_singleton_that_goes_skips_nothing_any_more(deploys: Deploys) -> None:
    await deploys.deploy(singleton="skip")
    await deploys.send(1, 2)
    await deploys.at_most(1)
    await deploys.deploy()
    await deploys.send(3, 4)
    assert await deploys.runs() == 3
    await deploys.at_most(2)


async def test_a_singleton_that_skipped_may_cancel_from_now_on(deploys: Deploys) -> None:
    await deploys.deploy(singleton=Singleton("skip", key=BY_USER))
    await deploys.send(1, 1)
    assert await deploys.runs() == 1
    await deploys.deploy(singleton=Singleton("cancel", key=BY_USER))
    await deploys.send(1)
    await deploys.fire()
    assert [row.state.label for row in await deploys.routed.rows(deploys.function)] == ["cancelled", "queued"]


async def test_a_debounce_reads_its_period_at_the_next_event(deploys: Deploys) -> None:
    await deploys.deploy(debounce=Debounce("1h"))
    await deploys.send(1)
    await deploys.deploy(debounce=Debounce("10s"))
    deploys.shard.advance(10_000)
    await deploys.fire()
    assert await deploys.runs() == 0
    await deploys.send(2)
    deploys.shard.advance(10_000)
    await deploys.fire()
    assert await deploys.runs() == 1


async def test_what_is_held_back_starts_at_its_time_when_the_option_has_gone(deploys: Deploys) -> None:
    await deploys.deploy(debounce=Debounce("1h"))
    await deploys.send(1)
    await deploys.deploy()
    await deploys.send(2)
    assert await deploys.runs() == 1
    deploys.shard.advance(3_600_000)
    await deploys.fire()
    assert await deploys.runs() == 2


async def test_a_batch_that_is_larger_than_its_new_size_ends_with_the_next_event(deploys: Deploys) -> None:
    await deploys.deploy(batch=Batch(10, timeout="1h"))
    await deploys.send(*range(4))
    await deploys.deploy(batch=Batch(2, timeout="1h"))
    assert await deploys.runs() == 0
    await deploys.send(4)
    assert await deploys.runs() == 1


async def _nothing(ctx: dq.Context) -> None: ...
