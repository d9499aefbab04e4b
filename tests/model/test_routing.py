"""The routing table: which functions an event starts."""

from typing import Any

from durableq.model.routing import RoutingTable
from durableq.words import codec


def declared(*triggers: dict[str, Any]) -> bytes:
    return codec.encode({"id": "f", "name": "f", "triggers": list(triggers), "retries": 4, "backoff": None})


def scope(**data: Any) -> dict[str, Any]:
    return {"name": "app/user.created", "data": data, "id": "1", "ts": 0, "user": None, "v": None}


def test_each_function_starts_once_however_many_triggers_match() -> None:
    table = RoutingTable(
        1,
        {
            "shop/a": declared({"event": "app/*"}, {"event": "app/user.*"}, {"event": "app/user.created"}),
            "shop/b": declared({"event": "app/user.*"}),
            "shop/c": declared({"event": "app/user.deleted"}),
            "shop/d": declared({"event": "app.user/*"}),
        },
    )
    assert sorted(table.starts("app/user.created", scope())[0]) == ["shop/a", "shop/b"]
    assert table.starts("other", scope()) == ([], [])


def test_a_condition_decides() -> None:
    table = RoutingTable(1, {"shop/a": declared({"event": "app/user.created", "if": "event.data.total > 100"})})
    assert table.starts("app/user.created", scope(total=101))[0] == ["shop/a"]
    assert table.starts("app/user.created", scope(total=99))[0] == []
    assert table.starts("app/user.created", scope())[0] == []


def test_a_second_trigger_may_match_where_the_first_condition_does_not() -> None:
    table = RoutingTable(
        1, {"shop/a": declared({"event": "app/user.created", "if": "event.data.x == 1"}, {"event": "app/*"})}
    )
    assert table.starts("app/user.created", scope(x=2))[0] == ["shop/a"]


def test_a_condition_that_cannot_be_evaluated_skips_its_trigger_and_is_a_fault() -> None:
    table = RoutingTable(
        1,
        {
            "shop/a": declared({"event": "app/user.created", "if": "event.data.a - event.data.b > 1"}),
            "shop/b": declared({"event": "app/user.created"}),
        },
    )
    started, faults = table.starts("app/user.created", scope(a="x", b=[1]))
    assert started == ["shop/b"]
    assert [fault.function for fault in faults] == ["shop/a"]
    assert faults[0].reason


def test_a_declaration_of_a_newer_release_is_skipped_visibly() -> None:
    table = RoutingTable(1, {"shop/a": declared({"event": "app/x", "if": "event.data ~~ 1"}, {"event": "app/y"})})
    assert table.starts("app/y", scope())[0] == ["shop/a"]
    started, faults = table.starts("app/x", scope())
    assert (started, [fault.function for fault in faults]) == ([], ["shop/a"])
