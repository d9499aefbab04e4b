"""Generated input. `DURABLEQ_FUZZ=10000` makes each property see that many examples; the default is quick."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

EXAMPLES = int(os.environ.get("DURABLEQ_FUZZ", "60"))


def fuzz(*strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test of one property over generated values."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        quiet = settings(
            max_examples=EXAMPLES,
            deadline=None,  # `prompt` measures what is tested, not what generates it
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        return quiet(given(*strategies)(test))

    return decorate


@contextmanager
def prompt(limit_s: float = 0.1) -> Iterator[None]:
    """Fails when the body takes more CPU time of this thread than 100 ms.

    A busy machine does not count, nor does a garbage collection of all that hypothesis has generated so far.
    """
    gc.disable()
    try:
        began = time.thread_time()
        yield
        took_s = time.thread_time() - began
    finally:
        gc.enable()
    assert took_s < limit_s, f"took {took_s * 1000:.0f} ms"
