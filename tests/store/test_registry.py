"""register_app and retire_functions: the newest deployment says what an app has; an old one's restart changes nothing."""

from __future__ import annotations

import pytest

from durableq.store.registry import Registered
from tests.store.shard import DELIVERIES, Shard

TEN_MINUTES_MS = 600_000


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_deployment_is_numbered_when_first_seen(shard: Shard, delivery: str) -> None:
    before = await shard.stored()
    done = await shard.deliver(delivery, lambda: shard.registry.register_app("a", "r1", {"f": b"\x00f", "g": b"g"}))
    after = await shard.stored()
    assert done == Registered(1, 1, True)
    assert before.changed(after) == {"meta", "apps", "functions", "deployments", "event_bell"}
    assert after.of("deployments", "a") == {"r1": "1", "": "1"}
    assert await shard.registry.read() == (1, {"a/f": b"\x00f", "a/g": b"g"})


async def test_a_restart_of_an_old_deployment_brings_nothing_back(shard: Shard) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"old", "gone": b"x"})
    assert await shard.registry.register_app("a", "r2", {"f": b"new"}) == Registered(2, 2, True)
    shard.advance(TEN_MINUTES_MS)
    assert await shard.registry.retire_functions(TEN_MINUTES_MS) == ["a/gone"]
    before = await shard.stored()
    assert await shard.registry.register_app("a", "r1", {"f": b"old", "gone": b"x"}) == Registered(3, 1, False)
    assert before.changed(await shard.stored()) <= {"event_bell"}
    assert (await shard.registry.read())[1] == {"a/f": b"new"}


async def test_the_same_declarations_again_are_no_new_version(shard: Shard) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x"})
    assert await shard.registry.register_app("a", "r2", {"f": b"x"}) == Registered(1, 2, True)


async def test_a_missing_function_stays_while_a_living_worker_has_it(shard: Shard) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x", "old": b"x"})
    await shard.lease("L1", "a/old")
    await shard.registry.register_app("a", "r2", {"f": b"x"})
    assert set((await shard.stored()).of("absent", "a")) == {"old"}
    for _ in range(3):
        shard.advance(TEN_MINUTES_MS)
        assert await shard.registry.retire_functions(TEN_MINUTES_MS) == []
    await shard.leases.close_lease("L1", crashed=False, reason="left", keep_failed=1)
    shard.advance(TEN_MINUTES_MS - 1)
    assert await shard.registry.retire_functions(TEN_MINUTES_MS) == []
    shard.advance(1)
    assert await shard.registry.retire_functions(TEN_MINUTES_MS) == ["a/old"]
    assert (await shard.registry.read())[1] == {"a/f": b"x"}


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_retiring_forgets_the_function_and_its_faults_and_keeps_its_runs(shard: Shard, delivery: str) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x", "old": b"x"})
    run = await shard.queued("a/old")
    await shard.registry.register_app("a", "r2", {"f": b"x"})
    shard.advance(TEN_MINUTES_MS)
    before = await shard.stored()
    await shard.deliver(delivery, lambda: shard.registry.retire_functions(TEN_MINUTES_MS))
    after = await shard.stored()
    assert before.changed(after) == {"functions", "absent", "meta"}
    assert after.of("meta") == before.of("meta") | {"registry": "2"}
    assert after.of("run", run)["s"] == "q"


async def test_a_function_that_comes_back_is_not_retired(shard: Shard) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x", "g": b"x"})
    await shard.registry.register_app("a", "r2", {"f": b"x"})
    await shard.registry.register_app("a", "r3", {"f": b"x", "g": b"x"})
    shard.advance(TEN_MINUTES_MS)
    assert await shard.registry.retire_functions(TEN_MINUTES_MS) == []
    assert set((await shard.registry.read())[1]) == {"a/f", "a/g"}


async def test_a_retired_app_may_be_empty_and_others_are_untouched(shard: Shard) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x"})
    await shard.registry.register_app("b", "r1", {"f": b"y"})
    await shard.registry.register_app("a", "r2", {})
    shard.advance(TEN_MINUTES_MS)
    assert await shard.registry.retire_functions(TEN_MINUTES_MS) == ["a/f"]
    assert (await shard.registry.read())[1] == {"b/f": b"y"}


async def test_two_hundred_deployments_are_remembered(shard: Shard) -> None:
    for i in range(1, 206):
        await shard.registry.register_app("a", f"r{i}", {"f": b"x"})
    known = (await shard.stored()).of("deployments", "a")
    assert len(known) == 201
    assert known[""] == "205"
    assert "r5" not in known
    assert known["r6"] == "6"


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_an_old_deployment_that_is_promoted_may_register_again(shard: Shard, delivery: str) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"old", "gone": b"x"})
    await shard.registry.register_app("a", "r2", {"f": b"new"})
    before = await shard.stored()
    assert await shard.deliver(delivery, lambda: shard.registry.promote_deployment("a", "r1")) is (
        delivery != "reply lost"
    ), "what was done by the copy whose reply was lost is done"
    after = await shard.stored()
    assert before.changed(after) == {"deployments"}
    assert after.of("deployments", "a") == {"r1": "3", "r2": "2", "": "3"}
    assert await shard.registry.register_app("a", "r2", {"f": b"new"}) == Registered(2, 2, False)
    assert await shard.registry.register_app("a", "r1", {"f": b"old", "gone": b"x"}) == Registered(3, 3, True)
    assert (await shard.registry.read())[1] == {"a/f": b"old", "a/gone": b"x"}


async def test_the_newest_deployment_is_promoted_without_effect(shard: Shard) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x"})
    before = await shard.stored()
    assert await shard.registry.promote_deployment("a", "r1") is False
    assert before.changed(await shard.stored()) == set()


async def test_a_deployment_may_be_promoted_before_it_was_ever_seen(shard: Shard) -> None:
    for i in range(1, 206):
        assert await shard.registry.promote_deployment("a", f"r{i}") is True
    known = (await shard.stored()).of("deployments", "a")
    assert len(known) == 201
    assert known[""] == known["r205"] == "205"
    assert await shard.registry.register_app("a", "r205", {"f": b"x"}) == Registered(1, 205, True)


async def test_functions_of_one_app_are_retired_without_touching_others(shard: Shard) -> None:
    for app in ("a", "b"):
        await shard.registry.register_app(app, "r1", {"f": b"x", "old": b"x", "used": b"x"})
    await shard.lease("L1", "a/used")
    for app in ("a", "b"):
        await shard.registry.register_app(app, "r2", {"f": b"x"})
    assert await shard.registry.retire_functions(0, "a") == ["a/old"]
    assert await shard.registry.declared("a") == ({"f": b"x", "used": b"x"}, {"used"})
    assert await shard.registry.declared("b") == ({"f": b"x", "old": b"x", "used": b"x"}, {"old", "used"})
    assert await shard.registry.declared("unknown") == ({}, set())
