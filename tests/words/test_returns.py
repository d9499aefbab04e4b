"""What a callable is said to return."""

from __future__ import annotations

import asyncio
import functools
import gc
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from durableq.words.errors import CodecError, ConfigError
from durableq.words.typed import encode_typed, result_type, roundtrip_typed
from tests.words.sample_types import Colour, Customer, Order, Page

if TYPE_CHECKING:
    from somewhere import Unknown  # type: ignore[import-not-found]


def plain() -> dict[str, Any]: ...  # type: ignore[empty-body]
async def order() -> Order: ...  # type: ignore[empty-body]
def orders(x: Unknown) -> list[Order]: ...  # type: ignore[empty-body]
def later() -> Awaitable[Order]: ...  # type: ignore[empty-body]
def coroutine() -> Coroutine[Any, Any, Page[Order]]: ...  # type: ignore[empty-body]
def future() -> asyncio.Future[Customer]: ...  # type: ignore[empty-body]
def nothing() -> None: ...
def unannotated(): ...  # type: ignore[no-untyped-def]
def unknown() -> Unknown: ...


class Shop:
    def order(self) -> Order: ...  # type: ignore[empty-body]
    @classmethod
    def make(cls) -> Order: ...  # type: ignore[empty-body]
    @staticmethod
    def colour() -> Colour: ...  # type: ignore[empty-body]
    def __call__(self, x: int) -> list[Order]: ...  # type: ignore[empty-body]


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@pytest.mark.parametrize(
    ("target", "annotation"),
    [
        (plain, Any),
        (nothing, Any),
        (unannotated, Any),
        (lambda: 1, Any),
        (len, Any),
        (order, Order),
        (orders, list[Order]),
        (later, Order),
        (coroutine, Page[Order]),
        (future, Customer),
        (Shop().order, Order),
        (Shop.make, Order),
        (Shop.colour, Colour),
        (Shop(), list[Order]),
        (Order, Order),
        (dict, Any),
        (functools.partial(functools.partial(orders, 1)), list[Order]),
        (decorated(order), Order),
        (Mock(), Any),
        (MagicMock(), Any),
        (AsyncMock(), Any),
        (None, Any),
        (5, Any),
    ],
)
def test_annotation_is_found(target: Any, annotation: Any) -> None:
    assert result_type(target) == annotation
    assert result_type(target) == annotation  # from the cache


def test_output_type_wins() -> None:
    assert result_type(order, list[Order]) == list[Order]
    assert result_type(order, dict) is Any


@pytest.mark.parametrize("bad", ["Order", 5, [Order], (Order,), {"a": Order}])
def test_output_type_that_is_no_type_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError, match="output_type must be a type"):
        result_type(order, bad)


def test_local_class_is_found_by_its_closure() -> None:
    from dataclasses import dataclass

    @dataclass
    class Local:
        x: int

    def make() -> Local:
        return Local(1)

    assert result_type(make) is Local


def test_annotation_that_cannot_be_resolved_is_explained_when_it_matters() -> None:
    annotation = result_type(unknown)
    assert roundtrip_typed({"a": 1}, annotation)[1] == {"a": 1}
    with pytest.raises(CodecError, match=r"'Unknown' names something that cannot be found .* pass output_type="):
        encode_typed(Order(1, 2), annotation)  # type: ignore[arg-type]


def test_answer_goes_with_the_function() -> None:
    def temporary() -> Order: ...  # type: ignore[empty-body]

    assert result_type(temporary) is Order
    gone = weakref.ref(temporary)
    del temporary
    gc.collect()
    assert gone() is None


def test_two_functions_of_one_code_may_differ() -> None:
    def make(kind: type) -> Callable[[], Any]:
        def function() -> Any: ...

        function.__annotations__["return"] = kind
        return function

    assert result_type(make(Order)) is Order
    assert result_type(make(Colour)) is Colour


def test_callable_that_is_not_hashable_is_asked_each_time() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self) -> Order: ...  # type: ignore[empty-body]

    assert result_type(Unhashable()) is Order
