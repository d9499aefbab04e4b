"""Declaring: what an app accepts, and what it says about what it does not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import durableq as dq
from durableq.testing import TestEnv


def declare(**options: Any) -> Callable[[Any], Any]:
    return dq.App("shop").function(**{"id": "f", "triggers": [dq.EventTrigger("a/b")], **options})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"id": "Process Order"}, "'process-order' would do"),
        ({"id": ""}, "1 to 64 characters"),
        ({"id": "x" * 65}, "1 to 64 characters"),
        ({"id": 7}, "must be a string"),
        ({"triggers": [dq.EventTrigger(f"a/{n}") for n in range(11)]}, "at most 10 triggers, not 11"),
        ({"triggers": ["a/b"]}, "no EventTrigger"),
        ({"triggers": "a/b"}, "must be a list"),
        ({"triggers": [dq.EventTrigger("a/b"), dq.EventTrigger("a/b")]}, "twice"),
        ({"retries": -1}, "retries"),
        ({"retries": 21}, "21"),
        ({"retries": True}, "retries"),
        ({"backoff": "15s"}, "backoff"),
        ({"name": ""}, "name"),
    ],
)
def test_a_bad_option_is_refused_with_option_rule_and_value(options: dict[str, Any], says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        declare(**options)


async def test_a_function_without_triggers_is_started_by_invoke_alone() -> None:
    app = dq.App("shop")

    @app.function("double")
    async def double(ctx: dq.Context) -> int:
        return int(ctx.event.data["n"]) * 2

    async with TestEnv(app) as env:
        assert await (await app.invoke(double, data={"n": 4})).result() == 8
        (view,) = await app.client.functions()
        assert (view.triggers, len(env.runs)) == ((), 1)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="retry"):
        declare(retry=5)


def test_the_same_id_twice_names_both_places() -> None:
    app = dq.App("shop")
    triggers = [dq.EventTrigger("a/b")]

    @app.function("f", triggers=triggers)
    async def first(ctx: dq.Context) -> None: ...

    with pytest.raises(dq.ConfigError, match=r"tests\.test_app:\d+ and at tests\.test_app:\d+"):

        @app.function("f", triggers=triggers)
        async def second(ctx: dq.Context) -> None: ...


def test_a_def_function_annotated_context_is_refused_and_the_other_way_round() -> None:
    def plain(ctx: dq.Context) -> None: ...

    async def coloured(ctx: dq.SyncContext) -> None: ...

    with pytest.raises(dq.ConfigError, match="SyncContext"):
        declare()(plain)
    with pytest.raises(dq.ConfigError, match="annotate `ctx: Context`"):
        declare()(coloured)


def test_a_function_without_a_context_is_refused() -> None:
    async def nothing() -> None: ...

    async def too_much(ctx: dq.Context, more: int) -> None: ...

    for handler in (nothing, too_much):
        with pytest.raises(dq.ConfigError, match="one argument"):
            declare()(handler)


def test_a_function_with_a_yield_is_refused() -> None:
    async def stream(ctx: dq.Context) -> AsyncIterator[int]:
        yield 1

    def plain_stream(ctx: dq.SyncContext) -> Iterator[int]:
        yield 1

    for handler in (stream, plain_stream):
        with pytest.raises(dq.ConfigError, match="has a `yield`, so calling it executes nothing: use `return`"):
            declare()(handler)


def test_a_function_is_still_callable_as_the_plain_function() -> None:
    @declare()
    async def double(ctx: Any) -> int:
        return int(ctx) * 2

    assert asyncio.run(double(21)) == 42


@dataclass
class Order:
    order_id: int


def test_the_type_of_the_data_is_read_from_the_annotation() -> None:
    @declare()
    async def typed(ctx: dq.Context[Order]) -> None: ...

    @declare()
    async def written(ctx: "dq.Context[Order]") -> None: ...

    @declare()
    async def plain(ctx: dq.Context) -> None: ...

    assert typed.event_type is Order
    assert written.event_type is Order
    assert plain.event_type is None


def test_ids_of_apps_and_namespaces_are_checked() -> None:
    for bad in ("Shop", "", "-a", "a" * 65, None):
        with pytest.raises(dq.ConfigError, match="app id"):
            dq.App(bad)  # type: ignore[arg-type]
    with pytest.raises(dq.ConfigError, match="namespace"):
        dq.App("shop", namespace="{x}")


def test_making_an_app_touches_neither_environment_nor_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURABLEQ_URL", "not a url at all")
    monkeypatch.setenv("DURABLEQ_NAMESPACE", "Not Allowed")
    app = dq.App("shop", redis_url="also:not")
    assert app.functions == {}
    assert app.client is app.client


def test_an_app_declared_for_another_namespace_is_refused() -> None:
    app = dq.App("shop", namespace="blue")
    with pytest.raises(dq.ConfigError, match="'blue'"):
        app.connect_to("redis://localhost", "green")
    app.connect_to("redis://localhost", "blue")
