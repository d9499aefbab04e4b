"""One function, written once and executed both ways: as `async def` and as `def`.

A script is a generator that yields what a verb of `ctx.step` gave:

    def script(ctx):
        paid = yield ctx.step.wait_for_event("payment", "payment/settled", timeout="3d")
        return paid.data

In a `def` function the verb has blocked already, and what is yielded is its value; in an `async` one it is awaited here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from durableq.engine.sync import SyncContext

Script = Callable[[Any], Generator[Any, Any, Any]]

both = pytest.mark.parametrize("written", ["async def", "def"])
"""Tests with it are executed for either sort of function."""


def function_of(written: str, script: Script) -> Callable[[Any], Any]:
    """The script as a handler."""
    return _async_function(script) if written == "async def" else _def_function(script)


def beside(ctx: Any, *branches: Callable[[], Any]) -> Any:
    """What is to be yielded for branches beside each other: `gather`, or `parallel`."""
    if isinstance(ctx, SyncContext):
        return ctx.parallel(*branches)
    return asyncio.gather(*[branch() for branch in branches])


def _async_function(script: Script) -> Callable[[Any], Any]:
    async def function(ctx: Any) -> Any:
        running = script(ctx)
        try:
            given = next(running)
            while True:
                try:
                    value = await given
                except Exception as error:
                    given = running.throw(error)
                else:
                    given = running.send(value)
        except StopIteration as end:
            return end.value

    return function


def _def_function(script: Script) -> Callable[[Any], Any]:
    def function(ctx: Any) -> Any:
        return _drive(script(ctx))

    return function


def _drive(running: Iterator[Any]) -> Any:
    assert isinstance(running, Generator)
    try:
        value = next(running)
        while True:
            value = running.send(value)
    except StopIteration as end:
        return end.value
