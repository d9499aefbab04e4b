"""A client's connections: for each event loop that uses it one, made at first use, and again after a fork or a move."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from durableq.model.config import DEFAULT_URL, URL_VARIABLES, Place, Resolved, first_of
from durableq.services.answers import ROUND_S, Answers, Blocking, Changed, Turn
from durableq.services.starting import Starter
from durableq.store.calls import Calls
from durableq.store.link import detached
from durableq.store.opening import calls_on, open_link
from durableq.words.errors import RedisUnavailable

ROLE: Final = "client"


class Door(NamedTuple):
    """Leads elsewhere than to a Redis by its address, as a test's server in this process does."""

    calls: Callable[[], Calls]
    """Makes unopened verbs of the running loop."""
    turn: Turn | None = None
    """Executes what is due, for who waits for a result: nothing blocks there."""


class Opened(NamedTuple):
    """What one loop has."""

    pid: int
    to: Place | Door
    calls: Calls
    opening: asyncio.Task[int]
    answers: Answers
    starter: Starter


class Connections:
    """Leads where the client's place says, or through the latest door."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.doors: list[Door] = []
        self._opened: WeakKeyDictionary[asyncio.AbstractEventLoop, Opened] = WeakKeyDictionary()

    async def opened(self, patience_s: float) -> Opened:
        """This loop's connection. Raises RedisUnavailable after `patience_s`, RedisRefused, UnknownSchema."""
        loop = asyncio.get_running_loop()
        opened, left = self._opened.get(loop), None
        to = self.doors[-1] if self.doors else self.place
        if opened is not None and (opened.pid != os.getpid() or opened.to != to):
            opened, left = None, opened
        if opened is None:
            opened = self._opened[loop] = self._open(loop, to)
        if left is not None:
            await _close(left)
        if not opened.opening.done():
            await asyncio.wait((opened.opening,), timeout=patience_s)
            if not opened.opening.done():
                why = opened.calls.link.failure or f"no answer within {patience_s:g} s"
                raise RedisUnavailable(f"Redis is not reachable: {self._with_remedy(str(why))}")
        if opened.opening.cancelled() or opened.opening.exception() is not None:
            if self._opened.get(loop) is opened:
                del self._opened[loop]
            await opened.calls.link.close()
            if opened.opening.cancelled():
                raise RedisUnavailable("the client was closed")
            opened.opening.result()
        return opened

    async def within(self, patience_s: float) -> tuple[Opened, float]:
        """The same, and what is left of the patience: one for connecting, learning the identity, and the call."""
        started_s = asyncio.get_running_loop().time()
        opened = await self.opened(patience_s)
        return opened, max(0.05, patience_s - (asyncio.get_running_loop().time() - started_s))

    async def close(self) -> None:
        """Close this loop's."""
        opened = self._opened.pop(asyncio.get_running_loop(), None)
        if opened is not None:
            await _close(opened)

    def _open(self, loop: asyncio.AbstractEventLoop, to: Place | Door) -> Opened:
        # One that was closed with tasks pending stays: to let go of these would be a page of complaints by asyncio.
        for other, theirs in list(self._opened.items()):
            if other.is_closed() and theirs.calls.link.at_rest and theirs.answers.at_rest:
                del self._opened[other]
        if isinstance(to, Door):
            calls = to.calls()
            answers = Answers(calls, None, to.turn)
        else:
            place = to.resolved(os.environ)
            calls = calls_on(open_link(place.redis_url, ROLE), place.namespace)
            answers = Answers(calls, _blocking(place))
        starter = Starter(calls, answers.client)
        return Opened(os.getpid(), to, calls, detached(loop, calls.open(), "durableq-open"), answers, starter)

    def _with_remedy(self, why: str) -> str:
        """What to do where nobody has named a Redis, as beside a `durableq dev`: its address is never guessed."""
        if self.place.redis_url or first_of(os.environ, URL_VARIABLES):
            return why
        remedy = "set DURABLEQ_URL; a durableq dev has its own in .durableq/url"
        return f"{why.rstrip('.')}. Nobody named a Redis, so {DEFAULT_URL} was tried: {remedy}"


def _blocking(place: Resolved) -> Blocking:
    def open_another(changed: Changed) -> Calls:
        return calls_on(open_link(place.redis_url, ROLE, blocking_s=ROUND_S, on_change=changed), place.namespace)

    return open_another


async def _close(opened: Opened) -> None:
    """Close a connection of this loop. One from before a fork belongs to the parent."""
    if opened.pid == os.getpid():
        opened.opening.cancel()
        await opened.answers.close()
        await opened.calls.link.close()
        await asyncio.gather(opened.opening, return_exceptions=True)
