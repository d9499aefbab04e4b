"""Flow control from the declaration to the run, without bodies: what drops, replaces and collects, on a moved clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import structlog

import durableq as dq
from durableq.cli.deployment import declarations_of
from durableq.model.event import Event, decode_given
from durableq.model.limits import Limits
from durableq.services.declared import Declared
from durableq.services.starting import Starter, prepare
from durableq.services.ticker import Ticker
from durableq.store.registry import Registry
from durableq.words import codec
from durableq.words.clock import SystemClock
from tests.servers import Server, on
from tests.services.routed import Routed
from tests.store.shard import Shard

CREATED = dq.EventTrigger("order/created")
DAY_MS = 86_400_000


@pytest_asyncio.fixture
async def routed(server: Server) -> AsyncIterator[Routed]:
    shard = Shard(server)
    await shard.calls.open()
    yield Routed(shard)
    await shard.close()


def created(**data: Any) -> Event[dict[str, Any]]:
    return Event("order/created", data)


async def declared(routed: Routed, id: str = "f", **options: Any) -> str:
    """The function of this id, with an EventTrigger if there is no other; deployed."""
    triggers = options.pop("triggers", (CREATED,))
    function = routed.function(id, *triggers, **options)
    await routed.deploy()
    return function


async def again(routed: Routed, id: str = "f", **options: Any) -> str:
    """The same function as the next deployment declares it."""
    routed.app = dq.App("shop")
    return await declared(routed, id, **options)


async def come(routed: Routed, *events: Event[Any]) -> None:
    """Events, accepted and routed."""
    await routed.send(*events)
    await routed.route()


async def fire(routed: Routed, after_ms: int = 0) -> None:
    """Let time pass, and do what is due."""
    routed.shard.advance(after_ms)
    while (await routed.shard.timers.fire_timers()).fired:
        pass


async def skips(routed: Routed, function: str = "shop/f") -> list[tuple[str, str, str]]:
    """(reason, key, what it was left out for) of what started nothing, oldest first."""
    found = reversed(await routed.shard.flow.skips(function))
    return [(skip.reason, skip.key.removeprefix(f"{function}:").removeprefix("z:"), skip.other) for skip in found]


async def reasons(routed: Routed) -> list[str]:
    return [reason for reason, _, _ in await skips(routed)]


async def started_with(routed: Routed, function: str = "shop/f", field: str = "n") -> list[Any]:
    """This field of the events of its runs, oldest first."""
    found = []
    for run in await routed.runs(function):
        blob = await routed.shard.runs.read_input(run)
        events = [event.data.get(field) for event in decode_given(blob, 0)]
        found.append(events if blob[:1] == b"B" else events[0])
    return found


async def faults(routed: Routed, function: str = "shop/f") -> dict[str, tuple[int, str]]:
    """Per option: how often its key came to nothing, and why."""
    noted = (await routed.shard.registry.key_faults()).get(function, {})
    return {option: (count, reason) for option, (count, _, reason) in noted.items()}


async def invoked(routed: Routed, function: str = "shop/f", **data: Any) -> str:
    """Start a run as `client.invoke` does. Returns its id. Raises RunSkipped."""
    start = prepare(function, data, Limits(), None, SystemClock())
    await Starter(routed.shard.calls, "").start(start, 10)
    return start.run_id


# --- rate_limit


async def test_as_many_start_as_may_within_a_period_and_the_rest_is_recorded(routed: Routed) -> None:
    await declared(routed, rate_limit=dq.RateLimit(2, period="1m"))
    await come(routed, *[created(n=n) for n in range(4)])
    assert await started_with(routed) == [0, 1]
    assert await skips(routed) == [("rate_limit", "", "-")] * 2
    routed.shard.advance(59_999)
    await come(routed, created(n=4))
    routed.shard.advance(1)
    await come(routed, created(n=5))
    assert await started_with(routed) == [0, 1, 5]


async def test_each_key_has_a_rate_of_its_own(routed: Routed) -> None:
    await declared(routed, rate_limit=dq.RateLimit(1, period="1h", key="event.data.user_id"))
    await come(routed, created(n=0, user_id=7), created(n=1, user_id=8), created(n=2, user_id="7"))
    assert await started_with(routed) == [0, 1]
    assert await skips(routed) == [("rate_limit", "7", "-")], "7 and '7' are one key"


# --- idempotency


@pytest.mark.parametrize(
    ("key", "same", "other"),
    [
        ("event.data.cartId", {"cartId": "CGo5Q5ekAxilN92d27asEoDO"}, {"cartId": "CGo5Q5"}),
        (
            'event.data.userId + "-" + event.data.organizationId',
            {"userId": "u1", "organizationId": "o1"},
            {"userId": "u1", "organizationId": "o2"},
        ),
        (
            "event.data.video.id + '-' + event.data.format",
            {"video": {"id": "v"}, "format": "mp4"},
            {"video": {"id": "v"}, "format": "mov"},
        ),
    ],
)
async def test_keys_as_inngest_documents_them_start_one_run_a_day(
    routed: Routed, key: str, same: dict[str, Any], other: dict[str, Any]
) -> None:
    await declared(routed, idempotency=key)
    await come(routed, created(n=0, **same), created(n=1, **same), created(n=2, **other))
    assert await started_with(routed) == [0, 2]
    first, _ = await routed.runs("shop/f")
    ((reason, _, holder),) = await skips(routed)
    assert (reason, holder) == ("idempotency", first)
    routed.shard.advance(DAY_MS)
    await come(routed, created(n=3, **same))
    assert len(await routed.runs("shop/f")) == 3


# --- keys that come to nothing


@on("redis7")
@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ({"idempotency": "event.data.cart_id"}, 3),
        ({"rate_limit": dq.RateLimit(1, period="1h", key="event.data.cart_id")}, 3),
        ({"singleton": dq.Singleton(key="event.data.cart_id")}, 3),
        ({"debounce": dq.Debounce("1m", key="event.data.cart_id")}, 3),
        ({"batch": dq.Batch(3, timeout="1m", key="event.data.cart_id")}, 1),
        ({"throttle": dq.Throttle(1, period="1h", key="event.data.cart_id")}, 3),
        ({"concurrency": dq.Concurrency(1, key="event.data.cart_id")}, 3),
    ],
)
async def test_events_whose_key_comes_to_nothing_are_neither_lost_nor_unlimited_and_are_noted(
    routed: Routed, options: dict[str, Any], runs: int
) -> None:
    await declared(routed, **options)
    await come(routed, created(n=0), created(n=1, cart_id=None), created(n=2))
    assert len(await routed.runs("shop/f")) == runs
    (option,) = options
    assert await faults(routed) == {option: (3, "event.data.cart_id came to nothing")}
    assert len(await routed.claim()) == (1 if option in ("batch", "throttle", "concurrency") else 3)


async def test_a_key_that_is_false_is_not_limited_and_no_fault(routed: Routed) -> None:
    await declared(routed, rate_limit=dq.RateLimit(1, period="1h", key="event.data.plan == 'free'"))
    await come(routed, *[created(n=n, plan="pro") for n in range(2)], *[created(n=n, plan="free") for n in (2, 3)])
    assert await started_with(routed) == [0, 1, 2]
    assert await faults(routed) == {}


@on("redis7")
async def test_what_is_noted_of_a_thousand_events_is_a_count_and_the_latest_reason(routed: Routed) -> None:
    await declared(routed, idempotency="event.data.a", concurrency=[dq.Concurrency(1, key="event.data.b")])
    for _ in range(10):
        await come(routed, *[created(n=n) for n in range(100)])
    noted = await routed.shard.command("HKEYS", routed.shard.key("faults"))
    assert sorted(noted) == [b"shop/f concurrency", b"shop/f idempotency"]
    assert {option: count for option, (count, _) in (await faults(routed)).items()} == {
        "idempotency": 1000,
        "concurrency": 1000,
    }
    assert await routed.shard.registry.faults() == {}, "no trigger is at fault"


@on("redis7")
async def test_keys_of_what_is_invoked_are_noted_as_well(routed: Routed) -> None:
    await declared(routed, throttle=dq.Throttle(1, period="1h", key="event.data.id"))
    await invoked(routed)
    await invoked(routed, id=7)
    assert await faults(routed) == {"throttle": (1, "event.data.id came to nothing")}


@on("redis7")
async def test_what_is_invoked_has_a_time_for_keys_to_read(routed: Routed) -> None:
    await declared(routed, rate_limit=dq.RateLimit(1, period="1h", key="event.ts > 0"))
    await invoked(routed)
    with pytest.raises(dq.RunSkipped, match="key 'true'"):
        await invoked(routed)


@on("redis7")
async def test_faults_go_with_their_function(routed: Routed) -> None:
    await declared(routed, idempotency="event.data.a")
    await come(routed, created())
    routed.app = dq.App("shop")
    await declared(routed, "g")
    assert await routed.shard.registry.retire_functions(0, "shop") == []
    await routed.shard.leases.close_lease("L1", crashed=False, reason="left", keep_failed=1)
    assert await routed.shard.registry.retire_functions(0, "shop") == ["shop/f"]
    assert await faults(routed) == {}


# --- debounce


async def test_only_the_newest_event_starts_a_run_once_none_came_for_a_while(routed: Routed) -> None:
    await declared(routed, debounce=dq.Debounce("10s", key="event.data.doc"))
    await come(routed, created(n=0, doc="a"), created(n=1, doc="b"))
    await fire(routed, 9_000)
    await come(routed, created(n=2, doc="a"))
    await fire(routed, 9_000)
    assert await started_with(routed) == [1]
    await fire(routed, 1_000)
    assert sorted(await started_with(routed)) == [1, 2]
    assert await reasons(routed) == ["debounce"]


async def test_a_debounce_keeps_what_is_newest_by_its_own_time_and_ends_at_its_timeout(routed: Routed) -> None:
    await declared(routed, debounce=dq.Debounce("10s", timeout="25s"))
    newer, older = routed.shard.now_ms - DAY_MS, routed.shard.now_ms - 2 * DAY_MS
    await come(routed, Event("order/created", {"n": 0}, ts=newer))
    for n in range(1, 4):
        await fire(routed, 6_000)
        await come(routed, Event("order/created", {"n": n}, ts=older))
    await fire(routed, 6_999)
    assert await started_with(routed) == []
    await fire(routed, 1)
    assert await started_with(routed) == [0]


# --- batch


async def test_a_batch_ends_at_its_size_or_its_time_and_has_every_event_once(routed: Routed) -> None:
    await declared(routed, batch=dq.Batch(3, timeout="5s", key="event.data.k"))
    await come(routed, *[created(n=n, k=n % 2) for n in range(7)])
    assert await started_with(routed) == [[0, 2, 4], [1, 3, 5]]
    await fire(routed, 4_999)
    assert len(await routed.runs("shop/f")) == 2
    await fire(routed, 1)
    assert await started_with(routed) == [[0, 2, 4], [1, 3, 5], [6]]


@on("redis7")
async def test_an_event_that_a_batch_does_not_want_is_a_run_at_once(routed: Routed) -> None:
    await declared(routed, batch=dq.Batch(2, timeout="5s", if_="event.data.bulk"))
    await come(routed, created(n=0, bulk=True), created(n=1, bulk=False), created(n=2), created(n=3, bulk=True))
    assert sorted(await started_with(routed), key=str) == [1, 2, [0, 3]]


# --- singleton


async def test_a_singleton_skips_while_its_run_is_living_and_names_it(routed: Routed) -> None:
    await declared(routed, singleton="skip")
    await come(routed, created(n=0), created(n=1))
    (first,) = await routed.runs("shop/f")
    assert await skips(routed) == [("singleton", "", first)]
    (held,) = await routed.claim()
    await come(routed, created(n=2))
    await routed.complete(held)
    await come(routed, created(n=3))
    assert await started_with(routed) == [0, 3]


async def test_a_singleton_that_cancels_leaves_the_newest(routed: Routed) -> None:
    await declared(routed, singleton=dq.Singleton("cancel", key="event.data.doc"))
    await come(routed, created(n=0, doc="a"))
    (held,) = await routed.claim()
    await come(routed, created(n=1, doc="a"), created(n=2, doc="b"), created(n=3, doc="a"))
    assert len(await routed.claim()) == 1, "b; the body of 0 has not ended"
    await fire(routed)
    states = [row.state.label for row in await routed.rows("shop/f")]
    assert states == ["cancelled", "cancelled", "running", "queued"]
    assert await routed.claim() == [], "the child has to say first that the body of 0 has ended"
    await routed.shard.flow.free_slots(held.lease, [held.run])
    (last,) = await routed.claim()
    assert last.run == (await routed.runs("shop/f"))[3]


# --- together


async def test_what_a_rate_limit_drops_does_not_move_a_debounce(routed: Routed) -> None:
    await declared(routed, debounce=dq.Debounce("10s"), rate_limit=dq.RateLimit(1, period="1h"))
    await come(routed, created(n=0))
    await fire(routed, 9_000)
    await come(routed, created(n=1))
    await fire(routed, 1_000)
    assert await started_with(routed) == [0]
    assert await reasons(routed) == ["rate_limit"]


async def test_what_was_seen_before_does_not_move_a_debounce_either(routed: Routed) -> None:
    await declared(routed, debounce=dq.Debounce("10s"), idempotency="event.data.n")
    await come(routed, created(n=0))
    await fire(routed, 9_000)
    await come(routed, created(n=0))
    await fire(routed, 1_000)
    assert await started_with(routed) == [0]
    assert await reasons(routed) == ["idempotency"]


async def test_a_debounce_fires_into_a_singleton(routed: Routed) -> None:
    await declared(routed, debounce=dq.Debounce("10s"), singleton="skip")
    await come(routed, created(n=0))
    await fire(routed, 10_000)
    (first,) = await routed.runs("shop/f")
    await come(routed, created(n=1))
    assert await reasons(routed) == [], "not before it fires"
    await fire(routed, 10_000)
    assert await skips(routed) == [("singleton", "", first)]
    assert await started_with(routed) == [0]


async def test_a_debounce_takes_the_keys_of_the_event_that_it_keeps(routed: Routed) -> None:
    limit = dq.Concurrency(1, key="event.data.tenant")
    await declared(routed, debounce=dq.Debounce("10s", key="event.data.doc"), concurrency=limit)
    await come(
        routed, created(n=0, doc=1, tenant="a"), created(n=1, doc=2, tenant="b"), created(n=2, doc=1, tenant="b")
    )
    await fire(routed, 10_000)
    assert sorted(await started_with(routed)) == [1, 2]
    assert len(await routed.claim()) == 1, "both are of tenant b"


async def test_each_event_of_a_batch_passes_what_drops_first(routed: Routed) -> None:
    await declared(routed, batch=dq.Batch(2, timeout="5s"), idempotency="event.data.id")
    await come(routed, created(n=0, id=1), created(n=1, id=1), created(n=2, id=2))
    assert await started_with(routed) == [[0, 2]]
    await again(routed, batch=dq.Batch(2, timeout="5s"), rate_limit=dq.RateLimit(2, period="1h"))
    await come(routed, *[created(n=n) for n in (3, 4, 5, 6)])
    assert await started_with(routed) == [[0, 2], [3, 4]]
    assert await reasons(routed) == ["idempotency", "rate_limit", "rate_limit"]


async def test_what_a_singleton_skips_takes_no_token_and_no_key(routed: Routed) -> None:
    await declared(routed, singleton="skip", rate_limit=dq.RateLimit(2, period="1h"), idempotency="event.data.n")
    await come(routed, created(n=0), created(n=1))
    (held,) = await routed.claim()
    await routed.complete(held)
    await come(routed, created(n=1), created(n=2))
    assert await started_with(routed) == [0, 1]
    assert await reasons(routed) == ["singleton", "rate_limit"], "the second token was 1's"


async def test_what_a_rate_limit_drops_takes_no_key(routed: Routed) -> None:
    await declared(routed, idempotency="event.data.id", rate_limit=dq.RateLimit(1, period="1m"))
    await come(routed, created(n=0, id=1), created(n=1, id=2))
    routed.shard.advance(60_000)
    await come(routed, created(n=2, id=2))
    assert await started_with(routed) == [0, 2]


@on("redis7")
async def test_all_of_what_may_stand_together(routed: Routed) -> None:
    await declared(
        routed,
        concurrency=[dq.Concurrency(2), dq.Concurrency(1, key="event.data.tenant")],
        throttle=dq.Throttle(1, period="1s", burst=3),
        rate_limit=dq.RateLimit(4, period="1h"),
        debounce=dq.Debounce("1s", key="event.data.doc"),
        singleton=dq.Singleton(key="event.data.doc"),
        priority="event.data.n * 10",
        idempotency="event.data.n",
    )
    rows = [(0, "a", "x"), (0, "a", "x"), (1, "a", "x"), (2, "b", "x"), (3, "c", "y"), (4, "d", "y")]
    await come(routed, *[created(n=n, doc=doc, tenant=tenant) for n, doc, tenant in rows])
    assert sorted(await reasons(routed)) == ["debounce", "idempotency", "rate_limit"]
    await fire(routed, 1_000)
    assert sorted(await started_with(routed)) == [1, 2, 3]
    held = await routed.claim()
    given = [(await routed.given(one.run)).data["n"] for one in held]
    assert sorted(given) == [2, 3], "of each tenant the most urgent"


async def test_one_event_starts_several_functions_each_by_its_own_rules(routed: Routed) -> None:
    routed.function("all", CREATED)
    routed.function("some", CREATED, rate_limit=dq.RateLimit(1, period="1h"))
    routed.function("once", CREATED, idempotency="event.data.id")
    routed.function("last", CREATED, debounce=dq.Debounce("1s"))
    routed.function("sums", CREATED, batch=dq.Batch(3, timeout="1m"))
    await routed.deploy()
    await come(routed, created(n=0, id=1), created(n=1, id=1), created(n=2, id=2))
    await fire(routed, 1_000)
    found = {name: await started_with(routed, f"shop/{name}") for name in ("all", "some", "once", "last", "sums")}
    assert found == {"all": [0, 1, 2], "some": [0], "once": [0, 2], "last": [2], "sums": [[0, 1, 2]]}


# --- ticks, delays, invokes, system events


async def test_ticks_count_like_events_and_one_that_is_skipped_is_settled(routed: Routed) -> None:
    every_minute = dq.CronTrigger("* * * * *", catch_up="all")
    await declared(routed, triggers=(CREATED, every_minute), rate_limit=dq.RateLimit(2, period="1h"))
    await come(routed, created(n=0))
    ticker = Ticker(routed.shard.crons, Declared(Registry(routed.shard.calls)), structlog.get_logger())
    routed.shard.advance(180_000)
    while not await ticker.run_once():
        pass
    assert len(await routed.runs("shop/f")) == 2
    assert (await reasons(routed)) == ["rate_limit", "rate_limit"]
    while not await ticker.run_once():
        pass
    assert len(await reasons(routed)) == 2, "settled"


async def test_a_delayed_event_is_admitted_when_it_comes_and_waits_for_its_slot_when_it_is_due(routed: Routed) -> None:
    await declared(
        routed, rate_limit=dq.RateLimit(2, period="1m"), concurrency=1, triggers=(CREATED, dq.EventTrigger("other"))
    )
    later = routed.shard.now_ms + 3_600_000
    await come(routed, Event("order/created", {"n": 0}, ts=later), created(n=1), created(n=2))
    assert await reasons(routed) == ["rate_limit"]
    (held,) = await routed.claim()
    await fire(routed, 3_600_000)
    assert await routed.claim() == []
    await routed.complete(held)
    (delayed,) = await routed.claim()
    assert (await routed.given(delayed.run)).data["n"] == 0


async def test_a_singleton_is_taken_by_a_delayed_run_from_when_it_was_admitted(routed: Routed) -> None:
    await declared(routed, singleton="skip")
    await come(routed, Event("order/created", {"n": 0}, ts=routed.shard.now_ms + 60_000), created(n=1))
    assert await reasons(routed) == ["singleton"]


async def test_who_invokes_is_not_held_back(routed: Routed) -> None:
    await declared(routed, "d", debounce=dq.Debounce("1m"))
    await declared(routed, "b", batch=dq.Batch(10, timeout="1m"))
    for function in ("shop/d", "shop/b"):
        run = await invoked(routed, function, n=1)
        assert await routed.state(run) == "queued"


async def test_who_invokes_what_may_not_start_is_told_why_for_which_key_and_which_run_has_it(routed: Routed) -> None:
    await declared(routed, "s", singleton=dq.Singleton(key="event.data.id"))
    await declared(routed, "i", idempotency="event.data.id")
    await declared(routed, "l", rate_limit=dq.RateLimit(1, period="1h", key="event.data.id"))
    for name, reason in (("s", "singleton"), ("i", "idempotency"), ("l", "rate_limit")):
        first = await invoked(routed, f"shop/{name}", id="two words")
        with pytest.raises(dq.RunSkipped, match=rf"shop/{name} was not started \({reason}, key 'two words'\)") as info:
            await invoked(routed, f"shop/{name}", id="two words")
        found = info.value
        assert (found.reason, found.key) == (reason, "two words")
        assert found.run_id == ("" if name == "l" else first)
        await invoked(routed, f"shop/{name}", id="other")
    await routed.shard.flow.pause_functions(["shop/s"], "skip")
    with pytest.raises(dq.RunSkipped, match=r"shop/s was not started \(paused\): it is paused"):
        await invoked(routed, "shop/s", id="third")


@on("redis7")
async def test_a_failure_handler_has_no_gates_of_its_function_and_one_started_by_system_events_its_own(
    routed: Routed,
) -> None:
    async def tell(ctx: dq.Context) -> None:
        """What fails is told."""

    function = routed.function("f", CREATED, singleton="skip", rate_limit=dq.RateLimit(9, period="1h"), on_failure=tell)
    routed.function("watch", dq.EventTrigger("durableq/function.failed"), rate_limit=dq.RateLimit(1, period="1h"))
    await routed.deploy()
    for n in range(3):
        await come(routed, created(n=n))
        (held,) = [held for held in await routed.claim() if held.run in await routed.runs(function)]
        await routed.fail(held, ValueError("no"))
        await routed.route()
    assert len(await routed.runs("shop/f:on-failure")) == 3
    assert len(await routed.runs("shop/watch")) == 1


# --- deploys


async def test_a_deploy_changes_numbers_at_once(routed: Routed) -> None:
    await declared(routed, rate_limit=dq.RateLimit(1, period="1h"), concurrency=1)
    await come(routed, created(n=0), created(n=1))
    await again(routed, rate_limit=dq.RateLimit(3, period="1h"), concurrency=1)
    await come(routed, created(n=2), created(n=3), created(n=4))
    assert await started_with(routed) == [0, 2, 3]
    assert len(await routed.claim()) == 1
    await again(routed, rate_limit=dq.RateLimit(3, period="1h"), concurrency=3)
    await fire(routed)
    assert len(await routed.claim()) == 2, "those that were queued before"


async def test_a_deploy_changes_keys_for_what_comes(routed: Routed) -> None:
    await declared(routed, concurrency=dq.Concurrency(1, key="event.data.a"))
    await come(routed, created(n=0, a=1, b=1), created(n=1, a=1, b=2))
    await again(routed, concurrency=dq.Concurrency(1, key="event.data.b"))
    await come(routed, created(n=2, a=1, b=3), created(n=3, a=1, b=4))
    held = await routed.claim()
    given = sorted([(await routed.given(one.run)).data["n"] for one in held])
    assert given == [0, 2, 3], "1 waits for 0, by the key that it came with"


async def test_what_is_held_back_comes_when_the_option_is_gone(routed: Routed) -> None:
    await declared(routed, debounce=dq.Debounce("10s"))
    await come(routed, created(n=0))
    await again(routed)
    await come(routed, created(n=1))
    assert await started_with(routed) == [1]
    await fire(routed, 10_000)
    assert sorted(await started_with(routed)) == [0, 1]


@on("redis7")
async def test_an_option_of_another_release_that_cannot_be_read_is_left_out_and_noted(routed: Routed) -> None:
    await declared(routed, rate_limit=dq.RateLimit(1, period="1h"), singleton="skip")
    stored = codec.decode(declarations_of(routed.app)["f"])
    stored["singleton"]["key"] = "event.data.x ~> 1"
    await routed.shard.registry.register_app("shop", "newer", {"f": codec.encode(stored)})
    await come(routed, created(n=0), created(n=1))
    assert await started_with(routed) == [0]
    assert await reasons(routed) == ["rate_limit"]
    count, reason = (await faults(routed))["singleton"]
    assert count == 2
    assert "cannot read" in reason


@on("redis7")
async def test_a_function_without_flow_control_is_created_as_ever(routed: Routed) -> None:
    await declared(routed)
    await come(routed, created(n=0))
    (run,) = await routed.runs("shop/f")
    stored = (await routed.shard.stored()).of("run", run)
    assert sorted(stored) == ["c", "f", "s"]
    assert routed.router._table.dressings == {}
