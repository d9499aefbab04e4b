"""A background duty: one noun, one `run_once`, one shared loop around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import SystemRandom
from typing import Final, Protocol

from durableq.words.errors import DurableqError, RedisUnavailable, StateLost
from durableq.words.telemetry import Log

FAILED_PAUSE_S: Final = 1.0


class Service(Protocol):
    """What a Loop turns."""

    async def run_once(self) -> float:
        """Do one bounded round. Returns the seconds until the next one; a hint may come earlier."""
        ...


class Loop:
    """Turns a service until it is stopped. Errors are logged, never fatal; Redis away is waited for; StateLost is told on."""

    def __init__(self, name: str, service: Service, log: Log, on_state_lost: Callable[[StateLost], None]) -> None:
        self._name = name
        self._service = service
        self._log = log
        self._on_state_lost = on_state_lost
        self._hint = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._round_at_s: float | None = None

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        self._running = asyncio.get_running_loop().create_task(self._turn(), name=f"durableq-{self._name}")

    def hint(self) -> None:
        """There may be something to do: do not wait for the delay to pass."""
        self._hint.set()

    @property
    def hinted(self) -> bool:
        """Whether there was a hint that nobody has taken."""
        return self._hint.is_set()

    def take_hint(self) -> bool:
        """Whether there was a hint, which is then taken: for who turns the service by hand instead of starting this."""
        hinted = self._hint.is_set()
        self._hint.clear()
        return hinted

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))
            self._round_at_s = None

    def busy_s(self) -> float:
        """For how long it has been in one round; 0 between two, and once stopped."""
        return 0.0 if self._round_at_s is None else asyncio.get_running_loop().time() - self._round_at_s

    async def _turn(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self._hint.clear()
            self._round_at_s = clock()
            try:
                delay_s = await self._service.run_once()
            except StateLost as lost:
                self._on_state_lost(lost)
                return
            except RedisUnavailable:
                delay_s = FAILED_PAUSE_S  # the link has said so, and is reconnecting
            except DurableqError as error:
                self._log.error("service.failed", service=self._name, error=str(error))
                delay_s = FAILED_PAUSE_S * SystemRandom().uniform(1, 3)
            except Exception:
                self._log.exception("service.failed", service=self._name)
                delay_s = FAILED_PAUSE_S * SystemRandom().uniform(1, 3)
            if delay_s > 0:
                self._round_at_s = None
                try:
                    async with asyncio.timeout(delay_s):
                        await self._hint.wait()
                except TimeoutError:
                    pass
            else:
                await asyncio.sleep(0)
