"""Answers at once: a coroutine that waits for nothing is run to its end, whether or not an event loop is running here."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def at_once(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What it returns, or raises. Inside a running loop another thread runs it, since no loop runs within another."""
    if not in_loop():
        return _run(ask())
    answers: list[T] = []
    errors: list[BaseException] = []

    def in_thread() -> None:
        try:
            answers.append(_run(ask()))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=in_thread, name="durableq-look")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


def in_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    # With a factory the runner leaves the thread's current event loop as it was.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(coroutine, context=contextvars.copy_context())
