"""One function as it stands: limits in force, what is held back, what was left out; and why a queued run is not claimed."""

from __future__ import annotations

import pytest

from durableq.services.flow_looks import function_flow, limits_of, with_hold_ups
from durableq.services.flow_views import HeldUp, HolderView, OptionView
from durableq.services.views import run_view
from durableq.store.flow import RESUME, SKIP, WAIT
from durableq.store.invokes import NewRun
from durableq.store.registry import Registry
from durableq.words.errors import ConfigError, FunctionNotFound
from durableq.words.ids import run_id
from tests.servers import on
from tests.services.flowing import PER_CUSTOMER, Flowing
from tests.services.flowing import flowing as flowing
from tests.store.gates import finish, fire

pytestmark = on("fake", "redis7")


async def held_up(flowing: Flowing, run: str) -> HeldUp | None:
    row = await flowing.shard.reads.row(run)
    assert row is not None
    (view,) = await with_hold_ups(flowing.shard.calls, [run_view(row)], holders=True)
    return view.held_up


async def test_the_options_are_shown_with_the_numbers_in_force(flowing: Flowing) -> None:
    await flowing.declare(
        f={
            "concurrency": [{"limit": 10, "key": None, "scope": "function", "hold": "turn"}, PER_CUSTOMER],
            "throttle": {"limit": 100, "period_ms": 60_000, "burst": 5, "key": None},
            "rate_limit": {"limit": 5, "period_ms": 3_600_000, "key": "event.data.customer"},
            "idempotency": {"key": "event.data.cart"},
            "singleton": {"mode": "skip", "key": None},
            "priority": "event.data.plan == 'pro' ? 60 : 0",
        }
    )
    view = await function_flow(flowing.shard.calls, "a/f", 10)
    assert view.options == (
        OptionView("concurrency", "10", None),
        OptionView("concurrency", "1", "event.data.customer"),
        OptionView("throttle", "100 per 1m, burst 5", None),
        OptionView("rate_limit", "5 per 1h", "event.data.customer"),
        OptionView("idempotency", "1d", "event.data.cart"),
        OptionView("singleton", "skip", None),
        OptionView("priority", "seconds by which a run goes sooner", "event.data.plan == 'pro' ? 60 : 0"),
    )


async def test_the_options_of_what_is_held_back_are_shown(flowing: Flowing) -> None:
    shared = {"limit": 3, "key": "'api'", "scope": "app", "hold": "run"}
    await flowing.declare(
        f={"debounce": {"period_ms": 10_000, "timeout_ms": 120_000, "key": "event.data.doc"}},
        g={"batch": {"size": 100, "timeout_ms": 5_000, "key": None, "if": "event.data.ok"}, "concurrency": [shared]},
    )
    assert (await function_flow(flowing.shard.calls, "a/f", 10)).options == (
        OptionView("debounce", "10s, at most 2m", "event.data.doc"),
    )
    assert (await function_flow(flowing.shard.calls, "a/g", 10)).options == (
        OptionView("concurrency", "3", "'api'", "shared by the app, held until the run ends"),
        OptionView("batch", "100 or 5s", None, "if event.data.ok"),
    )


async def test_what_is_queued_is_told_apart_from_what_is_parked(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    await flowing.send(*[{"customer": 1}] * 4)
    await flowing.claim()
    await flowing.send({"customer": 2})
    view = await function_flow(flowing.shard.calls, "a/f", 10)
    assert (view.function.queued, view.limits.parked, view.due_now) == (4, 3, 1)


async def test_a_function_that_is_not_there_is_refused_with_the_nearest(flowing: Flowing) -> None:
    await flowing.declare(invoice={})
    with pytest.raises(FunctionNotFound, match="was 'a/invoice' meant"):
        await function_flow(flowing.shard.calls, "a/invoise", 10)
    with pytest.raises(FunctionNotFound, match="was 'a/invoice' meant"):
        await limits_of(flowing.shard.calls, "", "a/invoise", 10)


async def test_limits_are_of_the_app_or_function_that_was_asked_for(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]}, g={"concurrency": [PER_CUSTOMER]})
    await flowing.send({"customer": 1})
    await flowing.send({"customer": 2}, function="g")
    await flowing.claim()
    calls = flowing.shard.calls
    assert [key.key for key in (await limits_of(calls, "", "a/g", 10)).keys] == ["2"]
    assert sorted(key.key or "" for key in (await limits_of(calls, "a", "", 10)).keys) == ["1", "2"]
    with pytest.raises(ConfigError, match="no function of an app 'other' is registered in namespace 't': there are a"):
        await limits_of(calls, "other", "", 10)


