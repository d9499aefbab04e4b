"""A scheduler's ticker in a process of its own, for which a minute passes in a tenth of a second.

    python -m tests.acceptance.hurried URL BEGAN_AT_S

Its scripts are told a time that began at that moment of this machine's clock, and has gone on faster since; every process
that is given the same moment agrees on it. It ends when it is killed.
"""

from __future__ import annotations

import asyncio
import sys
import time

import structlog

from durableq.services.declared import Declared
from durableq.services.service import Loop
from durableq.services.ticker import Ticker
from durableq.store.calls import Calls
from durableq.store.crons import Crons
from durableq.store.opening import calls_on, open_link
from durableq.store.registry import Registry

SPEED = 600


def hurried_ms(began_at_s: float) -> int:
    """The time of those who hurry."""
    return int((began_at_s + (time.time() - began_at_s) * SPEED) * 1000)


class HurriedCalls(Calls):
    """Calls whose scripts are told the hurried time."""

    began_at_s = 0.0

    @property
    def now_ms(self) -> int | None:  # type: ignore[override]
        return hurried_ms(self.began_at_s)

    @now_ms.setter
    def now_ms(self, value: int | None) -> None: ...


class HurriedTicker(Ticker):
    """One whose waits are as long as the hurried time makes them."""

    async def run_once(self) -> float:
        return await super().run_once() / SPEED


async def main(url: str, began_at_s: float) -> None:
    given = calls_on(open_link(url, "hurried"), "default")
    calls = HurriedCalls(given.link, given.scripts, given.keys)
    calls.began_at_s = began_at_s
    await calls.open()
    loop = Loop(
        "ticker",
        HurriedTicker(Crons(calls), Declared(Registry(calls)), structlog.get_logger()),
        structlog.get_logger(),
        print,
    )
    loop.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
