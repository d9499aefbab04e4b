"""The screens of flow control, as they are printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durableq.cli import plain_flow
from durableq.cli.flow_text import function_text, held_up_text, limits_text, listed_status
from durableq.cli.run_text import run_text
from durableq.cli.texts import when
from durableq.services.flow_looks import FunctionFlowView
from durableq.services.flow_skips import why_skipped
from durableq.services.flow_views import (
    HeldBackView,
    HeldUp,
    HolderView,
    KeyFault,
    LimitsView,
    LimitView,
    OptionView,
    SkipView,
)
from durableq.services.views import FunctionView, RunView

NOW_MS = 1_700_000_100_000
SOON_MS = NOW_MS + 600
A, B = "01HF7YAT00AAAAAAAAAAAAAAAA", "01HF7YAT00BBBBBBBBBBBBBBBB"
PAY, BOTH = ("shop/pay",), ("shop/ask", "shop/pay")
LEAVING, LEAVES = (HolderView(A, 1, True),), f"{A} (cancelled, its code has not ended)"
KEYS = (
    LimitView("concurrency", "7", "function", PAY, 1, 1, (HolderView(A, 1),), 12, False, NOW_MS - 184_000, B),
    LimitView("concurrency", "ai", "namespace", BOTH, 2, 2, LEAVING, 3, True, NOW_MS - 4_000, B),
    LimitView("throttle", None, "function", PAY, 100, 0, (), 2, oldest_ms=NOW_MS - 1000, opens_at_ms=SOON_MS, period_ms=60_000),
    LimitView("rate_limit", "u\n1", "function", PAY, 5, 5, opens_at_ms=NOW_MS + 720_000, period_ms=3_600_000),
    LimitView("singleton", "(no value)", "function", PAY, 1, 1, (HolderView(A, 1),)),
    LimitView("concurrency", None, "function", PAY, None, parked=2, oldest_ms=NOW_MS - 1000),
)  # fmt: skip
LIMITS = LimitsView(KEYS, 9, 3, 19, True, NOW_MS)


def test_limits_stand_with_their_functions_keys_holders_and_what_waits() -> None:
    assert limits_text(LIMITS) == (
        f"""\
function            limit                    key         taken            parked  oldest  opens     held by
shop/pay            concurrency              7           1 of 1           12      3m4s    -         {A}
shop/ask, shop/pay  concurrency (namespace)  ai          2 of 2           3+      4s      -         {LEAVES} and 1 more
shop/pay            throttle                 -           100 per 1m       2       1s      in 600ms  -
shop/pay            rate_limit               u\\n1        5 of 5 per 1h    -       -       in 12m    -
shop/pay            singleton                (no value)  1 of 1           -       -       -         {A}
shop/pay            concurrency              -           0, no limit now  2       1s      -         -
and 9 more keys
3 keys or runs that may hold slots were not looked at: there are too many
Keys of idempotency are not listed; what they left out, `durableq functions show ID` has."""
    )


def test_no_limits_are_said_to_be_none() -> None:
    assert limits_text(LimitsView(())) == (
        "no key is in use: nothing is parked, and no limit has anything in hand\n"
        "Keys of idempotency are not listed; what they left out, `durableq functions show ID` has."
    )


def test_a_function_is_shown_with_everything_that_holds_its_runs_up() -> None:
    function = FunctionView(
        "shop/pay", "Take a payment", ("order/created",), 4, 21, 2, 40, 1, 2, 1, "event.data.x: nothing",
        paused="wait", paused_at_ms=NOW_MS - 60_000,
    )  # fmt: skip
    view = FunctionFlowView(
        function,
        (OptionView("concurrency", "1", "event.data.id", "held until the run ends"), OptionView("debounce", "", None)),
        LimitsView(KEYS[:1], 0, 0, 17, False, NOW_MS),
        (
            HeldBackView("shop/pay", "debounce", "doc 1", NOW_MS - 2000, NOW_MS + 8000, 1, A, "1-1"),
            HeldBackView("shop/pay", "batch", None, NOW_MS - 2000, 0, 17, B, "1-1"),
        ),
        1,
        (
            SkipView("shop/pay", NOW_MS, "singleton", "u1", f"run {A} had not ended", "order/created", "o-1", "1-1"),
            SkipView("shop/pay", NOW_MS, "paused", None, "the function was paused", place=B),
        ),
        {"debounce": 4, "rate_limit": 1320},
        (KeyFault("throttle", 3, NOW_MS, "event.data.y came to nothing"),),
    )
    assert function_text(view, NOW_MS) == (
        f"""\
function  shop/pay  Take a payment
triggers  order/created
paused    since {when(NOW_MS - 60_000)} (1m ago); what is triggered meanwhile is queued
runs      21 queued (17 parked, 4 due when it is resumed), 2 waiting, 40 completed, 1 failed, 0 cancelled
workers   2
left out  4 by debounce, 1,320 by rate_limit
faults    a trigger could not be evaluated once, the last: event.data.x: nothing
faults    throttle: 3 times without a key, the last: event.data.y came to nothing

option       now           key
concurrency  1             event.data.id  held until the run ends
debounce     not in force  -