async def test_a_debounced_event_is_shown_with_its_key_and_when_it_fires(flowing: Flowing) -> None:
    await flowing.declare(f={"debounce": {"period_ms": 1000, "timeout_ms": 0, "key": "event.data.doc"}})
    first, second = await flowing.send({"doc": "a b"}, {"doc": "a b"})
    view = await function_flow(flowing.shard.calls, "a/f", 10)
    (held,) = view.held_back
    now_ms = flowing.shard.now_ms
    assert (held.kind, held.key, held.events, held.since_ms, held.fires_at_ms) == (
        "debounce",
        "a b",
        1,
        now_ms,
        now_ms + 1000,
    )
    assert held.run == second != first
    (skip,) = view.skips
    assert (skip.event_id, skip.other) == ("o-1", held.place)
    assert skip.why == "event o-2 replaced it for key 'a b'"
    flowing.shard.advance(1000)
    await fire(flowing.shard)
    after = await function_flow(flowing.shard.calls, "a/f", 10)
    assert (after.held_back, after.held_back_more, after.skipped) == ((), 0, {"debounce": 1})


async def test_an_older_event_is_said_not_to_have_replaced_the_newer(flowing: Flowing) -> None:
    await flowing.declare(f={"debounce": {"period_ms": 1000, "timeout_ms": 0, "key": None}})
    await flowing.send({}, ts=9)
    await flowing.send({}, ts=3)
    (skip,) = (await function_flow(flowing.shard.calls, "a/f", 10)).skips
    assert skip.why == "event o-1, which is newer by its ts, stays"


async def test_a_batch_is_shown_with_how_many_events_it_has(flowing: Flowing) -> None:
    await flowing.declare(f={"batch": {"size": 5, "timeout_ms": 1000, "key": "event.data.shop", "if": None}})
    runs = await flowing.send(*[{"shop": 1}] * 3, *[{"shop": 2}] * 6)
    view = await function_flow(flowing.shard.calls, "a/f", 1)
    assert (len(view.held_back), view.held_back_more) == (1, 1)
    both = (await function_flow(flowing.shard.calls, "a/f", 10)).held_back
    assert sorted((held.kind, held.key, held.events, held.run) for held in both) == [
        ("batch", "1", 3, runs[0]),
        ("batch", "2", 1, runs[8]),
    ]


async def test_each_reason_for_a_skip_has_a_line_with_its_key(flowing: Flowing) -> None:
    key = "event.data.customer"
    await flowing.declare(
        f={"idempotency": {"key": key}},
        g={"rate_limit": {"limit": 1, "period_ms": 60_000, "key": key}},
        h={"singleton": {"mode": "skip", "key": key}},
        i={"singleton": {"mode": "skip", "key": None}},
    )
    lines: dict[str, str] = {}
    sent: dict[str, str] = {}
    runs: dict[str, str] = {}
    for name in "fghi":
        runs[name], _ = await flowing.send({"customer": "a b"}, {"customer": "a b"}, function=name)
        sent[name] = f"o-{flowing.events}"
    await flowing.shard.flow.pause_functions(["a/i"], SKIP)
    await flowing.claim("i", lease="L9")
    for name in "fghi":
        view = await function_flow(flowing.shard.calls, f"a/{name}", 10)
        (skip,) = view.skips
        lines[name] = skip.why
        assert (skip.event_name, skip.event_id, view.skipped) == ("order/created", sent[name], {skip.reason: 1})
    assert lines == {
        "f": f"key 'a b' was used by run {runs['f']}",
        "g": "as many as may had started for key 'a b'",
        "h": f"run {runs['h']} had not ended for key 'a b'",
        "i": f"run {runs['i']} had not ended",
    }


