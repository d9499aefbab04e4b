"""What keys of flow control come to: gates as the scripts read them, and what is noted where a key comes to nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from durableq.model.dressing import PLAIN, Dressing
from durableq.model.event import Event, encode_event, read_head
from durableq.model.flow import ordinal, with_gates
from durableq.model.gating import OPTIONS, gating_of
from durableq.model.routing import key_faults
from durableq.model.skipping import skipped, skipped_child

FN = "shop/f"
DATA = {"id": 7, "plan": "pro", "userId": "u1", "organizationId": "o2", "cartId": "c-9"}


def gates(
    declared: dict[str, Any], data: dict[str, Any] | None = None, *, direct: bool = False
) -> tuple[str, list[str]]:
    """The gates, as admit_run takes them apart: `priority|needed|first`; and the options at fault."""
    made, faults = dressed(declared, data, direct=direct)
    if not made:
        return "", faults
    text = made.decode()
    places = {ordinal(limit): place for place, limit in enumerate(limits_of(declared))}
    text = re.sub(r"(?<= [cr])(\d+)(?==)", lambda match: str(places[match[1]]), text)
    found = re.fullmatch(r"@(\S+) ?([^;]*);([^;]*);", text)
    assert found is not None
    return "|".join(found.groups()), faults


def limits_of(declared: dict[str, Any]) -> list[dict[str, Any]]:
    """Its limits of concurrency that can be read. In what `gates` returns each has its place for its ordinal."""
    return [limit for limit in declared.get("concurrency", ()) if limit["scope"] in ("function", "app", "namespace")]


def dressed(declared: dict[str, Any], data: dict[str, Any] | None, *, direct: bool = False) -> tuple[bytes, list[str]]:
    scope = read_head(encode_event(Event("x", DATA if data is None else data))).scope("1790000000000-0")
    made, faults = Dressing.of(declared, FN).made(scope, direct=direct)
    return made, [fault.option for fault in faults]


def key(option: str, expression: str | None) -> dict[str, Any]:
    """A declaration of this option alone, with this key."""
    if option == "concurrency":
        return {"concurrency": [{"limit": 1, "key": expression, "scope": "app", "hold": "turn"}]}
    return {option: {"key": expression}}


def test_a_function_without_flow_control_is_plain() -> None:
    assert Dressing.of({"id": "f", "retries": 4}, FN) is PLAIN
    assert Dressing.of({"id": "f", "concurrency": [], "throttle": None}, FN) is PLAIN
    assert gating_of(FN, {}) is None


def test_every_gate_has_its_letter_and_its_name() -> None:
    declared = {
        "idempotency": {"key": "event.data.cartId"},
        "rate_limit": {"limit": 5, "period_ms": 1000, "key": "event.data.id"},
        "singleton": {"mode": "skip", "key": "event.data.plan"},
        "throttle": {"limit": 1, "period_ms": 1000, "burst": 1, "key": "event.data.userId"},
        "priority": "event.data.plan == 'pro' ? 120 : 0",
    }
    assert gates(declared) == (
        "120000|p=1 t=shop/f:t:u1|i=shop/f:c-9 l=shop/f:7 s=shop/f:z:pro",
        [],
    )
    assert gates({"debounce": {"period_ms": 1000, "key": None}}) == ("0||d=shop/f: e=1790000000000", [])
    assert gates({"batch": {"size": 2, "timeout_ms": 1000, "key": "event.data.plan"}}) == ("0||b=shop/f:pro", [])


def test_gates_are_the_same_as_with_gates_makes_of_them() -> None:
    declared = {"throttle": {"key": "event.data.userId"}, "priority": "5", "idempotency": {"key": "event.data.cartId"}}
    made, _ = dressed(declared, None)
    assert made == with_gates("t=shop/f:t:u1 p=5000 i=shop/f:c-9", b"")


def test_limits_keep_their_ordinals_and_have_pools_of_their_scope() -> None:
    declared = {
        "concurrency": [
            {"limit": 50, "key": "'openai'", "scope": "namespace", "hold": "turn"},
            {"limit": 20, "key": "event.data.plan", "scope": "app", "hold": "run"},
            {"limit": 10, "key": None, "scope": "function", "hold": "turn"},
            {"limit": 1, "key": "event.data.id", "scope": "function", "hold": "run"},
        ]
    }
    text, faults = gates(declared)
    assert faults == []
    found = re.fullmatch(r"0\|c0=\+n:openai r1=\+ar:shop:pro c2=shop/f:(\w{8}): r3=shop/f:(\w{8}):7\|", text)
    assert found is not None, text
    assert found[1] != found[2]


def test_a_pool_of_a_function_is_of_one_key_and_one_hold() -> None:
    def pool(key: str, hold: str) -> str:
        return gates({"concurrency": [{"limit": 1, "key": key, "scope": "function", "hold": hold}]})[0][4:]

    assert len({pool("event.data.id", "turn"), pool("event.data.id", "run"), pool("event.data['id']", "turn")}) == 3


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ([(5, "event.data.id"), (2, "event.data.n")], "c1=+n:7"),
        ([(2, "event.data.id"), (5, "event.data.n")], "c0=+n:7"),
        ([(2, "event.data.id"), (2, "event.data.n")], "c0=+n:7"),
        ([(2, "event.data.id"), (2, "event.data.other")], "c0=+n:7 c1=+n:8"),
    ],
)
def test_of_two_limits_that_come_to_one_pool_the_smaller_one_counts(limits: list[tuple[int, str]], kept: str) -> None:
    declared = [{"limit": n, "key": one, "scope": "namespace", "hold": "turn"} for n, one in limits]
    text, _ = gates({"concurrency": declared}, {"id": 7, "n": "7", "other": 8})
    assert text == f"0|{kept}|"


@pytest.mark.parametrize(("scope", "pool"), [("app", "+a{}:shop:7"), ("namespace", "+n{}:7")])
def test_what_is_held_for_a_turn_and_for_a_run_is_counted_apart_also_where_it_is_shared(scope: str, pool: str) -> None:
    limits = [{"limit": 5, "key": "event.data.id", "scope": scope, "hold": hold} for hold in ("run", "turn")]
    assert gates({"concurrency": limits})[0] == f"0|r0={pool.format('r')} c1={pool.format('')}|"


def test_the_pools_of_an_app_and_of_the_namespace_are_two() -> None:
    scopes = ("namespace", "app")
    declared = [{"limit": 1, "key": "event.data.id", "scope": scope, "hold": "turn"} for scope in scopes]
    assert gates({"concurrency": declared})[0] == "0|c0=+n:7 c1=+a:shop:7|"


NOTHING = ["event.data.missing", "null", "event.data.id / 0", "event.data.plan < 3 ? 'a' : event.data.plan - 1"]


@pytest.mark.parametrize("expression", NOTHING)
@pytest.mark.parametrize("option", ["idempotency", "rate_limit", "debounce", "singleton"])
def test_where_a_gate_would_drop_events_one_without_a_key_passes_and_that_is_a_fault(
    option: str, expression: str
) -> None:
    assert gates(key(option, expression)) == ("", [option])


@pytest.mark.parametrize("expression", NOTHING)
@pytest.mark.parametrize(
    ("option", "text"),
    [("throttle", "0|t=shop/f:t:~|"), ("concurrency", "0|c0=+a:shop:~|"), ("batch", "0||b=shop/f:~")],
)
def test_where_a_gate_only_delays_all_without_a_key_share_one_and_that_is_a_fault(
    option: str, text: str, expression: str
) -> None:
    assert gates(key(option, expression)) == (text, [option])


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "priority"])
def test_false_means_not_limited_and_is_no_fault(option: str) -> None:
    assert gates(key(option, "event.data.plan == 'free'")) == ("", [])
    assert gates(key(option, "event.data.plan == 'free' ? event.data.id : false")) == ("", [])
    text, faults = gates(key(option, "event.data.plan == 'pro'"))
    assert ":true" in text, "true is a key like any other"
    assert faults == []


def test_a_value_that_looks_like_nothing_is_no_part_of_what_nothing_shares() -> None:
    assert gates(key("throttle", "event.data.x"), {"x": "~"})[0] == "0|t=shop/f:t:%7E|"
    assert gates(key("throttle", "event.data.x"), {"x": ""})[0] == "0|t=shop/f:t:%|"
    assert gates(key("throttle", None))[0] == "0|t=shop/f:t:|"
    assert gates(key("throttle", "event.data.x"), {"x": "false"})[0] == "0|t=shop/f:t:false|"


VALUES = [
    ("a", "a"),
    ("two words", "two%20words"),
    ("a;b=c\n", "a%3Bb%3Dc%0A"),
    ("ä", "%C3%A4"),
    (1, "1"),
    (1.0, "1"),
    ("1", "1"),
    (1.5, "1.5"),
    (-3, "-3"),
    (2**63, "9223372036854775808"),
    (True, "true"),
    ([1, "a", None], "%5B1,%22a%22,null%5D"),
    ({"b": 1, "a": [2]}, "%7B%22a%22:%5B2%5D,%22b%22:1%7D"),
    (b"bytes", "bytes"),
    (b"\xff\x00", "ff00"),
    (datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), "2030-01-02T03:04:05Z"),
    ((1, 2), "%5B1,2%5D"),
]


@pytest.mark.parametrize(("value", "name"), VALUES, ids=[repr(value)[:30] for value, _ in VALUES])
def test_every_value_has_a_name_that_is_always_the_same(value: Any, name: str) -> None:
    for _ in range(2):
        assert gates(key("throttle", "event.data.x"), {"x": value}) == (f"0|t=shop/f:t:{name}|", [])


def test_a_long_value_is_cut_and_keeps_apart_what_differs_only_behind() -> None:
    names = {gates(key("throttle", "event.data.x"), {"x": "é " * 5000 + end})[0] for end in "ab"}
    assert len(names) == 2
    for name in names:
        assert len(name) < 120
        assert name.count(" ") == 0


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("event.data.cartId", "c-9"),
        ('event.data.userId + "-" + event.data.organizationId', "u1-o2"),
        ("event.data.id + '-' + event.data.plan", "7-pro"),
        ('"openai"', "openai"),
        ("event.name", "x"),
    ],
)
def test_keys_as_inngest_documents_them(expression: str, name: str) -> None:
    text, faults = gates(key("idempotency", expression))
    assert faults == [] or "+" in expression, faults
    assert text == (f"0||i=shop/f:{name}" if not faults else "")


@pytest.mark.parametrize(
    ("expression", "ms", "faulty"),
    [
        ("120", 120_000, False),
        ("-30", -30_000, False),
        ("event.data.plan == 'pro' ? 120 : 0", 120_000, False),
        ("10000", 600_000, False),
        ("-10000", -600_000, False),
        ("60.0", 60_000, False),
        ("event.data.id * 10", 70_000, False),
        ("60.5", 0, True),
        ("'60'", 0, True),
        ("true", 0, True),
        ("event.data.missing", 0, True),
        ("event.data.id / 0", 0, True),
        ("[1]", 0, True),
    ],
)
def test_a_priority_is_whole_seconds_within_ten_minutes_or_none(expression: str, ms: int, faulty: bool) -> None:
    assert gates({"priority": expression}) == (f"{ms}|p=1|", ["priority"] if faulty else [])


@pytest.mark.parametrize(
    ("if_", "batched", "faulty"),
    [
        ("event.data.plan == 'pro'", True, False),
        ("event.data.plan == 'free'", False, False),
        ("event.data.missing", False, False),
        ("event.data.id / 0 == 1", False, True),
    ],
)
def test_an_event_that_a_batch_does_not_want_is_a_run_by_itself(if_: str, batched: bool, faulty: bool) -> None:
    declared = {"batch": {"size": 2, "timeout_ms": 1, "key": None, "if": if_}, "throttle": {"key": None}}
    first = "b=shop/f:" if batched else ""
    assert gates(declared) == (f"0|t=shop/f:t:|{first}", ["batch"] if faulty else [])


def test_who_asks_for_this_very_run_is_not_held_back_and_those_keys_are_not_looked_at() -> None:
    for option in ("debounce", "batch"):
        assert gates({option: {"key": "event.data.missing"}, "throttle": {"key": None}}, direct=True) == (
            "0|t=shop/f:t:|",
            [],
        )
    assert gates({"rate_limit": {"key": None}}, direct=True) == ("0||l=shop/f:", [])


def test_what_another_release_declared_and_cannot_be_read_is_left_out_and_named() -> None:
    declared: dict[str, Any] = {
        "idempotency": {"key": None},
        "rate_limit": {"key": "event.data.id ~~ 1"},
        "throttle": 7,
        "concurrency": [
            {"limit": 1, "key": None, "scope": "galaxy", "hold": "turn"},
            {"limit": 1, "key": None, "scope": "function", "hold": "for ever"},
            {"limit": 1, "key": "event.data.id", "scope": "app", "hold": "turn"},
        ],
        "priority": ["?"],
        "singleton": {"mode": "skip", "key": None},
    }
    text, faults = gates(declared)
    assert text == "0|c1=+a:shop:7|s=shop/f:z:", "what can be read is there"
    assert faults == ["idempotency", "rate_limit", "throttle", "concurrency", "priority"]


def test_gates_stand_in_front_of_what_else_a_run_is_created_with() -> None:
    declared = {"throttle": {"key": None}, "timeouts": {"start_ms": 5000}}
    scope = read_head(encode_event(Event("x", DATA))).scope("1-0")
    made, _ = Dressing.of(declared, FN).made(scope, "s")
    assert made == with_gates("t=shop/f:t:", b"s 5000 ")
    made, _ = Dressing.of({"throttle": {"key": None}}, FN).made(scope)
    assert made == with_gates("t=shop/f:t:", b"")


def test_limits_without_keys_are_worked_out_once_and_look_at_no_event() -> None:
    gating = gating_of(FN, {"throttle": {"key": None}, "rate_limit": {"key": None}, "singleton": {"key": None}})
    assert gating is not None
    unread: Any = object()  # would raise where anything is read of it
    first, _ = gating.gates(unread)
    assert gating.gates(unread)[0] is first
    assert gating.gates(unread, direct=True)[0] == first


def test_one_fault_for_each_option_however_many_keys_it_has() -> None:
    declared = {
        "concurrency": [
            {"limit": 1, "key": one, "scope": "function", "hold": "turn"} for one in ("event.data.a", "event.data.b")
        ],
        "priority": "event.data.c",
    }
    scope = read_head(encode_event(Event("x", {}))).scope("1-0")
    _, faults = Dressing.of(declared, FN).made(scope)
    assert key_faults(FN, faults) == [
        (f"{FN} priority", "event.data.c came to nothing"),
        (f"{FN} concurrency", "event.data.a came to nothing"),
    ]


def test_what_was_skipped_says_why_and_for_which_key_and_run() -> None:
    error = skipped(FN, "singleton shop/f:z:two%20words R1")
    assert (error.reason, error.key, error.run_id) == ("singleton", "two words", "R1")
    assert str(error) == "shop/f was not started (singleton, key 'two words'): run R1 has not ended"
    assert str(skipped(FN, "rate_limit shop/f: -")) == (
        "shop/f was not started (rate_limit): as many have been started as may be within its period"
    )
    assert str(skipped(FN, "paused - -")).startswith("shop/f was not started (paused): ")
    assert str(skipped(FN, "idempotency shop/f:c R2")).endswith(
        "(idempotency, key 'c'): run R2 was started for it before"
    )
    assert str(skipped(FN, "something that this release does not know")).endswith("does not know")
    assert skipped_child("shop/f singleton shop/f:z:a R1") == str(skipped(FN, "singleton shop/f:z:a R1"))
    assert skipped_child("shop/f was not started: it would wait for itself").endswith("wait for itself")