limit        key  taken   parked  oldest  opens  held by
concurrency  7    1 of 1  12      3m4s    -      {A}

held back  key    events  began                             fires                            run
debounce   doc 1  1       {when(NOW_MS - 2000)} (2s ago)  {when(NOW_MS + 8000)} (in 8s)  {A}
batch      -      17      {when(NOW_MS - 2000)} (2s ago)  no timer: see `durableq doctor`  {B}
and 1 more debounce or batch

left out                 event                                     reason
{when(NOW_MS)}  order/created o-1                         singleton  run {A} had not ended
{when(NOW_MS)}  no event, run {B}  paused     the function was paused"""
    )
    goes_on = replace(view, function=replace(function, paused=""))
    assert "runs      21 queued (17 parked, 4 due now), 2 waiting" in function_text(goes_on, NOW_MS)


@pytest.mark.parametrize(("key", "of_key"), [(None, ""), ("one", " for key 'one'")])
def test_what_would_have_waited_for_itself_is_told_with_its_key_if_it_has_one(key: str | None, of_key: str) -> None:
    why = why_skipped("concurrency", key, A, newer=False)
    assert why.startswith(f"it would have waited for itself{of_key}: run {A}, or another")


def test_a_function_without_flow_control_is_four_lines() -> None:
    function = FunctionView("shop/ship", "shop/ship", ("order/paid",), 4, 0, 0, 0, 0, 0)
    view = FunctionFlowView(function, (), LimitsView(()), (), 0, (), {})
    assert function_text(view, NOW_MS).splitlines() == [
        "function  shop/ship",
        "triggers  order/paid",
        "runs      0 queued, 0 waiting, 0 completed, 0 failed, 0 cancelled",
        "workers   none that runs now has this function",
    ]


RUN = RunView(B, "shop/pay", "queued", NOW_MS, 0, 0, 0, 0, 0)
BY_A = (HolderView(A, 1),)
STATUSES = [
    (
        HeldUp("concurrency", "7", 1, 1, BY_A, ahead=1, scope="function"),
        f"queued, waits for a slot of key '7' (1 of 1 held by run {A}); 1 run goes first",
        "queued (parked 7)",
    ),
    (
        HeldUp("concurrency", None, 10, 10, BY_A, scope="function"),
        f"queued, waits for a slot (10 of 10 held by run {A} and 9 more)",
        "queued (parked)",
    ),
    (
        HeldUp("concurrency", "ai", 2, 2, BY_A, ahead=3, scope="namespace"),
        f"queued, waits for a slot of key 'ai', which all of the namespace share (2 of 2 held by run {A} and 1 more); "
        "3 runs go first",
        "queued (parked ai)",
    ),
    (
        HeldUp("throttle", "u 1", 100, opens_at_ms=NOW_MS + 600, ahead=2),
        f"queued, throttled by key 'u 1' until {when(NOW_MS + 600)} (in 600ms); 2 runs go first",
        "queued (throttled u 1)",
    ),
    (
        HeldUp("throttle", opens_at_ms=NOW_MS - 5),
        f"queued, throttled until {when(NOW_MS - 5)} (due now)",
        "queued (throttled)",
    ),
    (
        HeldUp("singleton", "7", 1, 1, BY_A),
        f"queued, waits for the end of run {A} (singleton, key '7')",
        "queued (singleton 7)",
    ),
    (
        HeldUp("paused", since_ms=NOW_MS - 1000),
        f"queued; shop/pay is paused since {when(NOW_MS - 1000)}",
        "queued (paused)",
    ),
]


@pytest.mark.parametrize(("held", "status", "listed"), STATUSES, ids=[listed for _, _, listed in STATUSES])
def test_a_queued_run_says_why_it_is_not_claimed(held: HeldUp, status: str, listed: str) -> None:
    run = replace(RUN, held_up=held)
    assert held_up_text(run, held, NOW_MS) == status
    assert f"status    {status}\n" in run_text(run, NOW_MS, 1)
    assert listed_status(run) == listed


def test_a_run_that_no_worker_can_execute_says_that_first() -> None:
    run = replace(RUN, held_up=STATUSES[0][0])
    assert "status    queued; no worker that runs now has shop/pay\n" in run_text(run, NOW_MS, 0)
    assert listed_status(RUN) == "queued"


def test_as_json_a_key_has_its_numbers_and_nulls() -> None:
    found = plain_flow.limits(replace(LIMITS, keys=(KEYS[0], KEYS[2])))
    assert found["keys"][0] == {
        "kind": "concurrency", "key": "7", "scope": "function", "functions": ["shop/pay"], "limit": 1, "taken": 1,
        "holders": [{"run": A, "begun_at_ms": 1, "leaving": False}], "parked": 12, "parked_at_least": False,
        "oldest_ms": NOW_MS - 184_000, "oldest_run": B, "opens_at_ms": None, "hold": None, "period_ms": None,
        "pressure": 12.0, "name": "",
    }  # fmt: skip
    assert (found["keys"][1]["opens_at_ms"], found["keys"][1]["holders"]) == (NOW_MS + 600, [])
    assert (found["more"], found["unseen"], found["parked"], found["parked_at_least"]) == (9, 3, 19, True)
