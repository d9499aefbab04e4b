"""One worker after another, a new one for each change of the code.

    begin ─▶ works ──change──▶ told to leave, claims no more ─▶ the next one begins
               │                     └─ finishes what it has in hand for up to the grace period, beside the next one
               └─ cannot load its code ─▶ nothing is executed ──change──▶ the next one begins

While the code cannot be loaded nothing is executed: the old code would answer as if it were the new. Nothing is lost either,
since what arrives waits in Redis, and is executed by what has been mended. At the start, code that cannot be loaded ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from durableq.cli.reload.sources import forget_compiled
from durableq.cli.reload.watching import Watch
from durableq.cli.stops import Stops
from durableq.services.parent import EXIT_CONFIG, EXIT_INTERRUPTED, EXIT_OK, Parent
from durableq.services.pipe import Message
from durableq.words.errors import StateLost

QUIET_PATIENCE_S: Final = 2.0
"""A child that does not say in time that it claims no more has a blocked loop, and cannot claim."""


class Teller(Protocol):
    """Who tells a person what becomes of the code."""

    def works(self) -> None:
        """The newest worker executes runs."""
        ...

    def changed(self, files: Sequence[str]) -> None:
        """These files have changed, so another worker begins."""
        ...

    def refused(self) -> None:
        """The code cannot be loaded."""
        ...

    def left(self) -> None:
        """A worker that was replaced is gone."""
        ...

    def stopping(self) -> None:
        """All workers are told to leave."""
        ...


class Succession:
    """Runs workers until it is told to stop. `begin` makes one that is not started, given who hears its children.

    Without a watch there is one worker, whatever happens to its code.
    """

    def __init__(
        self, begin: Callable[[Callable[[Message], None]], Parent], watch: Watch | None, teller: Teller, stops: Stops
    ) -> None:
        self._begin = begin
        self._watch = watch
        self._teller = teller
        self._stops = stops
        self._running: dict[Parent, asyncio.Task[int]] = {}
        self._newest: Parent | None = None
        self._told: Parent | None = None
        self._worked = False
        self._tasks: set[asyncio.Task[None]] = set()

    def state_lost(self, lost: StateLost) -> None:
        """The namespace is another one: leave."""
        if self._newest is not None:
            self._newest.state_lost(lost)

    async def run(self) -> int:
        """From the first worker to the end of the last. Returns the exit code."""
        stopping = asyncio.create_task(self._stops.stopping.wait())
        changing: asyncio.Task[list[str]] | None = None
        code = EXIT_OK
        try:
            if self._watch is not None:
                await self._watch.begin()
                changing = asyncio.create_task(self._watch.changes())
            worker: asyncio.Task[int] | None = self._start()
            while True:
                await _first_of(stopping, changing, worker)
                if stopping.done():
                    break
                if self._watch is not None and changing is not None and changing.done():
                    files = changing.result()
                    changing = asyncio.create_task(self._watch.changes())
                    self._teller.changed(files)
                    if worker is not None:
                        await self._retire()
                    forget_compiled(files)
                    worker = None if stopping.done() else self._start()
                elif worker is not None and worker.done():
                    if worker.result() != EXIT_CONFIG or self._watch is None or not self._worked:
                        code = worker.result()
                        break
                    worker = None
                    self._teller.refused()
            return await self._stop() or code
        finally:
            for task in (stopping, changing):
                if task is not None:
                    task.cancel()

    def _start(self) -> asyncio.Task[int]:
        parent = self._newest = self._begin(lambda message: self._heard(parent, message))
        task = self._running[parent] = asyncio.create_task(parent.run(signals=False), name="durableq-worker")
        self._do(self._see_off(parent, task))
        return task

    async def _retire(self) -> None:
        """Have the newest worker leave, and wait until it claims no more."""
        old = self._newest
        assert old is not None
        old.stop()
        try:
            async with asyncio.timeout(QUIET_PATIENCE_S):
                await old.quiet()
        except TimeoutError:
            pass

    async def _see_off(self, parent: Parent, running: asyncio.Task[int]) -> None:
        await asyncio.wait((running,))
        del self._running[parent]
        if parent is not self._newest:
            self._teller.left()

    async def _stop(self) -> int:
        """Have all of them leave, and wait for that. Returns the exit code: 0 unless it had to be at once."""
        leaving = dict(self._running)
        if leaving and self._stops.stopping.is_set():
            self._teller.stopping()
        for parent in leaving:
            parent.stop()
        at_once = asyncio.create_task(self._stops.at_once.wait())
        left = asyncio.gather(*leaving.values(), return_exceptions=True)
        await _first_of(left, at_once)
        at_once.cancel()
        if left.done():
            return EXIT_OK
        for parent in leaving:
            parent.kill()
        await left
        return EXIT_INTERRUPTED

    def _heard(self, parent: Parent, message: Message) -> None:
        what = message.get("is")
        if what == "code" and self._watch is not None:
            self._do(self._watch.add(message["directory"]))
        elif what == "working" and parent is self._newest and parent is not self._told:
            # Of each worker the first child: one that took the place of a dead one is no news.
            self._told = parent
            self._worked = True
            self._teller.works()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _first_of(*awaited: asyncio.Future[Any] | None) -> None:
    await asyncio.wait([each for each in awaited if each is not None], return_when=asyncio.FIRST_COMPLETED)