async def test_what_a_pause_leaves_out_is_shown(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    await flowing.shard.flow.pause_functions(["a/f"], SKIP)
    await flowing.send({"customer": 1})
    view = await function_flow(flowing.shard.calls, "a/f", 10)
    assert [skip.why for skip in view.skips] == ["the function was paused, and skips what comes meanwhile"]
    assert (view.function.paused, view.function.paused_at_ms) == ("skip", flowing.shard.now_ms)


async def test_a_run_that_was_asked_for_and_left_out_is_named_by_its_id(flowing: Flowing) -> None:
    await flowing.declare(f={"idempotency": {"key": "event.data.cart"}}, g={})
    await flowing.shard.flow.pause_functions(["a/g"], SKIP)
    await flowing.send({"cart": 1})
    extras = b"@0;i=a/f:1;"
    asked = [NewRun(run_id("5-1", "a/f", 0), "a/f", b"", extras), NewRun(run_id("5-1", "a/g", 0), "a/g", b"", b"")]
    await flowing.shard.invokes.start_runs("", asked)
    for function, run in (("a/f", asked[0].run_id), ("a/g", asked[1].run_id)):
        (skip,) = (await function_flow(flowing.shard.calls, function, 10)).skips
        assert (skip.place, skip.event_name) == (run, ""), "not the last event that came"


async def test_keys_that_came_to_nothing_are_shown(flowing: Flowing) -> None:
    await flowing.declare(f={"throttle": {"limit": 1, "period_ms": 1000, "burst": 1, "key": "event.data.customer"}})
    await Registry(flowing.shard.calls).note_faults([("a/f throttle", "event.data.customer came to nothing")])
    (fault,) = (await function_flow(flowing.shard.calls, "a/f", 10)).key_faults
    assert (fault.option, fault.times, fault.reason) == ("throttle", 1, "event.data.customer came to nothing")


async def test_a_parked_run_says_for_whose_slot_it_waits(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    runs = await flowing.send(*[{"customer": "a b"}] * 3)
    assert await held_up(flowing, runs[0]) is None
    (held,) = await flowing.claim()
    holder = HolderView(runs[0], flowing.shard.now_ms)
    assert await held_up(flowing, runs[2]) == HeldUp("concurrency", "a b", 1, 1, (holder,), ahead=1, scope="function")
    await finish(flowing.shard, held)
    assert await held_up(flowing, runs[2]) is None, "the lane is open again"


async def test_a_throttled_run_says_when_the_next_one_starts(flowing: Flowing) -> None:
    await flowing.declare(f={"throttle": {"limit": 1, "period_ms": 60_000, "burst": 1, "key": None}})
    runs = await flowing.send({}, {}, {})
    await flowing.claim()
    found = await held_up(flowing, runs[2])
    assert found == HeldUp("throttle", None, 1, opens_at_ms=flowing.shard.now_ms + 60_000, ahead=1)


async def test_a_run_that_has_begun_says_for_which_slot_it_waits_again(flowing: Flowing) -> None:
    throttle = {"limit": 5, "period_ms": 60_000, "burst": 5, "key": None}
    await flowing.declare(f={"concurrency": [PER_CUSTOMER], "throttle": throttle})
    runs = await flowing.send({"customer": 1}, {"customer": 1})
    (first,) = await flowing.claim()
    await flowing.shard.suspend(first, key="nap", kind="w", blob=b"", due_at_ms=flowing.shard.now_ms + 10)
    (second,) = await flowing.claim()
    flowing.shard.advance(10)
    await fire(flowing.shard)
    assert await flowing.claim() == []
    found = await held_up(flowing, first.run)
    assert found is not None
    assert (found.reason, found.key, [holder.run for holder in found.holders]) == ("concurrency", "1", [second.run])
    assert runs == [first.run, second.run]


async def test_a_run_of_a_paused_function_says_so(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    (run,) = await flowing.send({"customer": 1})
    await flowing.shard.flow.pause_functions(["a/f"], WAIT)
    assert await held_up(flowing, run) == HeldUp("paused", since_ms=flowing.shard.now_ms)
    await flowing.shard.flow.pause_functions(["a/f"], RESUME)
    assert await held_up(flowing, run) is None
